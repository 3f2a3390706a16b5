"""P1-P4 under seeded faults, with the real process, library, proxy and files. See run.py for the oracle."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.faults.account import Account
from tests.faults.run import fault_run
from tests.faults.schedule import Contract, contract_of


async def test_seeded_faults(tmp_path: Path, pytestconfig: pytest.Config, accounts: list[Account]) -> None:
    first, runs = pytestconfig.getoption("--fault-seed"), pytestconfig.getoption("--fault-runs")
    asked = pytestconfig.getoption("--fault-contract")
    seeds = iter(range(first, first + runs))
    bad: list[str] = []

    async def take_turns() -> None:
        for seed in seeds:
            folder = tmp_path / str(seed)
            folder.mkdir()
            contract: Contract = asked or contract_of(seed)
            account = await fault_run(seed, contract, folder)
            accounts.append(account)
            troubles = ", ".join(i.trouble.name for i in account.incidents)
            verdict = "; ".join(account.broken) or "held"
            print(f"seed {seed}, contract {contract}: {verdict} ({account.recovery:.1f} s; {troubles})", flush=True)
            if account.broken:
                bad.append(f"seed {seed} (--fault-seed {seed} --fault-runs 1 --fault-contract {contract}): {verdict}")

    async with trio.open_nursery() as nursery:
        for _ in range(min(pytestconfig.getoption("--fault-at-once"), runs)):  # each mostly waits
            nursery.start_soon(take_turns)
    assert not bad, "\n".join(bad)
