"""Small files that are on the disk once they are written: whole, or as they were, over a crash too. Blocking."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_json(path: Path, said: Any) -> None:
    """Writes a small file that only this user can read, under another name first. Raises OSError."""
    draft = path.with_name(f"{path.name}.tmp")
    draft.unlink(missing_ok=True)  # of a process that was killed in the middle
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            json.dump(said, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()  # a disk that is full has no room for it
        raise
    flush(path.parent)


def flush(path: Path) -> None:
    """Takes a file, or the names in a folder, to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
