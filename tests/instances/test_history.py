"""What an instance became reaches the journal: once, in its order, and also when the disk was full for a while."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.journal.rows import OTHER, SHOP, read_only
from tests.proxy_fixture import until
from wa_worker.instances.history import LET_GO, MOST_WAITING, By, ChangeHistory
from wa_worker.instances.registry import Registry
from wa_worker.journal import Journal, open_journal
from wa_worker.journal.changes import RING
from wa_worker.models import InstanceId, Reason
from wa_worker.states import Event, State


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(tmp_path / "journal.db") as opened:
        yield opened


def become(registry: Registry, state: State, event: Event, reason: Reason, detail: str = "") -> None:
    registry.set(SHOP, state, because=event, detail=detail)
    registry.set_reason(SHOP, reason, None)


def kept(journal: Journal) -> list[tuple[str, str, str]]:
    """State, reason and by whom, the oldest first."""
    return [(each.state, each.reason, each.by) for each in reversed(journal.changes.of(SHOP))]


async def test_changes_are_kept_with_who_brought_them_about(journal: Journal, nursery: trio.Nursery) -> None:
    history, registry = ChangeHistory(), Registry()
    registry.on_changed.append(history.changed)
    nursery.start_soon(history.run, journal.changes)
    become(registry, State.PAIRING, Event.UNPAIRED, Reason.WAITING)
    become(registry, State.PAIRING, Event.QR, Reason.SCAN)
    become(registry, State.PAIRING, Event.QR, Reason.SCAN)  # the next code is no change
    become(registry, State.CONNECTED, Event.CONNECTED, Reason.CONNECTED)
    await until(lambda: len(kept(journal)) == 3)
    become(registry, State.CONNECTED, Event.RESTRICTED, Reason.RESTRICTED)
    become(registry, State.LOGGED_OUT, Event.LOGGED_OUT, Reason.LOGGED_OUT)
    become(registry, State.HELD, Event.BANNED, Reason.BANNED)
    history.ended(SHOP, LET_GO, By.PERSON)
    await until(lambda: len(kept(journal)) == 7)
    assert kept(journal) == [
        ("pairing", "waiting", "worker"),
        ("pairing", "scan", "worker"),
        ("connected", "connected", "worker"),
        ("connected", "restricted", "whatsapp"),
        ("logged_out", "logged_out", "phone"),
        ("held", "banned", "whatsapp"),
        ("ended", "let_go", "person"),
    ]
    nursery.cancel_scope.cancel()


async def test_an_instance_that_starts_again_tells_its_state_again(journal: Journal) -> None:
    history, registry = ChangeHistory(), Registry()
    registry.on_changed.append(history.changed)
    async with history.rest_kept(journal.changes):
        become(registry, State.CONNECTED, Event.CONNECTED, Reason.CONNECTED)
        registry.remove(SHOP)
        become(registry, State.CONNECTED, Event.CONNECTED, Reason.CONNECTED)
    assert len(kept(journal)) == 2


async def test_what_a_worker_that_stops_has_not_written_is_written_at_the_end(journal: Journal) -> None:
    history = ChangeHistory()
    with trio.CancelScope() as scope:
        async with history.rest_kept(journal.changes), trio.open_nursery() as nursery:
            nursery.start_soon(history.run, journal.changes)
            await trio.testing.wait_all_tasks_blocked()
            history.ended(SHOP, Reason.WORKER_STOPPING, By.WORKER)
            scope.cancel()
    assert kept(journal) == [("ended", "worker_stopping", "worker")]


async def test_what_the_disk_does_not_take_waits_and_is_not_much(journal: Journal) -> None:
    history = ChangeHistory()
    read_only(journal, on=True)
    for number in range(3 * RING):
        history.ended(SHOP, str(number), By.WORKER)
    history.ended(OTHER, "0", By.WORKER)
    assert not await history._write(journal.changes)
    history.ended(SHOP, "last", By.WORKER)
    assert not await history._write(journal.changes)
    assert [len(those) for those in history._waiting.values()] == [RING, 1]
    read_only(journal, on=False)
    assert await history._write(journal.changes)
    assert [reason for _, reason, _ in kept(journal)] == [*map(str, range(2 * RING + 1, 3 * RING)), "last"]


async def test_of_many_instances_a_bounded_number_waits() -> None:
    history = ChangeHistory()
    for number in range(MOST_WAITING + 3):
        history.ended(InstanceId(f"n{number}"), "released", By.PROXY)
    assert len(history._waiting) == MOST_WAITING
    assert "n2" not in history._waiting
    assert "n3" in history._waiting
