"""Workers that keep their leases in a real PostgreSQL, and share instances. Their sessions are only noted."""

from __future__ import annotations

import math
import socket
from collections import Counter
from collections.abc import Iterator
from functools import partial

import attrs
import psycopg
import pytest
import structlog
import trio

from tests.proxy_fixture import until
from wa_worker.errors import LeaseLost
from wa_worker.journal import open_state_journal
from wa_worker.journal.elsewhere import tell_owners
from wa_worker.models import InstanceId
from wa_worker.ownership.claims import Claims
from wa_worker.ownership.deadline import boottime
from wa_worker.ownership.keeper import Keeper
from wa_worker.ownership.lease import RENEW, SAFE, Because, Came
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.migrations import upgrade
from wa_worker.postgres.url import StateUrl

SHOP = InstanceId("shop")
NAMES = [InstanceId(f"i{n:02}") for n in range(24)]


@attrs.define
class Noted:
    """What a fleet would do: it notes which sessions run. Counts what a worker counts, too."""

    running: dict[InstanceId, tuple[str, str]] = attrs.Factory(dict)
    takeovers: Counter[Came] = attrs.Factory(Counter)
    times_fenced: int = 0
    closing_takes: float = 0.0
    rows_told: int = 0

    def gained(self, instance: InstanceId, schema: str, application_name: str) -> None:
        self.running[instance] = (schema, application_name)

    def rows_came(self) -> None:
        self.rows_told += 1

    async def give_up(self, instance: InstanceId, because: Because) -> None:
        await trio.sleep(self.closing_takes)
        del self.running[instance]

    def last_used(self, instance: InstanceId) -> float:
        return 0.0

    def connections(self) -> tuple[int, int]:
        return len(self.running), len(self.running)

    def took_over(self, came: Came) -> None:
        self.takeovers[came] += 1

    def fenced(self) -> None:
        self.times_fenced += 1


@pytest.fixture
def admin(state_url: StateUrl) -> Iterator[psycopg.Connection]:
    with connect(state_url, "test") as connection:
        upgrade(connection)
        yield connection


def a_keeper(state_url: StateUrl, capacity: int = 0) -> tuple[Keeper, Noted]:
    noted = Noted()
    return Keeper(Claims(state_url, "test-host"), noted, noted, capacity=capacity), noted


def count(admin: psycopg.Connection, query: str) -> int:
    row = admin.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


async def test_what_is_wanted_is_run_and_what_is_not_is_let_go(
    state_url: StateUrl, admin: psycopg.Connection, nursery: trio.Nursery
) -> None:
    keeper, noted = a_keeper(state_url)
    assert keeper.deadline() == -math.inf
    await nursery.start(keeper.run)
    assert SAFE - 2 < keeper.seconds_left() <= SAFE
    keeper.want(SHOP)
    await until(lambda: noted.running)
    assert noted.running == {SHOP: ("wa_1_1", "wa/1/1")}
    assert keeper.owns(SHOP)
    assert keeper.owned() == noted.takeovers[Came.NEW] == 1
    keeper.proven(SHOP)
    await until(lambda: count(admin, "SELECT claims FROM instances") == 0)
    keeper.unwanted(SHOP)
    await until(lambda: not noted.running)
    assert not keeper.owns(SHOP)
    await until(lambda: count(admin, "SELECT count(*) FROM instances WHERE owner IS NULL") == 1)
    keeper.want(SHOP)
    await until(lambda: noted.running)
    assert noted.running == {SHOP: ("wa_1_2", "wa/1/2")}
    nursery.cancel_scope.cancel()


async def test_two_workers_share_and_one_that_stops_hands_all_over(
    state_url: StateUrl, admin: psycopg.Connection, nursery: trio.Nursery
) -> None:
    one, other = a_keeper(state_url), a_keeper(state_url)
    for keeper, _ in (one, other):
        await nursery.start(keeper.run)
    for name in NAMES:
        one[0].want(name)
    await until(lambda: len(one[1].running) == len(other[1].running) == 12)
    assert not one[1].running.keys() & other[1].running.keys()
    await until(one[0].peers_go_on)
    one[1].closing_takes = 0.1
    stopping = trio.current_time()
    await one[0].drain(20.0)
    assert trio.current_time() - stopping < 15
    assert not one[1].running
    await until(lambda: len(other[1].running) == 24)
    await until(lambda: count(admin, "SELECT count(*) FROM workers") == 1)
    assert other[1].takeovers[Came.FREE] == 12
    nursery.cancel_scope.cancel()


