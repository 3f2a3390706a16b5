"""The whole program: `main()` is the task tree, from the outermost lifetime to the innermost.

On SIGTERM or SIGINT the workers stop first, while health still answers; then health; then the journal closes.

work.py      what stops first: the instances, and all that they share
state.py     where what must survive is: on the volume, or in PostgreSQL
shared.py    what a worker has that shares its instances with others
recovery.py  what is made of sends that were cut off
stop.py      what the signals do
"""

from __future__ import annotations

import platform
import signal
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import metadata

import structlog
import trio

from wa_worker import __version__
from wa_worker.admin.page import add_pages
from wa_worker.admin.parts import Parts
from wa_worker.advice import advice_on
from wa_worker.app.stop import Stop
from wa_worker.app.work import Work
from wa_worker.config import Settings
from wa_worker.instances.registry import Registry
from wa_worker.metrics import Metrics
from wa_worker.monitoring.health import listen, run_health
from wa_worker.monitoring.loop_lag import watch_lag
from wa_worker.monitoring.readiness import Readiness

log = structlog.get_logger(__name__)


async def main(settings: Settings, environ: Mapping[str, str], pairing_command: Sequence[str]) -> None:
    """Runs the worker until SIGTERM or SIGINT. Raises StartupError, in a group, when it cannot start."""
    registry, metrics = Registry(), Metrics()
    readiness = Readiness(registry, settings.instance_poll)
    admin = Parts(registry, readiness, show_qr=settings.admin_show_qr)
    pages = partial(add_pages, admin, settings.admin_token)
    listener = listen(settings.bind_host, settings.port)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        log.info(
            "health answers",
            port=listener.getsockname()[1],
            version=__version__,
            neonize=_installed("neonize"),
            python=platform.python_version(),
        )
        for advice in advice_on(environ, settings.edge_base_url, settings.worker_secret, settings.admin_token):
            log.warning("a setting is unwise", reason=advice.found, remedy=advice.remedy)
        async with trio.open_nursery() as services:
            # before other imports slow it down
            await services.start(run_health, registry, readiness, metrics, listener, settings.admin_token, pages)
            services.start_soon(watch_lag, metrics)
            with trio.CancelScope() as work:
                stop = Stop(work)
                services.start_soon(stop.on_signal, signals, readiness)
                program = Work(settings, registry, readiness, metrics, services, stop, admin)
                await program.run(environ, pairing_command)
            services.cancel_scope.cancel()
    log.info("stopped")


def _installed(package: str) -> str:
    """Returns its version; loading it says what is wrong if there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
