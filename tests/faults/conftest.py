"""Options and the closing table of the fault suite."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

from tests.faults.account import Account
from tests.faults.schedule import CONTRACTS

ACCOUNTS = pytest.StashKey[list[Account]]()


@pytest.fixture(scope="session")
def accounts(pytestconfig: pytest.Config) -> list[Account]:
    return pytestconfig.stash.setdefault(ACCOUNTS, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    accounts = config.stash.get(ACCOUNTS, [])
    if not accounts:
        return
    table = summary(accounts)
    terminalreporter.section("fault suite")
    for name, value in table.items():
        terminalreporter.write_line(f"  {name:<48} {value}")
    if report := config.getoption("--fault-report"):
        Path(report).write_text(json.dumps({"summary": table, "runs": [_row(a) for a in accounts]}, indent=1) + "\n")


def summary(accounts: list[Account]) -> dict[str, str | int]:
    # a run that waits for what a kill caught in the library waits in vain, and says nothing about recovery
    recovery = sorted(
        account.recovery for account in accounts if not (account.gone_with_a_kill or account.gone_with_a_receipt)
    )
    quantile = statistics.quantiles(recovery, n=100) if len(recovery) > 1 else recovery * 99
    return {
        "runs": len(accounts),
        **{
            f"of them contract {contract}": _traffic([a for a in accounts if a.contract == contract])
            for contract in CONTRACTS
        },
        "incidents": sum(len(a.incidents) for a in accounts),
        "messages out": sum(a.out for a in accounts),
        "messages in": sum(a.inbound for a in accounts),
        "lost out": sum(len(a.lost_out) for a in accounts),
        "lost in (of those the journal had)": sum(len(a.lost_in) for a in accounts),
        "doubled out (not counted as uncertain)": sum(len(a.doubled_out) for a in accounts),
        "doubled in": sum(len(a.doubled_in) for a in accounts),
        "out of order within a chat": sum(len(a.out_of_order) for a in accounts),
        "unfinished rows": sum(len(a.unfinished) for a in accounts),
        "in that nobody wrote, or of another target": sum(len(a.not_written) for a in accounts),
        "receipts at the proxy": sum(a.receipts for a in accounts),
        "receipts that went back, or not of ours": sum(
            len(a.receipts_back) + len(a.receipts_not_ours) for a in accounts
        ),
        "files, both ways": sum(a.files for a in accounts),
        "lost files": sum(len(a.lost_files) for a in accounts),
        "damaged files": sum(len(a.damaged_files) for a in accounts),
        "messages whose file came later": sum(a.came_late for a in accounts),
        "uncertain sends": sum(a.uncertain for a in accounts),
        "second copies of uncertain sends": sum(a.copies_of_uncertain for a in accounts),
        "in caught inside the library by a kill -9": sum(a.gone_with_a_kill for a in accounts),
        "in caught there by an unknown receipt": sum(a.gone_with_a_receipt for a in accounts),
        "out never readable at the contact": sum(a.unreadable for a in accounts),
        "recovery p50 / p99": f"{quantile[49]:.1f} s / {quantile[98]:.1f} s",
    }


def _traffic(accounts: Sequence[Account]) -> str:
    parts = {
        "runs": len(accounts),
        "incidents": sum(len(a.incidents) for a in accounts),
        "messages": sum(a.out + a.inbound for a in accounts),
        "calls": sum(a.calls for a in accounts),
        "of them /poll or /events": sum(a.calls_of_version_2 for a in accounts),
        "flips": sum(a.flips for a in accounts),
        "followed": sum(a.followed for a in accounts),
    }
    return ", ".join(f"{count} {name}" for name, count in parts.items() if count)


def _row(account: Account) -> dict[str, object]:
    row = attrs.asdict(account, recurse=False)
    row["incidents"] = [f"{i.at:.1f} s {i.trouble.name} {i.lasts:.1f} s" for i in account.incidents]
    return row
