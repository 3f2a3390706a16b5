"""Everything the instances need of WhatsApp, in one place: made once, after neonize has been loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import structlog
import trio
from neonize.proto import Neonize_pb2 as pb

from wa_worker.backoff import jittered
from wa_worker.circuit_breaker import Scouts
from wa_worker.errors import JournalError
from wa_worker.journal import Inbox
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.identity import identity
from wa_worker.whatsapp.pairing import PairingHosts
from wa_worker.whatsapp.probe import FRESH, ReachabilityProbe
from wa_worker.whatsapp.receiving import receive
from wa_worker.whatsapp.session import JOURNAL_RETRY, Session, open_session
from wa_worker.whatsapp.store import SessionStore

log = structlog.get_logger(__name__)


class WhatsApp:
    """Sessions and pairings of one process. Trio thread only."""

    def __init__(
        self,
        auth_dir: Path,
        *,
        inbox: Inbox,
        on_message: Callable[[], None],
        device_name: str,
        server: tuple[str, int],
        anyone_connected: Callable[[], bool],
        threads: trio.Nursery,
        pairing_command: Sequence[str],
        metrics: Metrics,
    ) -> None:
        self.pairing = PairingHosts(threads, pairing_command)
        self.reach = ReachabilityProbe(*server)
        self.scouts = Scouts(anyone_connected)
        self._auth_dir = auth_dir
        self._inbox = inbox
        self._on_message = on_message
        self._device_name = device_name
        self._threads = threads
        self._gate = StartGate()
        self._metrics = metrics

    def store(self, instance: InstanceId) -> SessionStore:
        return SessionStore.of(self._auth_dir, instance)

    async def obstacle(self, instance: InstanceId) -> str | None:
        """None if it makes sense to open this session now, else why not."""
        return await self.reach.problem() or self.scouts.barred(instance)

    async def until_clear(self, instance: InstanceId) -> None:
        """Returns once there is no obstacle, within about two FRESH of the moment since which there is none."""
        while await self.obstacle(instance) is not None:  # noqa: ASYNC110 - nothing tells
            await trio.sleep(jittered(FRESH / 2, 0.5))

    def open_session(
        self, instance: InstanceId, on_message: Callable[[], None]
    ) -> AbstractAsyncContextManager[Session]:
        """See session.open_session()."""

        def both() -> None:
            self._on_message()
            on_message()

        return open_session(
            instance,
            self.store(instance),
            device_name=self._device_name,
            inbox=self._inbox,
            on_message=both,
            gate=self._gate,
            threads=self._threads,
            metrics=self._metrics,
            obstacle=lambda: self.scouts.barred(instance),
        )

    async def record(self, instance: InstanceId, data: bytes, me: bytes) -> None:
        """Commits a message that came while the pairing host was logged in. WhatsApp believes that we have it, so this
        does not return before the disk does too; cancelled while the disk does not take it, it is lost."""
        known_as = identity(pb.Device.FromString(me))
        if known_as is None:
            return
        commit = partial(
            receive, instance, data, known_as, store=self.store(instance), inbox=self._inbox, metrics=self._metrics
        )
        while True:
            try:
                await trio.to_thread.run_sync(commit)
            except JournalError as error:
                log.error("the journal cannot commit, trying again", instance=instance, reason=str(error))
                await trio.sleep(JOURNAL_RETRY)
            else:
                return
