"""Why no worker may run on a volume, though nobody holds its lock: it was moved, or what was to fill it was cut off.

The word is a file beside the lock, written before what it is about begins. It is never taken back by a worker: by the
command that wrote it when that failed or is done, or by a person.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from wa_worker.durable import flush, write_json
from wa_worker.models import RESERVED_FOLDER

FILE = "closed.json"

MOVED, RESTORING, IN_STATE, EXPORTING = "moved", "restoring", "in state", "exporting"

_WHY = {
    MOVED: "it was moved with `wa-worker backup --move`{at}. The copy has its sessions now, and two that run take them "
    "from each other for ever: run the copy. If there is no copy, and never will be: wa-worker backup --take-back",
    RESTORING: "a restore that began{at} did not come to its end, or is under way. If none is under way, empty the "
    "folder and restore again",
    IN_STATE: "its instances are in PostgreSQL, or on their way there, since a `wa-worker state import` that "
    "began{at}. If that was cut off, run it again: it goes on. Then run workers with its STATE_URL, and another "
    "AUTH_DIR. The way back: `wa-worker state export` into an empty folder",
    EXPORTING: "a `wa-worker state export` to it that began{at} did not come to its end, or is under way. If it was "
    "cut off, run it again: it goes on",
}


def close_volume(auth_dir: Path, why: str) -> None:
    """Has every worker refuse this volume from now on, over a crash too. `why`: MOVED, ... Raises OSError."""
    write_json(auth_dir / RESERVED_FOLDER / FILE, {"why": why, "at": int(time.time())})


def reopen_volume(auth_dir: Path) -> bool:
    """Lets workers run on it again. Says whether it was closed. Raises OSError."""
    try:
        (auth_dir / RESERVED_FOLDER / FILE).unlink()
    except FileNotFoundError:
        return False
    flush(auth_dir / RESERVED_FOLDER)
    return True


def why_closed(auth_dir: Path) -> str | None:
    """Says to a person why no worker may run here, and what to do. None: it may."""
    try:
        text = (auth_dir / RESERVED_FOLDER / FILE).read_text("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # written by another user: whatever it says, it is there
        text = ""
        unknown = f"its {RESERVED_FOLDER}/{FILE} closes it, and cannot be read ({error.strerror})"
    else:
        unknown = f"its {RESERVED_FOLDER}/{FILE} closes it, for a reason that this version does not know"
    why, at = None, ""
    try:
        said = json.loads(text)
        why, at = _WHY.get(said["why"]), time.strftime(" at %Y-%m-%d %H:%M UTC", time.gmtime(said["at"]))
    except (ValueError, TypeError, KeyError):
        pass  # it closes the volume all the same
    return f"AUTH_DIR={auth_dir} may not be run: {(why or unknown).format(at=at)}."


def closed_for(auth_dir: Path) -> str | None:
    """Returns the word that closes it: MOVED, ..., or '' for another. None: none does. Raises OSError."""
    if why_closed(auth_dir) is None:
        return None
    try:
        return str(json.loads((auth_dir / RESERVED_FOLDER / FILE).read_text("utf-8"))["why"])
    except (ValueError, TypeError, KeyError):
        return ""
