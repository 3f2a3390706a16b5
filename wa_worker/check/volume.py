"""AUTH_DIR: there, writable, with room, private, on a disk that lasts, and whether a worker has it.

Leaves nothing behind: the trial file has no name, no folder is made, the lock is let go at once. Blocking, for a
thread that may be abandoned (a network file system can hang).
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs

from wa_worker.check.result import Result, fail, not_checked, ok, warn
from wa_worker.models import RESERVED_FOLDER
from wa_worker.ownership.closed import why_closed
from wa_worker.volume import ENOUGH

NAMES = ("volume", "free space", "permissions", "file system", "lock")

ROOM = 512 * 2**20
"""Free bytes below which it is time to look: a busy session's store and the journal take megabytes, not hundreds."""

MOUNTS = Path("/proc/self/mountinfo")

_PASSING = {
    "overlay": "the container's own layer",
    "aufs": "the container's own layer",
    "tmpfs": "memory",
    "ramfs": "memory",
}
_REMOTE = ("nfs", "cifs", "smb", "fuse.", "ceph", "glusterfs")


def look_at_volume(auth_dir: Path) -> list[Result]:
    """Results of these NAMES. An OSError of the folder itself is a result, too."""
    try:
        here = _standing(auth_dir)
        problem = _writing(auth_dir, here)
        results = [problem or ok("volume", _writable(auth_dir, here)), _free_space(here)]
        results.append(_permissions(auth_dir, writable=problem is None))
        return [*results, _file_system(here), _lock(auth_dir)]
    except OSError as error:
        rest = [not_checked(name, f"AUTH_DIR={auth_dir} cannot be looked at") for name in NAMES[1:]]
        return [_cannot("cannot look at", auth_dir, error, auth_dir), *rest]


def _standing(path: Path) -> Path:
    """Returns the path, or the nearest one above it that exists."""
    while True:
        try:
            path.stat()
        except FileNotFoundError:
            path = path.absolute().parent
        else:
            return path


def _writing(auth_dir: Path, here: Path) -> Result | None:
    """Returns None if files can be written where the worker will."""
    own = auth_dir / RESERVED_FOLDER
    for folder in (here, own) if own.exists() else (here,):
        try:
            with tempfile.TemporaryFile(dir=folder) as trial:
                trial.write(bytes(65536))
                trial.flush()
                os.fsync(trial.fileno())
        except OSError as error:
            return _cannot("cannot write to", folder, error, auth_dir)
    return None


def _writable(auth_dir: Path, here: Path) -> str:
    if here == auth_dir:
        return f"{auth_dir} can be written by uid {os.geteuid()}"
    return f"{auth_dir} is not there yet; the worker can make it in {here}"


def _cannot(what: str, path: Path, error: OSError, auth_dir: Path) -> Result:
    """`path` may be far above a folder that is not there yet: it is not what the worker's user should own."""
    match error.errno:
        case errno.EROFS:
            remedy = "mount the volume read-write"
        case errno.EACCES | errno.EPERM:
            remedy = _hand_over(auth_dir, missing=path in auth_dir.absolute().parents)
        case errno.ENOSPC | errno.EDQUOT:
            remedy = "make room on the volume"
        case errno.ENOTDIR:
            remedy = "AUTH_DIR must be a folder, and so must all above it"
        case _:
            remedy = "mount a volume there that this user may write, or set AUTH_DIR"
    return fail("volume", f"{what} {path}: {error.strerror or error}", remedy)


def _hand_over(path: Path, *, missing: bool = False) -> str:
    chown = f"chown -R {os.geteuid()}:{os.getegid()} {path}"
    return (
        f"make it for the worker's user: mkdir -p {path} && {chown}"
        if missing
        else f"hand it to the worker's user: {chown}"
    )


def _free_space(here: Path) -> Result:
    figures = os.statvfs(here)
    free = figures.f_bavail * figures.f_frsize
    found = f"{free / 2**20:,.0f} MiB free"
    if free < ENOUGH:
        return fail("free space", f"{found}: sessions close below {ENOUGH // 2**20} MiB", "make room on the volume")
    if figures.f_files and not figures.f_favail:
        return fail("free space", f"{found}, but no file can be made: no inode is left", "make room on the volume")
    if free < ROOM:
        return warn("free space", found, "make room soon: a full volume closes all sessions")
    return ok("free space", found)


