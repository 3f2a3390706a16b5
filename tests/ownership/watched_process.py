"""A process with a watchdog: `python -m tests.ownership.watched_process WHAT SECONDS`.

WHAT: `lapses`, or `stands down`, `renews` (four times, each after half of that), `cannot tell`, `cannot cut`, `hangs`
(its cut does not return). It says "watching" and, when it is cut, "cut" and "kept"; its log goes to standard error.
"""

from __future__ import annotations

import sys
import time

import structlog

from wa_worker.ownership.deadline import boottime
from wa_worker.ownership.watchdog import Watchdog


def main(what: str, seconds: float) -> None:
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )
    until = boottime() + seconds

    def deadline() -> float:
        if what == "cannot tell":
            raise ValueError("no deadline")
        return until

    def cut() -> None:
        print("cut", flush=True)
        if what == "cannot cut":
            raise ValueError("no cut")
        if what == "hangs":
            time.sleep(15)

    watchdog = Watchdog(deadline, cut, lambda: print("kept", flush=True))
    print("watching", flush=True)
    watchdog.start()
    if what == "stands down":
        watchdog.stand_down()
        time.sleep(seconds + 1)
    elif what == "renews":
        for _ in range(4):
            time.sleep(seconds / 2)
            until = boottime() + seconds
    else:
        time.sleep(15)
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
