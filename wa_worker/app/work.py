"""What stops first when the program stops: the instances, and all that they share. Opens it in order, and closes it."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import structlog
import trio

from wa_worker import whatsapp
from wa_worker.admin.parts import Parts
from wa_worker.app.recovery import TakeOver, recover
from wa_worker.app.state import State, open_state
from wa_worker.app.stop import Stop
from wa_worker.config import History, MediaIn, OnUncertain, Settings
from wa_worker.delivery.batch import SendPolicy
from wa_worker.delivery.calls import CallTimeouts
from wa_worker.delivery.inbound import InboundDelivery
from wa_worker.delivery.journal_read import when_it_can_be_read
from wa_worker.delivery.marks import MarkReporter
from wa_worker.delivery.media import MediaDelivery
from wa_worker.delivery.poll_timer import PollTimer
from wa_worker.delivery.preparing import Preparing
from wa_worker.delivery.read_marks import ReadMarks
from wa_worker.delivery.receipts import ReceiptReporter
from wa_worker.delivery.retention import run_retention
from wa_worker.delivery.sending import MessageSender
from wa_worker.delivery.uncertain import UncertainSends
from wa_worker.edge.client import open_edge_client
from wa_worker.edge.link_fetch import LinkFetcher
from wa_worker.instances.fleet import InstanceFleet
from wa_worker.instances.polling import WAIT, Polling
from wa_worker.instances.registry import Registry
from wa_worker.instances.services import Services
from wa_worker.journal import Journal
from wa_worker.metrics import Metrics
from wa_worker.monitoring.readiness import Readiness
from wa_worker.ownership.volume import hold_volume
from wa_worker.volume import VolumeGuard
from wa_worker.whatsapp.egress import EgressTable
from wa_worker.whatsapp.host_environment import host_environment
from wa_worker.whatsapp.pairing import PairingHosts
from wa_worker.whatsapp.routes import Routes
from wa_worker.whatsapp.store import sessions_of

if TYPE_CHECKING:
    from wa_worker.whatsapp.bridge import WhatsApp
    from wa_worker.whatsapp.receiving import Receiver
    from wa_worker.whatsapp.session_host import SessionHost
    from wa_worker.whatsapp.spool import Spool
    from wa_worker.whatsapp.spool_commits import SpoolCommits
    from wa_worker.whatsapp.store import Stores

log = structlog.get_logger(__name__)


@attrs.frozen
class Work:
    """Everything that stops first, when `stop` has it cancelled. Native threads belong to `services`: they end after
    their sessions have closed."""

    settings: Settings
    registry: Registry
    readiness: Readiness
    metrics: Metrics
    services: trio.Nursery
    stop: Stop
    admin: Parts

    async def run(self, environ: Mapping[str, str], pairing_command: Sequence[str]) -> None:
        """Takes the volume, opens what is shared, and runs the instances until cancelled. Raises StartupError."""
        settings, metrics = self.settings, self.metrics
        async with (
            hold_volume(settings.auth_dir) as folder,
            open_edge_client(
                settings.edge_base_url,
                settings.worker_secret,
                longest_poll=max(settings.instance_poll, settings.message_poll, WAIT),
                metrics=metrics,
                events_at_once=settings.events_at_once,
                forwarded=settings.forward_kinds or frozenset(),
            ) as edge,
            open_state(settings, folder, self.registry, metrics, environ, self.readiness) as state,
        ):
            self.readiness.loading()
            journal, together = state.journal, state.shared
            egress = EgressTable(state.egress)
            await trio.to_thread.run_sync(egress.load)
            reads, receipts = ReadMarks(wanted=settings.send_read_receipts), ReceiptReporter(journal.receipts, edge)
            inbound = InboundDelivery(journal.inbox, edge, metrics, on_accepted=reads.accepted)
            marks = MarkReporter(journal.ledger, edge, receipts.wakeup.ring)
            media = MediaDelivery(journal.media, edge, metrics, folder / "received-files", settings, environ)
            media.decided, media.egress = inbound.file_decided, egress.of
            inbound.waits.is_late = media.refusals.lasts
            preparing = self._preparing(folder)
            await trio.to_thread.run_sync(preparing.clear)
            resend = settings.on_uncertain_send is OnUncertain.RESEND
            policy = SendPolicy(resend, settings.default_region, settings.pace)
            sender = MessageSender(edge, journal, marks, metrics, self.services, preparing, policy)
            await trio.to_thread.run_sync(whatsapp.load)
            calls = CallTimeouts(journal.inbox.calls, inbound.wakeup.ring)
            receiver = self._receiver(journal, inbound, media, calls)
            routes = Routes.of(egress, environ, None if together is None else together.gate)
            host = self._host(journal, receiver, receipts, sender.uncertain, None if together is None else state.spool)
            spooled = self._spooled(state, receiver, receipts)
            self.stop.keep = state.spool.keep_in_hand
            hosts = self._pairing(environ, pairing_command)
            native = self._whatsapp(state.stores, host, hosts, routes)
            gc.freeze()  # what the imports left is here to stay: not to be looked at in each collection
            paired, self.readiness.other_shards = await trio.to_thread.run_sync(
                sessions_of, native.stores, settings.worker_shard
            )
            if together is None:
                await trio.to_thread.run_sync(recover, journal, sender.uncertain, native.sent_id)
            volume = VolumeGuard(settings.auth_dir)
            pace = PollTimer(settings.message_poll, min(settings.message_poll_max, settings.instance_poll))
            owner = None if together is None else together.keeper
            shared = Services(
                settings,
                edge,
                journal.holds,
                self.registry,
                metrics,
                sender,
                pace,
                volume,
                native,
                ownership=owner,
                reads=reads,
            )
            self.registry.on_changed.append(shared.history.changed)
            async with spooled.rest_kept(), shared.history.rest_kept(journal.changes), trio.open_nursery() as workers:
                fleet = InstanceFleet(shared, workers, stopping=lambda: self.stop.begun, ownership=owner)
                fleet.still_let_go(await when_it_can_be_read(journal.let_go.all))
                workers.start_soon(shared.history.run, journal.changes)
                workers.start_soon(volume.run)
                workers.start_soon(inbound.run)
                workers.start_soon(calls.run)
                workers.start_soon(spooled.run)
                workers.start_soon(marks.run)
                workers.start_soon(receipts.run)
                workers.start_soon(media.run if settings.media_in is MediaIn.ON else media.turn_off)
                workers.start_soon(run_retention, journal, settings.dead_kept, media.tidy, sender.pacing.learn)
                if together is None:
                    for instance in paired:  # P6: whatever the proxy lists
                        fleet.start(instance)
                else:
                    rings = [media.gained, *(each.wakeup.ring for each in (inbound, calls, marks, receipts))]
                    left = TakeOver(journal, sender.uncertain, native.sent_id, egress, inbound, rings)
                    together.instances.attach(fleet, left.prepare, journal.let_go, rings)
                    self.stop.hand_over(partial(together.drain, settings.drain), settings.drain)
                self.readiness.working(journal, edge, volume)
                self.admin.working(journal, fleet)
                log.info("working", resumed=len(paired), proxy=settings.edge_base_url)
                polling = Polling(
                    edge,
                    fleet,
                    sender.polled,
                    interval=settings.instance_poll,
                    pace=pace,
                    shard=settings.worker_shard,
                    peers=together is not None,
                )
                workers.start_soon(polling.run)

    def _preparing(self, folder: Path) -> Preparing:
        settings = self.settings
        links = LinkFetcher(settings.media_max * 2**20, allow_private=settings.media_allow_private)
        return Preparing(links, folder / "files-to-send")

    def _receiver(
        self, journal: Journal, inbound: InboundDelivery, media: MediaDelivery, calls: CallTimeouts
    ) -> Receiver:
        from wa_worker.whatsapp.receiving import Receiver, Told  # what load() has imported

        with_file = media.wakeup.ring if self.settings.media_in is MediaIn.ON else None
        return Receiver(journal.inbox, self.metrics, Told(inbound.wakeup.ring, with_file, calls.wakeup.ring))

    def _spooled(self, state: State, receiver: Receiver, receipts: ReceiptReporter) -> SpoolCommits:
        from wa_worker.whatsapp.spool_commits import SpoolCommits  # what load() has imported

        return SpoolCommits(state.spool, state.stores, receiver, receipts, told=state.journal.tell_owners)

    @property
    def _recent_history(self) -> bool:
        return self.settings.history is History.RECENT

    def _pairing(self, environ: Mapping[str, str], command: Sequence[str]) -> PairingHosts:
        return PairingHosts(
            self.services,
            command,
            at_once=self.settings.pairings_at_once,
            environ=host_environment(environ),
            recent_history=self._recent_history,
        )

    def _host(
        self,
        journal: Journal,
        receiver: Receiver,
        receipts: ReceiptReporter,
        uncertain: UncertainSends,
        spool: Spool | None,
    ) -> SessionHost:
        from wa_worker.whatsapp.gate import StartGate  # what load() has imported
        from wa_worker.whatsapp.session_host import SessionHost
        from wa_worker.whatsapp.uploads import Uploads

        return SessionHost(
            receiver,
            StartGate(),
            self.services,
            self.settings.device_name,
            uncertain,
            accounts=journal.accounts,
            receipts=receipts,
            recent_history=self._recent_history,
            spool=spool,
            uploads=Uploads(told=self._uploads_hang),
            goes_on=lambda: not self.stop.scope.cancel_called,
        )

    def _whatsapp(self, stores: Stores, host: SessionHost, pairing: PairingHosts, routes: Routes) -> WhatsApp:
        from wa_worker.whatsapp.bridge import WhatsApp  # what load() has imported

        return WhatsApp(stores, host, pairing, routes, self.registry.anyone_connected)

    def _uploads_hang(self, count: int) -> None:
        """On any thread."""
        self.metrics.uploads_hang(count)
        self.readiness.uploads_hanging = count
