"""Everything the instances need of WhatsApp, in one place: made once, after neonize has been loaded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import structlog
import trio
from neonize.proto import Neonize_pb2 as pb

from wa_worker.backoff import ProportionalBackoff, jittered
from wa_worker.circuit_breaker import CircuitBreaker
from wa_worker.errors import JournalError
from wa_worker.journal import JOURNAL_RETRY
from wa_worker.models import EgressProxy, InstanceId, WaMessageId
from wa_worker.whatsapp.events import Code
from wa_worker.whatsapp.identity import identity
from wa_worker.whatsapp.message_secrets import sent_id
from wa_worker.whatsapp.pairing import PairingHosts, PairingLine
from wa_worker.whatsapp.parsing import parsed
from wa_worker.whatsapp.probe import FRESH
from wa_worker.whatsapp.routes import Routes
from wa_worker.whatsapp.session import Session, open_session
from wa_worker.whatsapp.session_host import SessionHost
from wa_worker.whatsapp.spool import Kept, Spooled
from wa_worker.whatsapp.store import SessionStore, Stores
from wa_worker.whatsapp.taking import Taking

log = structlog.get_logger(__name__)

CROWD = 2
"""Instances that failed, with none connected, after which it is not their fault: WhatsApp answers 503, says nothing, or
a firewall lets no WebSocket through. The probe cannot see that, and two hundred instances that all try leak a handle
and some memory each time."""

PAUSES = ProportionalBackoff(share=0.25, shortest=3.0, longest=60.0)
"""Between trials then. The longest bounds what is leaked in hours of it."""


class WhatsApp:
    """Sessions and pairings of one process. Trio thread only."""

    def __init__(
        self,
        stores: Stores,
        host: SessionHost,
        pairing: PairingHosts,
        routes: Routes,
        anyone_connected: Callable[[], bool],
    ) -> None:
        self.pairing = pairing
        self.routes = routes
        self.breaker: CircuitBreaker[InstanceId] = CircuitBreaker(CROWD, PAUSES, works=anyone_connected)
        self.stores = stores
        self._host = host

    def store(self, instance: InstanceId) -> SessionStore:
        """Returns the session store of an instance. Raises SessionError if that is not this worker's."""
        return self.stores.of(instance)

    def sent_id(self, instance: InstanceId, secret: bytes, mark: str | None) -> WaMessageId | None:
        """See message_secrets.sent_id()."""
        return sent_id(self.store(instance), secret, mark)

    async def obstacle(self, instance: InstanceId) -> str | None:
        """Returns None if it makes sense to open this session now, else why not, but for its proxy."""
        return await self.routes.unreachable(instance) or await self.stores.problem() or self._barred(instance)

    async def until_clear(self, instance: InstanceId) -> None:
        """Returns once there is no obstacle, within about two FRESH of the moment since which there is none."""
        while await self.obstacle(instance) is not None:  # noqa: ASYNC110 - nothing tells
            await trio.sleep(jittered(FRESH / 2, 0.5))

    @asynccontextmanager
    async def open_session(
        self, instance: InstanceId, on_message: Callable[[], None], egress: EgressProxy | None
    ) -> AsyncIterator[Session]:
        """See session.open_session(). `egress`: by which way; raises SessionError if it is another by its turn."""

        def obstacle() -> str | None:
            if self.routes.table.of(instance) != egress:
                return "its proxy has changed meanwhile"
            return self._barred(instance)

        with self.routes.way_out(instance, egress) as proxy:
            async with open_session(
                instance,
                self.store(instance),
                self._host,
                on_message=on_message,
                obstacle=obstacle,
                proxy=proxy,
            ) as session:
                yield session

    @asynccontextmanager
    async def pair(
        self, instance: InstanceId, store: SessionStore, device_name: str, egress: EgressProxy | None
    ) -> AsyncIterator[PairingLine]:
        """See PairingHosts.pair(). `egress`: by which way."""
        with self.routes.way_out(instance, egress) as proxy:
            async with self.pairing.pair(instance, store, device_name, proxy) as line:
                yield line

    async def record(self, instance: InstanceId, data: bytes, me: bytes) -> None:
        """Commits a message that came while the pairing host was logged in. WhatsApp believes that we have it, so this
        does not return before it is on a disk, as Session's; cancelled while none takes it, it is lost."""
        account = identity(parsed(pb.Device, me))
        if account is None:
            return
        taking = Taking(instance, self.store(instance), account, self._host.receiver, self._host.receipts)
        event = Spooled(instance, account.jid, account.lid, Code.MESSAGE, data)
        while True:
            try:
                await trio.to_thread.run_sync(self._host.take, event, partial(taking.on_message, data))
            except Kept:
                return
            except JournalError as error:
                log.error("the journal cannot commit, trying again", instance=instance, reason=str(error))
                await trio.sleep(JOURNAL_RETRY)
            else:
                return

    def _barred(self, instance: InstanceId) -> str | None:
        if self._host.spool is not None and self._host.spool.holds(instance):
            return "what was received before is still to be committed: PostgreSQL does not take it"
        if self.breaker.allows(instance):
            return None
        return "no session gets through: one at a time finds out"
