"""Hours of a session's life in minutes: `pytest -m soak`, about thirteen in all; figures: docs/operations.md.

What mostly waits runs side by side; what is timed runs alone.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.e2e.world import open_world
from tests.link_host import open_link_host
from tests.soak import crowd, waiting
from tests.soak.churn import INSTANCES, Churn
from tests.soak.measure import REOPENING_DESCRIPTORS, REOPENING_MB, THREADS_KEPT, Tables, side_by_side
from wa_worker.dev.proxy import Contract

FILE_CONNECTIONS = INSTANCES + 20
"""To the media host, which are kept though nothing goes over them: one for each session that has uploaded a file in the
last 90 s (Go's http.DefaultTransport), and as many of the worker's own as files came at once."""

JOURNAL_BYTES, JOURNAL_BYTES_EACH = 200_000, 1000
"""Of the journal's folder after a clean stop: empty, and for each message of a week."""


async def test_churn(tmp_path: Path, tables: Tables, contract: Contract, soak_minutes: float, soak_seed: int) -> None:
    async with open_link_host() as links, open_world(tmp_path, contract=contract) as world:
        churn = Churn(world, links, soak_seed, soak_minutes * 60)
        await churn.run()
    account = churn.account
    said = ", ".join(f"{n} {kind}" for kind, n in churn.said.kinds.most_common())
    did = ", ".join(f"{n} {kind.name.lower().replace('_', ' ')}" for kind, n in churn.incidents.most_common())
    tables.add(
        f"Churn: {INSTANCES} instances, {soak_minutes:g} min, seed {soak_seed}: {did}; {churn.scans} scans; "
        f"{churn.reopened} sessions reopened; {account.out} out, {account.inbound} in, {account.doubts} doubts, "
        f"{account.unreadable} unreadable; of these {said}; journal {churn.journal_bytes / 1024:.0f} KB",
        churn.meter.columns,
        churn.meter.rows,
    )
    assert not account.broken, account.broken
    assert not churn.damaged, churn.damaged[:5]
    assert not churn.said.left(), "files of messages stay on the volume only until they are passed on"
    kinds = {f"{what} {way}" for what in ("texts", "files", "edits", "reactions") for way in ("out", "in")}
    assert set(churn.said.kinds) == kinds
    assert account.out > 5 * INSTANCES < account.inbound, "there was traffic"
    assert churn.scans, "somebody was logged out"
    quiet, end, reopened = churn.quiet, churn.end, churn.reopened
    assert end.hosts == 0
    samples = [taken for _, taken in churn.meter.samples]
    assert end.threads <= quiet.threads + INSTANCES, "one more for each at the very worst"
    early = max(taken.threads for taken in samples[: len(samples) // 2])
    assert end.threads <= early + THREADS_KEPT, "and it does not go on"
    assert end.descriptors <= quiet.descriptors + REOPENING_DESCRIPTORS * reopened + FILE_CONNECTIONS + 10
    assert end.rss <= quiet.rss + REOPENING_MB * reopened + 20
    assert churn.journal_bytes <= JOURNAL_BYTES + JOURNAL_BYTES_EACH * (account.out + account.inbound)


async def test_pairing_without_end(tmp_path: Path, tables: Tables, contract: Contract, soak_minutes: float) -> None:
    await waiting.pairing_without_end(tmp_path, tables, contract, soak_minutes * 60)


async def test_what_mostly_waits(tmp_path: Path, tables: Tables, contract: Contract) -> None:
    scenarios = [waiting.deaf_sessions, waiting.whatsapp_drops_connections, waiting.whatsapp_out_of_reach]
    runs = []
    for scenario in scenarios:
        folder = tmp_path / scenario.__name__
        folder.mkdir()
        run = partial(scenario, folder, tables, contract)
        run.__name__ = scenario.__name__  # type: ignore[attr-defined]
        runs.append(run)
    await side_by_side(*runs)


async def test_forty_unpaired(tmp_path: Path, tables: Tables, contract: Contract) -> None:
    await crowd.unpaired(tmp_path, tables, contract)


async def test_boots_of_a_hundred(tmp_path: Path, tables: Tables, contract: Contract, soak_seed: int) -> None:
    await crowd.boots(tmp_path, tables, contract, soak_seed)


async def test_an_abort_in_mid_traffic(tmp_path: Path, tables: Tables, contract: Contract) -> None:
    await crowd.abort_in_mid_traffic(tmp_path, tables, contract)
