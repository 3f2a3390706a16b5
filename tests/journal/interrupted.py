"""Opens copies of a journal, each in a process of its own that comes to grief a little later than the one before.

`python -m tests.journal.interrupted killed SOURCE FOLDER` kills it with SIGKILL: before its first step, its second and
so on. A step is a statement of SQLite, or a file that is opened, renamed or removed. `full` limits how large the files
may be that it writes, as on a full disk, and each time a little less. The copies stay in FOLDER, in order; the last one
went well. Each error is a line on stderr.
"""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from wa_worker.errors import JournalError
from wa_worker.journal import open_journal

STEPS = ("open", "os.rename", "os.remove", "sqlite3.connect")
ROOM = 8192
MOST = 300


def killed(moment: int) -> None:
    passed = itertools.count()

    def step(*_: object) -> None:
        if next(passed) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = opens(*arguments, **options)
        connection.set_trace_callback(step)
        return connection

    opens = sqlite3.connect
    setattr(sqlite3, "connect", connect)  # noqa: B010 - it is overloaded, which mypy sees
    sys.addaudithook(lambda event, _: step() if event in STEPS else None)


def full(moment: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM * moment, ROOM * moment))


def main(how: str, source: Path, folder: Path) -> None:
    for moment in range(MOST):
        copy = folder / f"{moment:04}"
        shutil.copytree(source, copy)
        child = os.fork()
        if child == 0:
            {"killed": killed, "full": full}[how](moment)
            try:
                with open_journal(copy / "journal.db"):
                    pass
            except JournalError as error:
                os.write(2, f"{error}\n".encode())
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            return
    sys.exit("it never went well")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
