"""Everything the instances need of WhatsApp, in one place: made once, after neonize has been loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import trio
from neonize.proto import Neonize_pb2 as pb

from wa_worker.backoff import jittered
from wa_worker.journal import Inbox
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId
from wa_worker.whatsapp import translate
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.pairing import PairingHosts
from wa_worker.whatsapp.reach import FRESH, Reach
from wa_worker.whatsapp.receiving import receive
from wa_worker.whatsapp.scouts import Scouts
from wa_worker.whatsapp.session import Session, open_session
from wa_worker.whatsapp.store import SessionStore


class WhatsApp:
    """Sessions and pairings of one process. Trio thread only, but for `record()`."""

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
        self.reach = Reach(*server)
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

    def record(self, instance: InstanceId, data: bytes, me: bytes) -> None:
        """Commits a message that came while the pairing host was logged in. Blocking; raises JournalError."""
        identity = translate.identity(pb.Device.FromString(me))
        if identity is not None:
            store = self.store(instance)
            receive(instance, data, identity, store=store, inbox=self._inbox, metrics=self._metrics)
