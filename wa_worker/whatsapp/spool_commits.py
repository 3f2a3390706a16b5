"""Commits what the spool has, once the journal takes it: in this process, or in the next one on the volume."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import trio

from wa_worker.backoff import Backoff
from wa_worker.errors import JournalError, LeaseLost, SessionError
from wa_worker.journal import JOURNAL_RETRY
from wa_worker.models import InstanceId
from wa_worker.wakeup import Wakeup
from wa_worker.whatsapp import events
from wa_worker.whatsapp.identity import Identity
from wa_worker.whatsapp.receipts import ReceiptTaker
from wa_worker.whatsapp.receiving import Receiver
from wa_worker.whatsapp.spool import Spool
from wa_worker.whatsapp.store import Stores
from wa_worker.whatsapp.taking import Taking

log = structlog.get_logger(__name__)

TRIES = Backoff(first=JOURNAL_RETRY, ceiling=5.0)
"""For what waits: PostgreSQL is away, or does not know the instance yet."""

TOO_OFTEN = 10
"""Times that the journal refuses the data of an event, after which that is set aside."""

LAST = 1.0
"""Seconds for what still waits when the worker stops."""


class SpoolCommits:
    """One per process. told: tells other workers, one of which may run the instance by now, to look; blocking, raises
    JournalError."""

    def __init__(
        self,
        spool: Spool,
        stores: Stores,
        receiver: Receiver,
        receipts: ReceiptTaker,
        *,
        told: Callable[[], None],
    ) -> None:
        self._spool = spool
        self._stores = stores
        self._receiver = receiver
        self._receipts = receipts
        self._told = told
        self._untold = False
        self._refused: Counter[Path] = Counter()
        self._alone = threading.Lock()
        """One thread at a time: the last one was given up when the worker stopped, and goes on."""
        self._thread = trio.CapacityLimiter(2)
        self._wakeup = Wakeup()
        spool.on_kept = self._wakeup.ring

    async def run(self) -> None:
        """Runs until cancelled; what is being committed then is committed again later, and recognised."""
        tries = TRIES.delays()
        while True:
            self._wakeup.arm()
            if not await trio.to_thread.run_sync(self._commit_all, abandon_on_cancel=True, limiter=self._thread):
                await trio.sleep(next(tries))
                continue
            tries = TRIES.delays()
            if not self._spool.count():  # else more came meanwhile, which keeps what comes behind it from the journal
                await self._wakeup.wait()

    @asynccontextmanager
    async def rest_kept(self) -> AsyncIterator[None]:
        """Commits what waits when the block has ended, cancelled or not, and says what stays on the volume. Takes LAST
        at the most."""
        try:
            yield
        finally:
            if self._spool.count():
                with trio.move_on_after(LAST, shield=True):
                    await trio.to_thread.run_sync(self._commit_all, abandon_on_cancel=True, limiter=self._thread)
            if stays := self._spool.count():
                log.warning("what was received stays on the volume, until a worker runs on it again", events=stays)

    def _commit_all(self) -> bool:
        """Commits what waits now. Says whether that went well."""
        with self._alone:
            return self._commit_each()

    def _commit_each(self) -> bool:
        well = True
        for instance, paths in self._spool.waiting().items():
            try:
                self._commit_of(instance, paths)
            except LeaseLost:
                return False
            except (JournalError, SessionError, OSError) as error:
                log.warning("what was kept on the volume waits", instance=instance, reason=str(error))
                well = False
        if self._untold:
            try:
                self._told()
                self._untold = False
            except JournalError:
                well = False
        return well

    def _commit_of(self, instance: InstanceId, paths: list[Path]) -> None:
        """Commits what came of an instance. Raises JournalError, SessionError or OSError at what cannot be done now."""
        for path in paths:
            event = self._spool.read(path)
            if event is None:
                continue
            me, store = Identity(event.jid, event.lid), self._stores.look(instance)
            taking = Taking(instance, store, me, self._receiver, self._receipts)
            try:
                events.dispatch(taking, event.code, event.data)
            except JournalError as error:
                self._refuse(path, error)
            except Exception as error:  # noqa: BLE001 - it is as bad the next time, and others wait behind it
                self._spool.set_aside(path, repr(error))
            else:
                self._untold = True
                self._spool.drop(path)
        if not self._spool.holds(instance):
            log.info("what was kept on the volume is in the journal", instance=instance)

    def _refuse(self, path: Path, error: JournalError) -> None:
        """Sets an event aside whose data the journal refuses again and again; else raises the error."""
        if not _is_of_the_data(error):
            raise error
        self._refused[path] += 1
        if self._refused[path] < TOO_OFTEN:
            raise error
        del self._refused[path]
        self._spool.set_aside(path, str(error))


def _is_of_the_data(error: JournalError) -> bool:
    """Says whether it is what was to be written that the database refuses. A disk that is full, say, may take one row
    and not another."""
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None) or ""  # psycopg, which may not be installed
    return state.startswith(_OF_THE_DATA) or isinstance(cause, sqlite3.IntegrityError | sqlite3.DataError)


_OF_THE_DATA = ("22", "23", "54")
"""How SQLSTATEs begin: data exception, integrity constraint violation, program limit exceeded (an index row that is too
long, say)."""
