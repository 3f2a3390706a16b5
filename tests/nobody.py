"""What may be done by root may not be done by others: a test of that goes to a child process without root's rights."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

T = TypeVar("T")

NOBODY = 65534


@contextmanager
def folder_of_nobody() -> Iterator[Path]:
    """A folder that a user without rights may use: its own if this is root, else that of the user there is."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own folders are closed to other users
    try:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield folder
    finally:
        for each in [*folder.iterdir()]:
            each.chmod(0o700)  # else a folder that its owner may not read stays
        shutil.rmtree(folder)


def as_nobody(work: Callable[[], T]) -> T:
    """Does `work` without root's rights, and returns what it returns: in a child process, if this is root."""
    if os.geteuid() != 0:
        return work()
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: this child starts none
        child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            outcome: object = (True, work())
        except BaseException as error:  # noqa: BLE001 - the parent raises it
            outcome = (False, repr(error))
        os.write(writing, pickle.dumps(outcome))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        done, result = pickle.loads(pipe.read())
    os.waitpid(child, 0)
    assert done, result
    return cast(T, result)
