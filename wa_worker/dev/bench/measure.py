"""What a process costs, read from /proc (Linux): memory, CPU, threads, wake-ups; and percentiles."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import attrs

_TICK = os.sysconf("SC_CLK_TCK")


@attrs.frozen
class Usage:
    """Describes a process at a moment. Memory in MB (2**20 bytes): `pss` shares common pages fairly."""

    cpu: float
    rss: float
    pss: float
    threads: int
    descriptors: int
    switches: Mapping[str, int]
    """Voluntary context switches so far, by thread: each is a wake-up that went back to sleep."""

    def wake_ups_since(self, before: Usage) -> int:
        """Those of threads that have ended meanwhile are not known."""
        return sum(switches - before.switches.get(thread, 0) for thread, switches in self.switches.items())


def usage(pid: int) -> Usage:
    """Returns the process `pid` alone. Raises OSError when it is gone."""
    root = Path(f"/proc/{pid}")
    fields = (root / "stat").read_text().rpartition(")")[2].split()
    rollup = _kilobytes(root / "smaps_rollup")
    return Usage(
        cpu=(int(fields[11]) + int(fields[12])) / _TICK,
        rss=rollup["Rss"] / 1024,
        pss=rollup["Pss"] / 1024,
        threads=int(fields[17]),
        descriptors=len(list((root / "fd").iterdir())),
        switches={task.name: _switches(task) for task in (root / "task").iterdir()},
    )


def forget_peak(pid: int) -> None:
    """Makes `peak()` count from now on. Raises OSError when the process is gone, or is somebody else's."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak(pid: int) -> float:
    """Returns the most memory (RSS) that the process had since `forget_peak`, in MB. Raises OSError."""
    return _kilobytes(Path(f"/proc/{pid}/status"))["VmHWM"] / 1024


def own_cpu() -> float:
    """CPU seconds of this process so far."""
    times = os.times()
    return times.user + times.system


def _kilobytes(path: Path) -> dict[str, int]:
    values: dict[str, int] = {}
    for line in path.read_text().splitlines():
        name, _, rest = line.partition(":")
        if rest.strip().endswith("kB"):
            values[name] = int(rest.split()[0])
    return values


def _switches(task: Path) -> int:
    try:
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                return int(line.split()[1])
    except OSError:
        pass  # the thread has just ended
    return 0


def percentile(values: list[float], share: float) -> float:
    """Returns the value below which `share` (0-1) of the values lie, by nearest rank; 0 of none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
