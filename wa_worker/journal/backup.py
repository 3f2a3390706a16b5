"""A copy of the journal beside it, made before its tables change: the way back to the version before."""

from __future__ import annotations

import glob
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from wa_worker.durable import flush
from wa_worker.errors import JournalError
from wa_worker.journal.connection import connect_read_only


def back_up(path: Path, found: int) -> Path:
    """Copies what is committed to `journal.db.v1-backup` (for format 1), and removes backups of other formats.

    The caller holds the write lock, so nothing is committed meanwhile. The copy is written under another name, flushed
    and then renamed: a crash at any moment leaves a whole backup or none. Raises JournalError; then there is no backup.
    """
    backup = path.with_name(f"{path.name}.v{found}-backup")
    draft = backup.with_name(f"{backup.name}.tmp")
    try:
        draft.unlink(missing_ok=True)  # of a process that was killed in the middle
        try:
            os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            _copy(path, draft)
            draft.replace(backup)
        except BaseException:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        flush(path.parent)
    except (sqlite3.Error, OSError) as error:
        raise JournalError(
            f"journal {path}: cannot be copied before its upgrade ({error}). Nothing of it was changed: make room "
            f"on the volume for a second copy of it ({path.stat().st_size / 1e6:.1f} MB), then start again"
        ) from error
    for older in path.parent.glob(f"{glob.escape(path.name)}.v*-backup*"):
        if older != backup:
            with suppress(OSError):  # it only takes room
                older.unlink()
    return backup


def _copy(path: Path, draft: Path) -> None:
    with closing(connect_read_only(path)) as source, closing(sqlite3.connect(draft)) as copy:
        copy.execute("PRAGMA journal_mode=OFF")  # it is thrown away if it does not come to its end
        source.backup(copy)
    flush(draft)