async def test_the_last_worker_that_stops_waits_for_nobody(
    state_url: StateUrl, admin: psycopg.Connection, nursery: trio.Nursery
) -> None:
    keeper, noted = a_keeper(state_url)
    await nursery.start(keeper.run)
    for name in NAMES:
        keeper.want(name)
    await until(lambda: len(noted.running) == 24)
    assert not keeper.peers_go_on()
    with trio.fail_after(5):
        await keeper.drain(20.0)
    assert not noted.running
    assert count(admin, "SELECT count(*) FROM instances WHERE owner IS NULL") == 24
    assert count(admin, "SELECT count(*) FROM workers") == 1, "its journal may have something to write yet"
    await keeper.leave()
    assert count(admin, "SELECT count(*) FROM workers") == 0


async def test_a_session_that_does_not_close_keeps_its_worker_in_the_database(
    state_url: StateUrl, admin: psycopg.Connection
) -> None:
    """It may still send: nobody else may have the instance before the lease has run out."""
    keeper, noted = a_keeper(state_url)
    async with trio.open_nursery() as nursery:
        await nursery.start(keeper.run)
        keeper.want(SHOP)
        await until(lambda: noted.running)
        noted.closing_takes = 60.0
        await keeper.drain(0.5)
    assert count(admin, "SELECT count(*) FROM instances WHERE owner IS NOT NULL") == 1
    assert count(admin, "SELECT count(*) FROM workers") == 1


async def test_what_a_dead_worker_owned_is_taken(
    state_url: StateUrl, admin: psycopg.Connection, nursery: trio.Nursery
) -> None:
    dead, (keeper, noted) = Claims(state_url, "dead-host"), a_keeper(state_url)
    dead.register(100)
    dead.want([SHOP])
    assert dead.claim(1)
    dead.proven([SHOP])
    dead.close()
    await nursery.start(keeper.run)
    admin.execute("UPDATE workers SET expires_at = clock_timestamp() WHERE host = 'dead-host'")
    await until(lambda: noted.running)
    assert noted.takeovers == {Came.DEAD: 1}
    assert noted.running == {SHOP: ("wa_1_2", "wa/1/2")}
    nursery.cancel_scope.cancel()


def _counted(noted: Noted, times: int) -> bool:
    return noted.rows_told == times


async def test_that_another_worker_has_written_rows_is_heard_of_at_once(
    state_url: StateUrl, admin: psycopg.Connection, nursery: trio.Nursery
) -> None:
    keeper, noted = a_keeper(state_url)
    await nursery.start(keeper.run)
    await until(partial(_counted, noted, 1))  # what was said before it could hear
    for times in (2, 3):
        with open_state_journal(state_url, None) as tool:
            tell_owners(tool.database)  # type: ignore[arg-type]
        await until(partial(_counted, noted, times))
    keeper.want(SHOP)  # it looks again
    await until(lambda: noted.running)
    assert noted.rows_told == 3
    nursery.cancel_scope.cancel()


async def test_what_is_free_or_wanted_or_not_is_heard_of_at_once(
    state_url: StateUrl, admin: psycopg.Connection, nursery: trio.Nursery
) -> None:
    """A look comes every 2 s by itself: eight of them would take more than the bound."""
    (keeper, noted), peer = a_keeper(state_url), Claims(state_url, "peer")
    await nursery.start(keeper.run)
    peer.register(100)
    began = trio.current_time()
    for _ in range(3):
        peer.want([SHOP])
        await until(lambda: noted.running)
        peer.unwant([SHOP])
        await until(lambda: not noted.running)
    await until(lambda: count(admin, "SELECT count(*) FROM instances WHERE owner IS NULL") == 1)
    admin.execute("UPDATE instances SET wanted = true, owner = %s", (peer.me,))  # which tells nobody
    peer.give_away(peer.mine())
    await until(lambda: noted.running)
    admin.execute("UPDATE instances SET owner = %s", (peer.me,))
    await until(lambda: not noted.running)
    peer.leave()
    await until(lambda: noted.running)
    peer.close()
    assert trio.current_time() - began < 6
    nursery.cancel_scope.cancel()


