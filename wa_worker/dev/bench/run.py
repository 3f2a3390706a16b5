"""Runs the scenarios and reports: a table on stdout, progress on stderr, JSON in a file.

Owns how often and in which order; what a scenario measures is in scenarios.py and backlog.py.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from pathlib import Path

import attrs
import click

from wa_worker import __version__
from wa_worker.dev.bench import scenarios
from wa_worker.dev.bench.backlog import backlog
from wa_worker.dev.bench.bed import Bed, open_bed
from wa_worker.dev.bench.media_in import media_in
from wa_worker.dev.bench.media_out import media_out
from wa_worker.dev.bench.scenarios import Row
from wa_worker.dev.proxy import Contract

IDLE_SECONDS = 60.0
"""For how long an idle worker is watched: three answers that the proxy holds."""

MANY = 20
"""Instances in the scenarios with many."""

DELAYS = (0.0, 0.05, 0.1, 0.25)
"""Seconds that the proxy takes to answer, a run each."""


MB_IN, MB_OUT = 12, 16
"""Of the files: a long video as a phone sends it, and the most that a worker sends."""


@attrs.define
class Bench:
    """Runs scenarios on one bed, each with every version of the contract before the next: their ratio is of minutes."""

    bed: Bed
    contracts: Sequence[Contract]
    only: Sequence[str]
    quick: bool
    rows: list[Row] = attrs.Factory(list)

    async def run(self, sizes: Sequence[int]) -> None:
        """Runs what is wanted. `sizes`: of idle fleets, ascending."""
        await self.bed.pair_up_to(1)
        messages = 40 if self.quick else 300
        for delay in DELAYS[:1] if self.quick else DELAYS:
            proxy = f"proxy {delay * 1000:.0f} ms"
            await self._each("outbound", f"one instance, {proxy}", scenarios.outbound, 1, messages, delay)
            await self._each("inbound", f"one instance, {proxy}", scenarios.inbound, 1, 10, messages // 10, delay)
            await self._each("latency", proxy, scenarios.latency, 20 if self.quick else 200, delay)
        await self._each("recovery", "", scenarios.recovery, 3 if self.quick else 10)
        await self._files()
        many = min(MANY, max(sizes))
        for size in sorted({*sizes, many}):  # ascending: the volume only ever grows
            if size in sizes:
                await self._each("idle", f"{size} instances", scenarios.idle, size, 3.0 if self.quick else IDLE_SECONDS)
            if size == many > 1:
                await self.bed.pair_up_to(many)
                await self._each("outbound", f"{many} instances", scenarios.outbound, many, messages // 10, 0.0)
                await self._each("inbound", f"{many} instances", scenarios.inbound, many, 2, messages // 20, 0.0)
        if self._wanted("backlog"):  # last: it leaves its backlog behind
            note("backlog")
            self.rows += await backlog(self.bed, 2_000 if self.quick else 100_000)

    async def _files(self) -> None:
        settling = 1.0 if self.quick else scenarios.SETTLING
        for name, scenario, most in (("media-in", media_in, MB_IN), ("media-out", media_out, MB_OUT)):
            size = 1 if self.quick else most
            await self._each(name, f"{size} MB", scenario, size, 1 if self.quick else 7, settling)

    async def _each(
        self, name: str, condition: str, scenario: Callable[..., Awaitable[list[Row]]], *arguments: float
    ) -> None:
        if not self._wanted(name):
            return
        for contract in self.contracts:
            self.bed.contract = contract
            note(", ".join(filter(None, (name, condition, f"contract {contract}"))))
            self.rows += await scenario(self.bed, *arguments)

    def _wanted(self, name: str) -> bool:
        return not self.only or name in self.only


async def run_bench(
    sizes: Sequence[int],
    only: Sequence[str],
    output: Path | None,
    *,
    contracts: Sequence[Contract] = (2,),
    quick: bool = False,
) -> list[Row]:
    """Runs all scenarios, or those named in `only`, with each of these versions of the contract. `quick`: fewer
    messages and shorter waits, to see that it works."""
    with tempfile.TemporaryDirectory(prefix="wa-worker-bench-") as folder:
        async with open_bed(Path(folder), contracts[-1]) as bed:
            note("simulated WhatsApp and reference proxy are up")
            bench = Bench(bed, contracts, only, quick)
            try:
                await bench.run(sizes)
            finally:  # what was measured before something failed is measured
                show(bench.rows)
    if output is not None:
        machine = f"{platform.machine()}, Python {platform.python_version()}, {platform.system()}"
        facts = {"version": __version__, "machine": machine, "rows": [attrs.asdict(row) for row in bench.rows]}
        output.write_text(json.dumps(facts, indent=1) + "\n")  # noqa: ASYNC240 - nothing runs any more
        note(f"written to {output}")
    return bench.rows


def note(text: str) -> None:
    """Says how far it is, on stderr."""
    click.echo(text, err=True)


def show(rows: Sequence[Row]) -> None:
    """The table."""
    for (scenario, condition), group in groupby(rows, lambda row: (row.scenario, row.condition)):
        sys.stdout.write(f"{scenario}: {condition}\n")
        for row in group:
            value = f"{row.value:,.2f}" if row.value < 100 else f"{row.value:,.0f}"
            sys.stdout.write(f"  {row.figure:<36} {value:>12} {row.unit}\n")
    sys.stdout.flush()
