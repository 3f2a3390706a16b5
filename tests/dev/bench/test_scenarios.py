"""What the bench measures, with few messages and short waits: that its figures are of what they say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from wa_worker.cli.commands import cli
from wa_worker.dev.bench import scenarios
from wa_worker.dev.bench.bed import Bed, open_bed
from wa_worker.dev.bench.measure import percentile
from wa_worker.dev.bench.run import Bench
from wa_worker.dev.bench.scenarios import Row
from wa_worker.dev.proxy import Contract

CONTRACTS: tuple[Contract, ...] = (1, 2)


@asynccontextmanager
async def open_paired(folder: Path) -> AsyncIterator[Bed]:
    async with open_bed(folder) as bed:
        await bed.pair_up_to(1)
        yield bed


def value(rows: Sequence[Row], figure: str, contract: Contract = 2) -> float:
    (row,) = (row for row in rows if row.figure == figure and row.condition.startswith(f"contract {contract}: "))
    return row.value


async def test_each_scenario_is_run_with_each_contract_one_right_after_the_other(tmp_path: Path) -> None:
    async with open_bed(tmp_path, contract=2) as bed:

        async def scenario(bed: Bed, size: int) -> list[Row]:
            await trio.lowlevel.checkpoint()
            return [Row("idle", bed.condition(f"{size} instances"), "contract", bed.proxy.contract, "")]

        bench = Bench(bed, CONTRACTS, ["idle"], quick=True)
        await bench._each("idle", "", scenario, 1)
        await bench._each("outbound", "", scenario, 1)  # nobody wants it
        assert [(row.condition, row.value) for row in bench.rows] == [
            ("contract 1: 1 instances", 1),
            ("contract 2: 1 instances", 2),
        ]


async def test_an_idle_worker_calls_less_in_version_2(tmp_path: Path) -> None:
    async with open_paired(tmp_path) as bed:
        rows: list[Row] = []
        for contract in CONTRACTS:
            bed.contract = contract
            rows += await scenarios.idle(bed, 1, seconds=3.0, settling=0.5)
        one, two = (value(rows, "calls to the proxy", contract) for contract in CONTRACTS)
        assert 20 <= one <= 80  # a poll every two seconds, a list every ten
        assert two <= 40  # one or two, of twenty seconds each
        assert two < one
        assert value(rows, "all CONNECTED after") >= value(rows, "health answers after") > 0
        assert value(rows, "memory (RSS)") > 30


async def test_messages_out_and_in_are_all_counted(tmp_path: Path) -> None:
    async with open_paired(tmp_path) as bed:
        out = await scenarios.outbound(bed, 1, 20, 0.0)
        assert value(out, "copies") == 0
        assert value(out, "rate") == pytest.approx(20 / value(out, "sent and marked in"))
        assert 0 < value(out, "calls to the proxy") <= 2
        assert value(out, "worker CPU") > 0
        back = await scenarios.inbound(bed, 1, 2, 10, 0.0)
        assert value(back, "out of order") == 0
        assert 0 < value(back, "calls to the proxy") <= 1
        late = await scenarios.latency(bed, 8, 0.1)
        for figure in ("WhatsApp frame -> /inbound p50", "queued -> decrypted p50"):
            assert 100 < value(late, figure) < 1000  # the proxy takes 100


def test_calls_of_a_minute_are_those_of_a_day_and_of_a_month() -> None:
    minute, day, month = (row.value for row in scenarios.calls_while_idle("", 3.0))
    assert (minute, day, month) == (3.0, 4320.0, 129_600.0)


def test_percentiles_are_values_that_were_measured() -> None:
    measured = [float(n) for n in range(100, 0, -1)]
    assert [percentile(measured, share) for share in (0.0, 0.5, 0.95, 1.0)] == [1.0, 51.0, 96.0, 100.0]
    assert percentile([], 0.5) == 0.0


@pytest.mark.parametrize("option", [("--contract", "3"), ("--size", "1001"), ("--only", "nothing")])
def test_what_it_does_not_measure_is_refused(option: tuple[str, str]) -> None:
    assert CliRunner().invoke(cli, ["bench", *option]).exit_code == 2
