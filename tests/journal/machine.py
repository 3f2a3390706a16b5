"""What the state machines of the journal's tests share: a journal in a file, whose process dies and comes back.

They run under any interleaving, against a simple model. WhatsApp and the proxy are simulated by what they remember. A
crash is an exception that no code of ours catches, thrown where the process may die, and the journal opened again from
its file.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine

from wa_worker.journal import Journal, open_journal
from wa_worker.models import InstanceId, Jid

SHOP = InstanceId("shop")
CHATS = [Jid(f"551198888000{n}@s.whatsapp.net") for n in range(2)]
SETTINGS = settings(max_examples=150, stateful_step_count=20, deadline=None)


class Machine(RuleBasedStateMachine):
    """Owns the file, and what is common: dying and coming back."""

    journal: Journal

    def __init__(self) -> None:
        super().__init__()
        self._always = ExitStack()
        self._folder = Path(self._always.enter_context(TemporaryDirectory()))
        self._always.enter_context(structlog.testing.capture_logs())
        self._process = ExitStack()
        self.start()

    def start(self) -> None:
        self.journal = self._process.enter_context(open_journal(self._folder / "journal.db"))

    def die(self) -> None:
        self._process.close()
        self.start()

    def teardown(self) -> None:
        self._process.close()
        self._always.close()
