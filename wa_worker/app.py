"""The whole program: `main()` is the task tree, from the outermost lifetime to the innermost.

On SIGTERM or SIGINT the workers stop first, while health still answers; then health; then the journal closes.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog
import trio

from wa_worker import whatsapp
from wa_worker.config import OnUncertain, Settings
from wa_worker.delivery.inbound import InboundDelivery
from wa_worker.delivery.marks import MarkReporter
from wa_worker.delivery.retention import run_upkeep
from wa_worker.delivery.sending import MAX_TRIES
from wa_worker.edge.client import open_edge_client
from wa_worker.errors import JournalError, StartupError
from wa_worker.instances.discovery import run_discovery
from wa_worker.instances.fleet import InstanceFleet
from wa_worker.instances.lifecycle import Services
from wa_worker.instances.registry import Registry
from wa_worker.journal import Journal, open_journal
from wa_worker.metrics import Metrics
from wa_worker.models import JOURNAL_FILE
from wa_worker.monitoring.health import listen, run_health
from wa_worker.monitoring.loop_lag import watch_lag
from wa_worker.monitoring.readiness import Readiness
from wa_worker.ownership.volume import hold_volume
from wa_worker.volume import VolumeGuard
from wa_worker.whatsapp.probe import target
from wa_worker.whatsapp.store import paired_instances

log = structlog.get_logger(__name__)

LAST_RESORT = 9.0
"""Seconds from the signal to `os._exit`: container hosts kill after 10. A send under way, a session's close and the
farewell come one after another and take 8.5 at the most."""


async def main(settings: Settings, environ: Mapping[str, str], pairing_command: Sequence[str]) -> None:
    """Runs the worker until SIGTERM or SIGINT. Raises StartupError, in a group, when it cannot start."""
    registry, metrics = Registry(), Metrics()
    readiness = Readiness(registry, settings.instance_poll)
    listener = listen(settings.bind_host, settings.port)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        log.info("health answers", port=listener.getsockname()[1])
        async with trio.open_nursery() as services:
            await services.start(
                run_health, registry, readiness, metrics, listener
            )  # before other imports slow it down
            services.start_soon(watch_lag, metrics)
            with trio.CancelScope() as work:
                services.start_soon(_stop_on_signal, signals, work, readiness)
                await _work(settings, environ, pairing_command, registry, readiness, metrics, services, work)
            services.cancel_scope.cancel()
    log.info("stopped")


async def _work(
    settings: Settings,
    environ: Mapping[str, str],
    pairing_command: Sequence[str],
    registry: Registry,
    readiness: Readiness,
    metrics: Metrics,
    services: trio.Nursery,
    work: trio.CancelScope,
) -> None:
    """Everything that stops first. Native threads belong to `services`: they end after their sessions have closed."""
    longest_poll = max(settings.instance_poll, settings.message_poll)
    async with (
        hold_volume(settings.auth_dir) as folder,
        open_edge_client(
            settings.edge_base_url, settings.worker_secret, longest_poll=longest_poll, metrics=metrics
        ) as edge,
    ):
        readiness.loading()
        with _journal(folder / JOURNAL_FILE) as journal:
            inbox, teller = InboundDelivery(journal.inbox, edge, metrics), MarkReporter(journal.ledger, edge)
            native = (await trio.to_thread.run_sync(whatsapp.load))(
                settings.auth_dir,
                inbox=journal.inbox,
                on_message=inbox.wakeup.ring,
                device_name=settings.device_name,
                server=target(environ),
                anyone_connected=registry.anyone_connected,
                threads=services,
                pairing_command=pairing_command,
                metrics=metrics,
            )
            gc.freeze()  # what the imports left is here to stay: not to be looked at in each collection
            paired = await trio.to_thread.run_sync(lambda: list(paired_instances(settings.auth_dir)))
            _recover(journal, settings)
            async with trio.open_nursery() as workers:
                volume = VolumeGuard(settings.auth_dir)
                shared = Services(settings, edge, journal, registry, metrics, inbox, teller, volume, native, services)
                fleet = InstanceFleet(shared, workers, stopping=lambda: work.cancel_called)
                workers.start_soon(volume.run)
                workers.start_soon(inbox.run)
                workers.start_soon(teller.run)
                workers.start_soon(run_upkeep, journal)
                for instance in paired:  # P6: whatever the proxy lists
                    fleet.start(instance)
                readiness.working(journal, edge, volume)
                log.info("working", resumed=len(paired), proxy=settings.edge_base_url)
                workers.start_soon(run_discovery, edge, fleet, settings.instance_poll)


@contextmanager
def _journal(path: Path) -> Iterator[Journal]:
    with ExitStack() as stack:
        try:
            journal = stack.enter_context(open_journal(path))
        except JournalError as error:
            raise StartupError(
                f"{error}. If the file is damaged, move it away: sessions stay, what was not yet delivered is lost."
            ) from error
        yield journal


def _recover(journal: Journal, settings: Settings) -> None:
    resend = settings.on_uncertain_send is OnUncertain.RESEND
    if uncertain := journal.ledger.recover(resend=resend, tries=MAX_TRIES):
        log.warning(
            "sends were cut off by the last stop: they may or may not have left",
            messages=uncertain,
            then="they are sent again" if resend else "they are held: see `wa-worker journal`",
        )


async def _stop_on_signal(signals: AsyncIterator[int], work: trio.CancelScope, readiness: Readiness) -> None:
    """The first signal stops the work, the second the process."""
    async for number in signals:
        name = signal.Signals(number).name
        if work.cancel_called:
            log.warning("second signal: exiting at once", signal=name)
            os._exit(1)
        log.info("stopping", signal=name)
        last_resort = threading.Timer(LAST_RESORT, _last_resort)
        last_resort.daemon = True
        last_resort.start()
        readiness.stopping()
        work.cancel()


def _last_resort() -> None:
    silent = threading.Timer(0.5, os._exit, (0,))  # should stderr take no line
    silent.daemon = True
    silent.start()
    log.error("the shutdown took too long: exiting; the journal has what is left to do")
    os._exit(0)
