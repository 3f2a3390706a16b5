"""What goes wrong with a cluster in one seeded run, and when. Pure."""

from __future__ import annotations

import enum
import random

import attrs


class Trouble(enum.Enum):
    """What happens to one worker."""

    KILLED = "killed"
    """kill -9, and started again at once."""
    TERMINATED = "terminated"
    """It has SIGTERM, and is started again when it has ended."""
    PAUSED = "paused"
    """SIGSTOP, for less than its lease or for longer."""
    SPLIT = "split"
    """Nothing gets through between it and PostgreSQL, for less than its lease or for longer."""
    DEAF = "deaf"
    """It does not hear what PostgreSQL says."""
    CUT = "cut"
    """Its connections to PostgreSQL end."""
    SLOW = "slow"
    """Its line to PostgreSQL is."""
    OFFLINE = "offline"
    """It does not reach WhatsApp."""
    UNTOLD = "untold"
    """It does not reach the proxy."""


@attrs.frozen
class Incident:
    """`at` and `lasts` in seconds from the start of the run, and from that of the incident."""

    at: float
    trouble: Trouble
    worker: int
    lasts: float


_LASTS = {
    Trouble.KILLED: (0.0, 0.0),
    Trouble.TERMINATED: (0.0, 0.0),
    Trouble.PAUSED: (1.0, 22.0),
    Trouble.SPLIT: (1.0, 22.0),
    Trouble.DEAF: (1.0, 14.0),
    Trouble.CUT: (0.0, 0.1),
    Trouble.SLOW: (2.0, 8.0),
    Trouble.OFFLINE: (2.0, 8.0),
    Trouble.UNTOLD: (2.0, 8.0),
}


def schedule(seed: int, length: float, workers: int) -> list[Incident]:
    """Returns what goes wrong in `length` seconds. A worker has one thing at a time; several may have something."""
    rng = random.Random(seed)
    incidents: list[Incident] = []
    free = [0.0] * workers
    at = rng.uniform(0.0, 1.0)
    while at < length:
        if idle := [worker for worker in range(workers) if free[worker] <= at]:
            worker, trouble = rng.choice(idle), rng.choice(list(Trouble))
            incident = Incident(at, trouble, worker, rng.uniform(*_LASTS[trouble]))
            incidents.append(incident)
            free[worker] = at + incident.lasts + 1.0
        at += rng.expovariate(1 / 2.5)
    return incidents
