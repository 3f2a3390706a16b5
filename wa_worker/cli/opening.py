"""Opens the journal that a command is about: the file of a volume, or what several workers share."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from wa_worker.errors import JournalError
from wa_worker.journal.review import Review, open_review
from wa_worker.models import JOURNAL_FILE, RESERVED_FOLDER
from wa_worker.postgres.url import StateUrl


def opened_review(folder: Path, url: StateUrl | None, *, write: bool) -> AbstractContextManager[Review]:
    """Opens the journal in the folder, or in PostgreSQL, which then has that of all workers. Raises JournalError."""
    if url is None:
        return open_review(folder / RESERVED_FOLDER / JOURNAL_FILE, write=write)
    try:
        from wa_worker.journal.postgres_database import open_state_review
    except ImportError as error:
        raise JournalError(f"STATE_URL needs the extra: pip install 'wa-worker[postgres]' ({error})") from error
    return open_state_review(url, write=write)
