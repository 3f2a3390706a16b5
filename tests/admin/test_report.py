"""The support report can be pasted anywhere."""

from __future__ import annotations

import platform

from wa_worker import __version__
from wa_worker.admin.report import report
from wa_worker.admin.rows import Seen, row
from wa_worker.admin.words import Language
from wa_worker.instances.registry import InstanceSnapshot
from wa_worker.journal import Change, InstanceBacklog
from wa_worker.models import InstanceId, Jid, Reason
from wa_worker.states import Event, State


def test_it_has_what_helps_and_no_number() -> None:
    now = InstanceSnapshot(
        State.HELD, Event.BANNED, 1_700_000_000, until=2_000_000_000, reason=Reason.BANNED,
        account=Jid("5511999990001@s.whatsapp.net"),
    )  # fmt: skip
    seen = Seen(InstanceId("5511999990001"), now, backlog=InstanceBacklog(1, 2, 3), set_aside=4)
    changes = [Change(1_700_000_000, "held", "banned", None, "a\nforged line", "whatsapp")]
    text = report(row(seen, Language.PORTUGUESE), "it\x1b[31m said", changes, ["no +5511999990001"], 1_800_000_000)
    assert "5511999990001" not in text
    lines = text.splitlines()
    assert f"wa-worker {__version__}, Python {platform.python_version()}, neonize 0.5.2" in lines[1]
    assert lines[2:6] == [
        "worker: no ***0001",
        "instance: ***0001, number ***0001",
        "state: held, reason: banned, since 2023-11-14 22:13:20 UTC",
        "until: 2033-05-18 03:33:20 UTC",
    ]
    assert "waiting: 1 to deliver, 2 to send, 3 to report" in lines
    assert "set aside: 4" in lines
    assert lines[-1] == "  2023-11-14 22:13:20 UTC  held (banned) by whatsapp: a forged line"
    assert "\x1b" not in text
