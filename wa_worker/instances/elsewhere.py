"""In which state an instance of another worker is, as far as its last change says. Pure."""

from __future__ import annotations

import time

import attrs

from wa_worker.instances.history import ENDED
from wa_worker.journal.elsewhere import Elsewhere
from wa_worker.models import Reason
from wa_worker.states import UNOWNED, State


@attrs.frozen
class Shown:
    """Says what is shown of it. Times are unix seconds."""

    state: str
    reason: str
    since: float
    until: int | None = None
    detail: str = ""

    @property
    def logged_out(self) -> bool:
        return State.LOGGED_OUT.name.lower() == self.state or self.reason == Reason.LOGGED_OUT


def shown(each: Elsewhere) -> Shown:
    """Returns that. One that ended with its last worker is being opened by the next, if it has one."""
    last = each.change
    if each.worker is None:
        return Shown(UNOWNED, UNOWNED, last.at if last is not None else each.since or time.time())
    if last is None or last.state == ENDED:
        return Shown(State.OPENING.name.lower(), Reason.OPENING, each.since or time.time())
    return Shown(last.state, last.reason, last.at, last.until, last.detail)
