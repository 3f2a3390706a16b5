"""Where what must survive is, and who may run what: all on the volume, or in PostgreSQL for several workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import structlog
import trio

from wa_worker.config import Settings
from wa_worker.errors import JournalError, StartupError
from wa_worker.instances.registry import Registry
from wa_worker.journal import Journal, open_journal
from wa_worker.metrics import Metrics
from wa_worker.models import JOURNAL_FILE
from wa_worker.monitoring.readiness import Readiness
from wa_worker.whatsapp.egress_memory import EgressFiles, EgressMemory
from wa_worker.whatsapp.folder_store import FolderStores
from wa_worker.whatsapp.spool import FOLDER, Spool
from wa_worker.whatsapp.store import Stores

if TYPE_CHECKING:
    from wa_worker.app.shared import Shared

log = structlog.get_logger(__name__)


@attrs.frozen
class State:
    """Holds what must move with the instances. `shared`: what a worker has beside it that shares them with others."""

    journal: Journal
    stores: Stores
    egress: EgressMemory
    spool: Spool
    shared: Shared | None = None


@asynccontextmanager
async def open_state(
    settings: Settings,
    folder: Path,
    registry: Registry,
    metrics: Metrics,
    environ: Mapping[str, str],
    readiness: Readiness,
) -> AsyncIterator[State]:
    """Opens it, as STATE_URL says. `folder`: the worker's own on the volume. Raises StartupError.

    With STATE_URL it waits until PostgreSQL has taken this worker in, and what the block raises leaves it in a group.
    """
    spool = Spool(folder / FOLDER)
    if left := await trio.to_thread.run_sync(_loaded, spool):
        log.warning("what was received was kept on the volume when PostgreSQL did not take it", events=left)
    if settings.state_url is None:
        with _started(open_journal(folder / JOURNAL_FILE)) as journal:
            yield State(journal, FolderStores(settings.auth_dir), EgressFiles(settings.auth_dir), spool)
        return
    try:
        from wa_worker.app.shared import open_shared  # psycopg is an extra
    except ModuleNotFoundError as error:
        raise StartupError(
            f"STATE_URL is set, and {error.name} is not installed. Do: pip install 'wa-worker[postgres]'"
        ) from error
    readiness.joining()
    async with open_shared(settings, settings.state_url, registry, metrics, environ, spool) as shared:
        opening = _started(shared.open_journal())
        journal = await trio.to_thread.run_sync(opening.__enter__)
        try:
            yield State(journal, shared.stores, shared.egress, spool, shared)
        finally:
            opening.__exit__(None, None, None)


def _loaded(spool: Spool) -> int:
    try:
        return spool.load()
    except OSError as error:
        raise StartupError(f"AUTH_DIR: what was kept there cannot be read: {error}") from error


@contextmanager
def _started(journal: AbstractContextManager[Journal]) -> Iterator[Journal]:
    try:
        opened = journal.__enter__()
    except JournalError as error:
        raise StartupError(str(error)) from error
    try:
        yield opened
    finally:
        journal.__exit__(None, None, None)
