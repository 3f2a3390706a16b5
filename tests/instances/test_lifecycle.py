"""The loop of an instance: what it does between one round and the next, and what it remembers of a hold."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

import trio
from structlog.testing import capture_logs

from tests.instances.bed import Bed, open_bed
from tests.journal.rows import read_only
from tests.proxy_fixture import SHOP, until
from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
from tests.whatsapp.scripted_host import script
from tests.whatsapp.test_folder_store import pair
from wa_worker.instances.lifecycle import Lifecycle
from wa_worker.instances.registry import InstanceSnapshot
from wa_worker.instances.status import StatusPublisher
from wa_worker.instances.supervisor import run_instance
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.url import StateUrl
from wa_worker.states import SLOW, TABLE, Event, State
from wa_worker.whatsapp.schema_store import SchemaStores


def doing(bed: Bed) -> InstanceSnapshot | None:
    return bed.services.registry.all().get(SHOP)


def run(bed: Bed) -> None:
    bed.nursery.start_soon(Lifecycle(bed.services, bed.state()).run)


async def test_what_is_not_paired_shows_codes(tmp_path: Path) -> None:
    async with open_bed(tmp_path, script(None, {"is": "qr", "code": "2@"})) as bed:
        run(bed)
        await until(lambda: (now := doing(bed)) and now.because is Event.QR)


async def test_what_is_paired_opens_a_session(tmp_path: Path) -> None:
    """As far as that goes here: nobody can be reached."""
    async with open_bed(tmp_path, reachable=False) as bed:
        pair(bed.store(SHOP))
        with capture_logs() as lines:
            run(bed)
            await until(lambda: (now := doing(bed)) and now.state is State.RETRYING)
        assert [line["event"] for line in lines] == ["opening", "retrying"]


async def test_a_code_that_was_scanned_is_looked_for_in_the_store_at_once(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    async with open_bed(tmp_path, script(heard, {"is": "paired", "after": 0.1})) as bed:
        run(bed)
        await until(lambda: heard.exists() and len(heard.read_text().splitlines()) >= 3)
        commands = [json.loads(line) for line in heard.read_text().splitlines()]
    assert len({command["pairing"] for command in commands if command["do"] == "pair"}) >= 2, "there is no device"


async def test_a_failure_is_followed_by_growing_pauses(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    async with open_bed(tmp_path, script(heard, {"is": "ended", "reason": "no"})) as bed:
        run(bed)
        await trio.sleep(2.6)
        tries = heard.read_text().count('"pair"')
    assert 2 <= tries <= 3, "after 0, 1 and 2 s, or half of that, and not before whatever else it waits for"


async def test_a_store_that_cannot_be_read_now_is_no_reason_for_a_code(tmp_path: Path) -> None:
    async with open_bed(tmp_path, ["no such command"]) as bed:
        store = bed.store(SHOP)
        store.prepare()
        store.file.symlink_to("x" * 300)  # a name too long to be looked up
        run(bed)
        await until(lambda: (now := doing(bed)) and now.state is State.RETRYING)
        snapshot = doing(bed)
        assert snapshot is not None
        assert snapshot.because is Event.OPEN_FAILED
        assert "File name too long" in snapshot.detail


async def test_what_another_worker_has_taken_is_closed_without_a_word(tmp_path: Path, state_url: StateUrl) -> None:
    """It speaks of the instance by now. Should it be ours again, all goes on."""
    host = script(None, {"is": "qr", "code": "2@"})
    with closing(SchemaStores(state_url)) as stores:
        async with open_bed(tmp_path, host, reachable=False) as bed:
            stores.gained(SHOP, "wa_7_41", "wa/7/41")
            schema(state_url, "CREATE SCHEMA wa_7_42")
            bed.services.whatsapp.stores = stores
            async with trio.open_nursery() as nursery:
                publisher = StatusPublisher(SHOP, bed.fixture.edge)
                nursery.start_soon(lambda: run_instance(SHOP, bed.services, publisher, says_farewell=lambda: True))
                await until(lambda: (now := doing(bed)) and now.because is Event.STORE_LOST)
                assert publisher.silent
                nursery.cancel_scope.cancel()
            assert bed.fixture.proxy.store.statuses(SHOP) == [], "nor a farewell"
            schema(state_url, "ALTER SCHEMA wa_7_42 RENAME TO wa_7_41")
            run(bed)
            await until(lambda: (now := doing(bed)) and now.because is Event.OPEN_FAILED and "TCP" in now.detail)


async def test_while_the_store_is_away_nothing_is_opened_and_nothing_set_aside(tmp_path: Path) -> None:
    """A look tells when it is back. A phone that has logged out meanwhile is dealt with then."""
    async with open_bed(tmp_path) as bed:
        whatsapp = bed.services.whatsapp
        assert await whatsapp.obstacle(SHOP) is None
        stores = SchemaStores(StateUrl.of("postgres://wa:x@127.0.0.1:1/wa"))
        stores.gained(SHOP, "wa_7_41", "wa/7/41")
        whatsapp.stores = stores
        assert "PostgreSQL 127.0.0.1:1/wa" in (await whatsapp.obstacle(SHOP) or "")
        state = bed.state()
        state.current = State.LOGGED_OUT
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Lifecycle(bed.services, state)._after, TABLE[State.CONNECTED, Event.LOGGED_OUT])
            await until(lambda: (now := doing(bed)) and now.because is Event.OPEN_FAILED)
            nursery.cancel_scope.cancel()


def schema(url: StateUrl, statement: str) -> None:
    with connect(url, "test") as database:
        database.execute(statement.encode())


OUTDATED = {"is": "ended", "reason": "client outdated"}


async def test_a_hold_is_on_disk_and_known_to_the_registry(tmp_path: Path) -> None:
    async with open_bed(tmp_path, script(None, OUTDATED)) as bed:
        before = time.time()
        run(bed)
        await until(lambda: bed.journal.holds.get(SHOP))
        hold, snapshot = bed.journal.holds.get(SHOP), doing(bed)
        assert hold is not None
        assert snapshot is not None
        assert (hold.reason, hold.count, snapshot.state) == ("OUTDATED", 1, State.HELD)
        assert SLOW.first / 2 <= hold.until - before <= SLOW.first + 10
        assert snapshot.until is not None
        assert abs(snapshot.until - hold.until) < 5


async def test_the_next_hold_of_its_kind_is_longer_over_a_restart(tmp_path: Path) -> None:
    async with open_bed(tmp_path, script(None, OUTDATED)) as bed:
        for _ in range(3):
            bed.journal.holds.put(SHOP, "OUTDATED", -1.0)
        before = time.time()
        run(bed)
        await until(lambda: (held := bed.journal.holds.get(SHOP)) and held.until > before)
        hold = bed.journal.holds.get(SHOP)
        assert hold is not None
        assert hold.count == 4
        assert 4 * SLOW.first <= hold.until - before <= 8 * SLOW.first + 10


async def test_success_that_was_proven_makes_it_the_first_again(tmp_path: Path) -> None:
    async with open_bed(tmp_path, script(None, OUTDATED)) as bed:
        for _ in range(3):
            bed.journal.holds.put(SHOP, "OUTDATED", -1.0)
        state, before = bed.state(), time.time()
        state.proven = True
        bed.nursery.start_soon(Lifecycle(bed.services, state).run)
        await until(lambda: (held := bed.journal.holds.get(SHOP)) and held.until > before and not state.proven)
        hold = bed.journal.holds.get(SHOP)
        assert hold is not None
        assert hold.count == 1
        assert hold.until - before <= SLOW.first + 10, "it counts once"


async def test_a_journal_that_cannot_commit_does_not_shorten_a_hold(tmp_path: Path) -> None:
    async with open_bed(tmp_path, script(None, {**OUTDATED, "after": 0.3})) as bed:
        run(bed)
        await until(lambda: (now := doing(bed)) and now.state is State.PAIRING)
        read_only(bed.journal, True)
        with capture_logs() as lines:
            await until(lambda: "next try later" in [line["event"] for line in lines])
            await trio.sleep(0.2)
        assert "the journal cannot commit" in [line["event"] for line in lines]
        snapshot = doing(bed)
        assert snapshot is not None
        assert snapshot.until is not None
        assert snapshot.state is State.HELD
        assert snapshot.until - time.time() >= SLOW.first / 2 - 10
        assert bed.journal.holds.get(SHOP) is None


async def test_a_hold_of_an_earlier_run_is_sat_out(tmp_path: Path) -> None:
    async with open_bed(tmp_path, script(None, {"is": "qr", "code": "2@"})) as bed:
        bed.journal.holds.put(SHOP, "REPLACED", 1.0)
        until_then = bed.journal.holds.get(SHOP)
        assert until_then is not None
        run(bed)
        await until(lambda: (now := doing(bed)) and now.until)
        snapshot = doing(bed)
        assert snapshot is not None
        assert (snapshot.state, snapshot.because, snapshot.detail) == (State.HELD, Event.STILL_HELD, "REPLACED")
        assert snapshot.until is not None
        assert -0.1 <= snapshot.until - until_then.until <= 1.1
        await until(lambda: (now := doing(bed)) and now.state is State.PAIRING)
        assert time.time() >= until_then.until - 0.05


async def test_one_that_is_over_is_not(tmp_path: Path) -> None:
    async with open_bed(tmp_path, script(None, {"is": "qr", "code": "2@"})) as bed:
        bed.journal.holds.put(SHOP, "REPLACED", -1.0)
        with capture_logs() as lines:
            run(bed)
            await until(lambda: (now := doing(bed)) and now.because is Event.QR)
        assert [line["event"] for line in lines] == ["pairing"]


async def test_a_hold_written_while_the_clock_was_ahead_is_not_sat_out_for_years(tmp_path: Path) -> None:
    async with open_bed(tmp_path, script(None, {"is": "qr", "code": "2@"})) as bed:
        bed.journal.holds.put(SHOP, "REPLACED", 0.5)
        with bed.journal.database.transaction() as sql:
            sql.execute("UPDATE holds SET until = until + 1e8, written_at = written_at + 1e8")
        run(bed)
        await until(lambda: (now := doing(bed)) and now.state is State.HELD)
        await until(lambda: (now := doing(bed)) and now.state is State.PAIRING)


async def test_whose_session_it_is_is_told_from_its_opening_on(tmp_path: Path) -> None:
    """And what keeps it from being tried again has no end that is known, once its pause is over."""
    async with open_bed(tmp_path, reachable=False) as bed:
        pair(bed.store(SHOP))
        state = bed.state()
        bed.nursery.start_soon(Lifecycle(bed.services, state).run)
        bed.nursery.start_soon(state.publisher.run)
        statuses = bed.fixture.proxy.store.statuses
        await until(lambda: (said := statuses(SHOP)) and (said[-1].reason, said[-1].until) == ("retrying", None))
        assert {change.jid for change in statuses(SHOP)} == {"0@s.whatsapp.net"}
        assert {change.status for change in statuses(SHOP)} == {"CONNECTING"}
