"""Notes what each instance became, and has the journal keep the last of it: for people, nothing is decided by it.

Changes come on the Trio thread and are only put down; a task writes all that there is in one transaction, and sleeps
while nothing changes. What the journal cannot take waits, the last RING of each instance.
"""

from __future__ import annotations

import enum
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
import trio

from wa_worker.errors import JournalError
from wa_worker.instances.registry import InstanceSnapshot
from wa_worker.journal import Change, Changes
from wa_worker.journal.changes import RING
from wa_worker.models import InstanceId, Reason
from wa_worker.states import RESTRICTED, TROUBLE, Event

log = structlog.get_logger(__name__)

AGAIN = 5.0
"""Seconds between tries to write while the journal cannot."""

LAST_WORDS = 0.3
"""Seconds for the changes of a worker that stops: by then the farewells have used most of its ten."""

GATHERING = 0.2
"""Seconds in which changes are gathered into one transaction: at a start or an outage many instances change."""

MOST_WAITING = 2000
"""Instances whose changes wait at once: more than a worker runs. Only a journal that cannot write has many wait."""

ENDED = "ended"
"""The state of an instance that does not run any more, beside those of states.State."""

LET_GO = "let_go"
TAKEN_UP = "taken_up"
HANDED_OVER = "handed_over"
"""Reasons beside models.Reason that only people hear: what a person did to the instance here, or that another worker
goes on with it."""


class By(enum.StrEnum):
    """Says by whom a change was brought about."""

    WORKER = "worker"
    WHATSAPP = "whatsapp"
    PHONE = "phone"
    PROXY = "proxy"
    PERSON = "person"


_BY = dict.fromkeys((*TROUBLE, Event.RESTRICTED, Event.UNRESTRICTED), By.WHATSAPP) | {Event.LOGGED_OUT: By.PHONE}


class ChangeHistory:
    """Gathers changes until they are written. One per process; Trio thread only."""

    def __init__(self) -> None:
        self._waiting: dict[InstanceId, deque[Change]] = {}
        self._changed = trio.Event()

    def changed(self, instance: InstanceId, now: InstanceSnapshot) -> None:
        """Notes what an instance has become."""
        reason = now.reason.value if now.reason is not None else ""
        by = By.WHATSAPP if now.reason is RESTRICTED.reason else _BY.get(now.because, By.WORKER)
        detail = now.detail or ("" if now.because.name.lower() == reason else now.because.value)
        self._note(instance, Change(time.time(), now.state.name.lower(), reason, now.until, detail, by))

    def ended(self, instance: InstanceId, reason: Reason | str, by: By, detail: str = "") -> None:
        """Notes that an instance does not run any more, or that a person has done something about it."""
        self._note(instance, Change(time.time(), ENDED, str(reason), None, detail, by))

    @asynccontextmanager
    async def rest_kept(self, changes: Changes) -> AsyncIterator[None]:
        """Has the journal keep at the end of the block what is not written yet, within LAST_WORDS."""
        try:
            yield
        finally:
            with trio.move_on_after(LAST_WORDS, shield=True):
                await self._write(changes)

    async def run(self, changes: Changes) -> None:
        """Writes what is noted until cancelled."""
        while True:
            await self._changed.wait()
            await trio.sleep(GATHERING)
            if not await self._write(changes):
                await trio.sleep(AGAIN)

    def _note(self, instance: InstanceId, change: Change) -> None:
        self._waiting.setdefault(instance, deque(maxlen=RING)).append(change)
        while len(self._waiting) > MOST_WAITING:  # those that changed first
            del self._waiting[next(iter(self._waiting))]
        self._changed.set()

    async def _write(self, changes: Changes) -> bool:
        """Writes what waits. False if the journal cannot: then it waits on, before what came meanwhile."""
        taken, self._waiting, self._changed = self._waiting, {}, trio.Event()
        if not taken:
            return True
        try:
            await trio.to_thread.run_sync(changes.add, taken)
        except JournalError as error:
            log.warning("the last changes of instances are not kept yet", reason=str(error))
            for instance, those in self._waiting.items():
                taken.setdefault(instance, deque(maxlen=RING)).extend(those)
            self._waiting = taken
            self._changed.set()
            return False
        return True