@attrs.frozen
class _Findings:
    """Says what in AUTH_DIR this user cannot use, and which folders others can look into."""

    locked: list[Path]
    open: list[Path]


def _permissions(auth_dir: Path, *, writable: bool) -> Result:
    if not auth_dir.is_dir():
        return ok("permissions", "nothing is there yet; the worker makes it private")
    found = _Findings([], [])
    for folder in _folders(auth_dir):
        if folder.stat().st_mode & 0o077:
            found.open.append(folder)
        files = [file for pattern in ("session.db*", "journal.db*", "lock") for file in _matches(folder, pattern)]
        found.locked.extend(path for path in (folder, *files) if not os.access(path, os.R_OK | os.W_OK))
    if found.locked and not writable:
        return not_checked("permissions", "the volume cannot be written")
    if found.locked:
        text = f"{len(found.locked)} of the worker's files cannot be used by uid {os.geteuid()}: {found.locked[0]}"
        return fail("permissions", text, _hand_over(auth_dir))
    if found.open and auth_dir.stat().st_mode & 0o077:
        text = f"other users of this machine can look into {_folders_of(len(found.open))} with session keys"
        return warn("permissions", text, f"chmod -R go= {auth_dir}")
    return ok("permissions", "nobody else can read what is there")


def _folders_of(count: int) -> str:
    return f"{count} folder{'' if count == 1 else 's'}"


def _folders(auth_dir: Path) -> Iterator[Path]:
    """Returns the worker's own and those of the instances."""
    for path in auth_dir.iterdir():
        if path.name == RESERVED_FOLDER or (path.is_dir() and (path / "session.db").exists()):
            yield path


def instances_on(auth_dir: Path) -> frozenset[str]:
    """Returns the instances whose sessions are here; none where it cannot be looked at."""
    try:
        return frozenset(folder.name for folder in _folders(auth_dir) if folder.name != RESERVED_FOLDER)
    except OSError:
        return frozenset()


def _matches(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))


def _file_system(here: Path) -> Result:
    kind = _kind(here.resolve())
    if kind is None:
        return ok("file system", "not known on this system")
    if kind in _PASSING:
        text = f"{here} is {_PASSING[kind]} ({kind}): the sessions go with the container, and every number scans again"
        return warn("file system", text, "mount a volume at AUTH_DIR or above it")
    if kind.startswith(_REMOTE):
        text = f"{here} is on a network file system ({kind}): neither the lock nor the databases are safe there"
        return warn("file system", text, "use a volume of the host's own disk")
    return ok("file system", kind)


def _kind(path: Path) -> str | None:
    """Type of the file system that `path` is on, from Linux' list of mounts (proc_pid_mountinfo(5))."""
    try:
        mounts = MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    best: tuple[int, str] | None = None
    for mount in mounts:
        before, _, after = mount.partition(" - ")
        point = Path(before.split()[4].replace("\\040", " "))
        if path.is_relative_to(point) and (best is None or len(point.parts) >= best[0]):
            best = len(point.parts), after.split()[0]
    return best[1] if best else None


def _lock(auth_dir: Path) -> Result:
    if (why := why_closed(auth_dir)) is not None:
        return fail("lock", why, "see docs/operations.md on moving house; `run` refuses until then")
    match worker_is_running(auth_dir):
        case True:
            remedy = "nothing, if there should be one; a second one would wait"
            return warn("lock", "a worker is running here", remedy)
        case False:
            return ok("lock", "no worker is running here")
        case None:
            return not_checked("lock", "the lock file cannot be opened")


def worker_is_running(auth_dir: Path) -> bool | None:
    """Says whether a process holds the lock of `hold_volume()`; None: unknown. A worker that starts in this moment
    asks again."""
    try:
        lock = os.open(auth_dir / RESERVED_FOLDER / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # some network file systems know no locks
        return None
    finally:
        os.close(lock)
    return False