async def test_who_doubts_what_is_ours_hears_it_at_once(
    state_url: StateUrl, admin: psycopg.Connection, nursery: trio.Nursery
) -> None:
    (keeper, noted), peer = a_keeper(state_url), Claims(state_url, "peer")
    await nursery.start(keeper.run)
    keeper.want(SHOP)
    await until(lambda: noted.running)
    assert await keeper.verify(SHOP) is True
    peer.register(100)
    admin.execute("UPDATE instances SET owner = %s, token = token + 1", (peer.me,))
    assert await keeper.verify(SHOP) is False
    await until(lambda: not noted.running)
    peer.close()
    nursery.cancel_scope.cancel()


async def test_a_connection_that_the_server_ends_is_replaced(
    state_url: StateUrl, admin: psycopg.Connection, nursery: trio.Nursery
) -> None:
    keeper, noted = a_keeper(state_url)
    await nursery.start(keeper.run)
    await until(lambda: count(admin, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%owned%'") >= 1)
    with structlog.testing.capture_logs() as logged:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%lease%'")
        await until(lambda: logged)
        keeper.want(SHOP)
        await until(lambda: noted.running)
    assert sum(line["log_level"] == "warning" for line in logged) <= 2, "it does not try without end"
    nursery.cancel_scope.cancel()


async def test_a_worker_whose_row_was_deleted_ends(state_url: StateUrl, admin: psycopg.Connection) -> None:
    keeper, noted = a_keeper(state_url)
    with structlog.testing.capture_logs(), trio.fail_after(RENEW + 3), pytest.RaisesGroup(LeaseLost):
        async with trio.open_nursery() as nursery:
            await nursery.start(keeper.run)
            admin.execute("DELETE FROM workers")
    assert keeper.seconds_left() <= 0, "the gate and the watchdog hear of it"
    assert noted.times_fenced == 1


async def test_a_worker_without_its_database_ends_at_its_deadline(
    state_url: StateUrl, admin: psycopg.Connection
) -> None:
    keeper, noted = a_keeper(state_url)
    with structlog.testing.capture_logs(), pytest.RaisesGroup(LeaseLost):
        async with trio.open_nursery() as nursery:
            await nursery.start(keeper.run)
            keeper.want(SHOP)
            await until(lambda: noted.running)
            with admin.transaction():
                admin.execute("LOCK TABLE workers IN ACCESS EXCLUSIVE MODE")
                deadline = keeper.deadline()
                await until(lambda: keeper.seconds_left() <= 0)
    assert 0 <= boottime() - deadline < RENEW + 1, "one renewal may have been on its way"
    assert not keeper.owns(SHOP)


async def test_a_database_that_says_nothing_is_given_up_and_asked_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = StateUrl.of(f"postgres://someone:secret@127.0.0.1:{silent.getsockname()[1]}/wa_state?connect_timeout=1")
        keeper, _ = a_keeper(url)
        with structlog.testing.capture_logs() as logged:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(keeper.run)
                await until(lambda: logged)
                nursery.cancel_scope.cancel()
    assert logged[0]["event"] == "the state database does not take this worker in, trying on"
    assert "secret" not in str(logged)


async def test_three_workers_with_1000_instances_each_ask_less_than_five_times_a_second(
    state_url: StateUrl, admin: psycopg.Connection, nursery: trio.Nursery
) -> None:
    workers = [a_keeper(state_url) for _ in range(3)]
    for keeper, _ in workers:
        await nursery.start(keeper.run)
        admin.execute(
            "INSERT INTO instances (id, owner, token) SELECT %s || n, %s::uuid, 1 FROM generate_series(1, 1000) n",
            (keeper.worker_id, keeper.worker_id),
        )
    await until(lambda: all(len(noted.running) == 1000 for _, noted in workers))
    await trio.sleep(3)  # the server counts up to seconds later
    query = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    before, began = count(admin, query), trio.current_time()
    await trio.sleep(6)
    rate = (count(admin, query) - before) / (trio.current_time() - began)
    assert 0 < rate < 5
    nursery.cancel_scope.cancel()
