"""What the state machines of the journal's tests share: a journal, whose process dies and comes back.

They run under any interleaving, against a simple model. WhatsApp and the proxy are simulated by what they remember. A
crash is an exception that no code of ours catches, thrown where the process may die, and the journal opened again.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine

from tests.journal.stores import FileStore, StateStore, Store
from wa_worker.journal import Journal
from wa_worker.models import InstanceId, Jid

SHOP = InstanceId("shop")
CHATS = [Jid(f"551198888000{n}@s.whatsapp.net") for n in range(2)]
SETTINGS = settings(max_examples=150, stateful_step_count=20, deadline=None)
FEWER = settings(max_examples=15, stateful_step_count=15, deadline=None)
"""On PostgreSQL, where each step costs ten times as much: the rules are the same SQL."""

STATES: list[StateStore] = []
"""What the fixture `machines_on_postgres` lends: those who use it have one."""


class Machine(RuleBasedStateMachine):
    """Owns the journal, and what is common: dying and coming back."""

    journal: Journal
    on_postgres = False

    def __init__(self) -> None:
        super().__init__()
        self._always = ExitStack()
        folder = Path(self._always.enter_context(TemporaryDirectory()))
        self._store: Store = STATES[-1] if self.on_postgres else FileStore(folder / "journal.db")
        self._store.empty()
        self._always.enter_context(structlog.testing.capture_logs())
        self._process = ExitStack()
        self.start()

    def start(self) -> None:
        self.journal = self._process.enter_context(self._store.open())

    def die(self) -> None:
        self._process.close()
        self.start()

    def teardown(self) -> None:
        self._process.close()
        self._always.close()
