"""Runs the scenarios and reports: a table on stdout, progress on stderr, JSON in a file.

Owns how often and in which order; what a scenario measures is in scenarios.py and backlog.py.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import attrs
import click

from wa_worker import __version__
from wa_worker.dev.bench import scenarios
from wa_worker.dev.bench.backlog import backlog
from wa_worker.dev.bench.bed import open_bed
from wa_worker.dev.bench.scenarios import Row

IDLE_SECONDS = 20.0
"""For how long an idle worker is watched."""

MANY = 20
"""Instances in the scenarios with many."""

DELAYS = (0.0, 0.05, 0.1, 0.25)
"""Seconds that the proxy takes to answer, a run each."""


async def run_bench(sizes: Sequence[int], only: Sequence[str], output: Path | None, *, quick: bool) -> None:
    """All scenarios, or those named in `only`. `quick`: fewer messages and shorter waits, to see that it works."""
    rows: list[Row] = []

    def wanted(name: str) -> bool:
        return not only or name in only

    def note(text: str) -> None:
        click.echo(text, err=True)

    with tempfile.TemporaryDirectory(prefix="wa-worker-bench-") as folder:
        async with open_bed(Path(folder)) as bed:
            note("simulated WhatsApp and reference proxy are up")
            await bed.pair_up_to(1)
            messages = 40 if quick else 300
            for delay in DELAYS[:1] if quick else DELAYS:
                if wanted("outbound"):
                    note(f"outbound, one instance, proxy {delay * 1000:.0f} ms")
                    rows += await scenarios.outbound(bed, 1, messages, delay)
                if wanted("inbound"):
                    note(f"inbound, one instance, proxy {delay * 1000:.0f} ms")
                    rows += await scenarios.inbound(bed, 1, 10, messages // 10, delay)
                if wanted("latency"):
                    note(f"latency, proxy {delay * 1000:.0f} ms")
                    rows += await scenarios.latency(bed, 20 if quick else 200, delay)
            if wanted("recovery"):
                note("recovery")
                rows += await scenarios.recovery(bed, 3 if quick else 10)
            many = min(MANY, max(sizes))
            for size in sorted({*sizes, many}):  # ascending: the volume only ever grows
                if wanted("idle") and size in sizes:
                    note(f"idle, {size} instances")
                    rows += await scenarios.idle(bed, size, 3.0 if quick else IDLE_SECONDS)
                if size == many > 1:
                    await bed.pair_up_to(many)
                    if wanted("outbound"):
                        note(f"outbound, {many} instances")
                        rows += await scenarios.outbound(bed, many, messages // 10, 0.0)
                    if wanted("inbound"):
                        note(f"inbound, {many} instances")
                        rows += await scenarios.inbound(bed, many, 2, messages // 20, 0.0)
            if wanted("backlog"):  # last: it leaves its backlog behind
                note("backlog")
                rows += await backlog(bed, 2_000 if quick else 100_000)
    show(rows)
    if output is not None:
        machine = f"{platform.machine()}, Python {platform.python_version()}, {platform.system()}"
        facts = {"version": __version__, "machine": machine, "rows": [attrs.asdict(row) for row in rows]}
        output.write_text(json.dumps(facts, indent=1) + "\n")  # noqa: ASYNC240 - nothing runs any more
        note(f"written to {output}")


def show(rows: Sequence[Row]) -> None:
    """The table."""
    for (scenario, condition), group in groupby(rows, lambda row: (row.scenario, row.condition)):
        sys.stdout.write(f"{scenario}: {condition}\n")
        for row in group:
            value = f"{row.value:,.2f}" if row.value < 100 else f"{row.value:,.0f}"
            sys.stdout.write(f"  {row.figure:<36} {value:>10} {row.unit}\n")
    sys.stdout.flush()
