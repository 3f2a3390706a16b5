"""A session of a paired instance, as far as it goes without one: what keeps it from being opened.

What a session reports, and the sending beside it, needs a process in which the library trusts the simulated server:
tests/whatsapp/test_session.py has the session, tests/e2e/ the whole.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from tests.instances.bed import Bed, open_bed
from tests.proxy_fixture import PATIENCE, SHOP
from tests.whatsapp.test_folder_store import pair
from wa_worker.instances.session import OFFLINE_PATIENCE, learn_name, next_report, run_session
from wa_worker.instances.state import InstanceState
from wa_worker.models import RESERVED_FOLDER, Account, InstanceId, Jid
from wa_worker.states import CONDITIONS, Action, Event, Report, State
from wa_worker.whatsapp.bridge import CROWD
from wa_worker.whatsapp.folder_store import FolderStore
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.receiving import Receiver, Told
from wa_worker.whatsapp.session import Session
from wa_worker.whatsapp.session_host import SessionHost


async def refused(bed: Bed) -> tuple[Event, str]:
    """Returns what happened, and what the log says of it."""
    state = bed.state()
    state.apply(Event.PAIRED)
    with trio.fail_after(PATIENCE):
        move = await run_session(bed.services, state)
    assert (state.current, move.action) == (State.RETRYING, Action.REOPEN)
    snapshot = bed.services.registry.all()[SHOP]
    return snapshot.because, snapshot.detail


async def test_none_is_opened_while_whatsapp_cannot_be_reached(tmp_path: Path) -> None:
    async with open_bed(tmp_path, reachable=False) as bed:
        event, detail = await refused(bed)
    assert event is Event.OPEN_FAILED
    assert "no TCP connection" in detail


async def test_nor_while_the_volume_takes_no_write(tmp_path: Path) -> None:
    async with open_bed(tmp_path) as bed:
        (tmp_path / RESERVED_FOLDER / "trial").mkdir()
        assert await refused(bed) == (Event.VOLUME_FAILED, "the volume cannot be written: Is a directory")


async def test_nor_while_none_gets_through_and_another_one_tries(tmp_path: Path) -> None:
    async with open_bed(tmp_path) as bed:
        breaker = bed.services.whatsapp.breaker
        for number in range(CROWD):
            breaker.record_failure(InstanceId(f"other {number}"))
        assert breaker.allows(InstanceId("other 0"))
        began = time.monotonic()
        refusal = await refused(bed)
    assert refusal == (Event.OPEN_FAILED, "no session gets through: one at a time finds out")
    assert time.monotonic() - began < 2


@attrs.frozen
class Following:
    """A session that is not opened, and the state of its instance."""

    state: InstanceState
    session: Session

    async def next(self) -> Report:
        return await next_report(self.state, self.session)

    async def nothing_for(self, seconds: float) -> bool:
        with trio.move_on_after(seconds) as waiting:
            await self.next()
        return waiting.cancelled_caught


@asynccontextmanager
async def followed(folder: Path, *events: Event) -> AsyncIterator[Following]:
    async with open_bed(folder) as bed:
        receiver = Receiver(bed.journal.inbox, bed.fixture.metrics, Told(lambda: None))
        host = SessionHost(receiver, StartGate(), bed.nursery, "the device", bed.services.sender.uncertain)
        state = bed.state()
        for event in events:
            state.apply(event)
        yield Following(state, Session(SHOP, FolderStore.of(folder, SHOP), host, lambda: None))


CONNECTED = (Event.PAIRED, Event.CONNECTED)


async def test_one_that_is_connected_and_hears_nothing_is_deaf(tmp_path: Path) -> None:
    async with followed(tmp_path, *CONNECTED) as at:
        at.session.last_heard = time.monotonic() - OFFLINE_PATIENCE + 0.5
        with trio.fail_after(PATIENCE):
            assert (await at.next()).event is Event.DEAF
        assert time.monotonic() - at.session.last_heard >= OFFLINE_PATIENCE


async def test_one_that_has_heard_that_all_was_sent_may_be_silent(tmp_path: Path) -> None:
    async with followed(tmp_path, *CONNECTED) as at:
        at.session.on_offline_synced()
        at.session.last_heard = time.monotonic() - 2 * OFFLINE_PATIENCE
        assert await at.nothing_for(0.5)


async def test_one_that_still_hears_something_is_waited_for(tmp_path: Path, nursery: trio.Nursery) -> None:
    async with followed(tmp_path, *CONNECTED) as at:
        at.session.last_heard = time.monotonic() - OFFLINE_PATIENCE + 0.3

        async def hear() -> None:
            await trio.sleep(0.1)
            at.session.last_heard = time.monotonic()

        nursery.start_soon(hear)
        assert await at.nothing_for(0.8)


async def test_nor_is_one_that_hears_at_the_last_moment_that_all_was_sent(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with followed(tmp_path, *CONNECTED) as at:
        at.session.last_heard = time.monotonic() - OFFLINE_PATIENCE + 0.3

        async def hear() -> None:
            await trio.sleep(0.1)
            at.session.on_offline_synced()

        nursery.start_soon(hear)
        assert await at.nothing_for(0.8)


async def test_a_line_that_broke_has_to_say_anew_that_all_was_sent(tmp_path: Path) -> None:
    async with followed(tmp_path, *CONNECTED) as at:
        at.session.on_offline_synced()
        at.session.on_report(Report(Event.DISCONNECTED))
        assert not at.session.offline_synced


async def test_reports_come_in_their_order_and_none_is_lost_by_a_cancel(tmp_path: Path) -> None:
    async with followed(tmp_path, *CONNECTED) as at:
        at.session.on_offline_synced()
        assert await at.nothing_for(0.05)
        reports = [Report(Event.DISCONNECTED), Report(Event.CONNECTED), Report(Event.LOGGED_OUT, "why")]
        for report in reports:
            at.session.on_report(report)
        assert [await at.next() for _ in reports] == reports


@pytest.mark.parametrize("events", [(Event.PAIRED,), (*CONNECTED, Event.DISCONNECTED)], ids=["opening", "reconnecting"])
async def test_what_waits_for_whatsapp_waits_with_a_deadline(tmp_path: Path, events: tuple[Event, ...]) -> None:
    async with followed(tmp_path, *events) as at:
        deadline = CONDITIONS[at.state.current].deadline
        assert deadline is not None
        at.state.entered = trio.current_time() - deadline + 0.6
        assert await at.nothing_for(0.3)
        with trio.fail_after(PATIENCE):
            assert await at.next() == Report(Event.DEADLINE)


async def test_a_restriction_is_over_when_its_hour_is(tmp_path: Path) -> None:
    async with followed(tmp_path, *CONNECTED, Event.RESTRICTED) as at:
        at.session.on_offline_synced()
        at.state.restricted_until = trio.current_time() + 0.6
        assert await at.nothing_for(0.3)
        with trio.fail_after(PATIENCE):
            assert (await at.next()).event is Event.UNRESTRICTED
        assert not at.state.restricted


async def test_a_restricted_one_may_be_deaf_all_the_same(tmp_path: Path) -> None:
    async with followed(tmp_path, *CONNECTED, Event.RESTRICTED) as at:
        at.session.last_heard = time.monotonic() - OFFLINE_PATIENCE + 0.3
        with trio.fail_after(PATIENCE):
            assert (await at.next()).event is Event.DEAF


async def test_a_name_is_looked_up_until_it_is_known(tmp_path: Path) -> None:
    async with open_bed(tmp_path) as bed:
        state, store = bed.state(), bed.store(SHOP)
        await learn_name(store, state)
        assert state.account is None
        pair(store)
        await learn_name(store, state)
        assert state.account == Account(Jid("0@s.whatsapp.net"))
        store.file.unlink()
        store.file.symlink_to("x" * 300)  # cannot be looked up now
        await learn_name(store, state)
        assert state.account == Account(Jid("0@s.whatsapp.net"))
        known = state.account = Account(Jid("0@s.whatsapp.net"), "Padaria")
        store.file.unlink()
        await learn_name(store, state)
        assert state.account is known
