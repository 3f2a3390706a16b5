"""Commits what the spool has, once the journal takes it: in this process, or in the next one on the volume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog
import trio

from wa_worker.backoff import Backoff
from wa_worker.errors import JournalError, SessionError
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


class SpoolCommits:
    """One per process. told: tells other workers, one of which may run the instance by now, to look; blocking, raises
    JournalError."""

    def __init__(
        self, spool: Spool, stores: Stores, receiver: Receiver, receipts: ReceiptTaker, told: Callable[[], None]
    ) -> None:
        self._spool = spool
        self._stores = stores
        self._receiver = receiver
        self._receipts = receipts
        self._told = told
        self._untold = False
        self._wakeup = Wakeup()
        spool.on_kept = self._wakeup.ring

    async def run(self) -> None:
        """Runs until cancelled; what is being committed then is committed again at the next start, and recognised."""
        tries = TRIES.delays()
        while True:
            self._wakeup.arm()
            if await trio.to_thread.run_sync(self._commit_all, abandon_on_cancel=True):
                await self._wakeup.wait()
                tries = TRIES.delays()
            else:
                await trio.sleep(next(tries))

    def _commit_all(self) -> bool:
        """Says whether nothing waits any more."""
        waiting = self._spool.waiting()
        committed = 0
        try:
            for instance, paths in waiting.items():
                committed += self._commit_of(instance, paths)
            if self._untold:
                self._told()
                self._untold = False
        except JournalError as error:
            log.info("what was kept on the volume waits: the journal does not take it", reason=str(error))
            return False
        if committed:
            log.info("what was kept on the volume is in the journal", events=committed)
        return not self._spool.waiting()

    def _commit_of(self, instance: InstanceId, paths: list[Path]) -> int:
        """Commits what came of an instance, up to what cannot be done now. Raises JournalError."""
        for done, path in enumerate(paths):
            try:
                self._commit(instance, path)
            except (SessionError, OSError) as error:
                log.warning("what was kept on the volume waits", instance=instance, reason=str(error))
                return done
        return len(paths)

    def _commit(self, instance: InstanceId, path: Path) -> None:
        event = self._spool.read(path)
        if event is None:
            return
        me, store = Identity(event.jid, event.lid), self._stores.look(instance)
        taking = Taking(instance, store, me, self._receiver, self._receipts)
        try:
            events.dispatch(taking, event.code, event.data)
        except JournalError:
            raise
        except Exception as error:  # noqa: BLE001 - it is as bad the next time, and others wait behind it
            self._spool.set_aside(path, repr(error))
            return
        self._untold = True
        self._spool.drop(path)
