"""Workers and their instances in a real PostgreSQL, under a role that owns its database and nothing else."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest
from psycopg import sql

from tests.postgres_server import Postgres
from wa_worker.errors import StateError
from wa_worker.models import InstanceId
from wa_worker.ownership.claims import Claims
from wa_worker.ownership.lease import CLAIMS_WINDOW, MOST_CLAIMS, TTL, UNLIMITED, Claimed, Peer, View
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.migrations import upgrade
from wa_worker.postgres.url import StateUrl

SHOP, BAR = InstanceId("shop"), InstanceId("bar")

StartWorker = Callable[..., Claims]


@pytest.fixture
def admin(state_url: StateUrl) -> Iterator[psycopg.Connection]:
    """Another connection of the same role, to look and to meddle."""
    with connect(state_url, "test") as connection:
        upgrade(connection)
        yield connection


@pytest.fixture
def start_worker(state_url: StateUrl, admin: psycopg.Connection) -> Iterator[StartWorker]:
    with ExitStack() as closing:

        def start(capacity: int = UNLIMITED) -> Claims:
            claims = Claims(state_url, "test-host")
            closing.callback(claims.close)
            claims.register(capacity)
            return claims

        yield start


def die(admin: psycopg.Connection, worker: Claims) -> None:
    """The time of its lease passes."""
    admin.execute("UPDATE workers SET expires_at = clock_timestamp() - interval '1 ms' WHERE id = %s", (worker.me,))


def schemas(admin: psycopg.Connection) -> list[str]:
    rows = admin.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^wa_[0-9]' ORDER BY 1")
    return [row[0] for row in rows]


def row_of(admin: psycopg.Connection, instance: InstanceId) -> tuple[uuid.UUID | None, int, int]:
    found = admin.execute("SELECT owner, token, claims FROM instances WHERE id = %s", (instance,)).fetchone()
    assert found is not None
    return found[0], found[1], found[2]


def session_of(state_url: StateUrl, claimed: Claimed) -> psycopg.Connection:
    """A connection such as the library opens for the keys of a session."""
    session = psycopg.connect(
        state_url.with_options(application_name=claimed.application_name).reveal(), autocommit=True
    )
    session.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(claimed.schema)))
    return session


def test_the_role_may_do_nothing_else(admin: psycopg.Connection) -> None:
    """What is shown here is shown for a role as docs/scaling.md makes it."""
    row = admin.execute("SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user")
    assert row.fetchone() == (False, False, False)


def test_a_lease_is_renewed_until_it_has_run_out_and_then_never(
    admin: psycopg.Connection, start_worker: StartWorker
) -> None:
    worker = start_worker()
    assert worker.renew(7, through=True, draining=True)
    row = admin.execute(
        "SELECT capacity, healthy, draining, extract(epoch FROM expires_at - clock_timestamp())::float8 FROM workers"
    ).fetchone()
    assert row is not None
    assert row[:3] == (7, True, True)
    assert TTL - 1 < row[3] <= TTL
    die(admin, worker)
    assert not worker.renew(7, through=True, draining=False)
    assert worker.claim(10) == []


def test_a_worker_whose_row_was_deleted_is_dead(admin: psycopg.Connection, start_worker: StartWorker) -> None:
    worker, peer = start_worker(), start_worker()
    worker.want([SHOP])
    die(admin, worker)
    assert peer.reap() == 1
    assert peer.reap() == 0
    assert not worker.renew(1, through=True, draining=False)
    assert worker.claim(1) == []


def test_the_first_claim_makes_the_schema_and_the_later_ones_rename_it(
    admin: psycopg.Connection, start_worker: StartWorker
) -> None:
    worker, peer = start_worker(), start_worker()
    worker.want([SHOP])
    (first,) = worker.claim(10)
    assert (first.instance, first.token) == (SHOP, 1)
    assert schemas(admin) == [first.schema] == [f"wa_{first.n}_1"]
    admin.execute(sql.SQL("INSERT INTO {} VALUES (7, 7)").format(sql.Identifier(first.schema, "whatsmeow_version")))

    worker.proven([SHOP])
    assert peer.claim(10) == [], "it is owned"
    die(admin, worker)
    assert peer.claim(10) == [], "its worker's row is there"
    peer.reap()
    (second,) = peer.claim(10)
    assert second.token == 2
    assert schemas(admin) == [second.schema] == [f"wa_{first.n}_2"]
    table = sql.Identifier(second.schema, "whatsmeow_version")
    assert admin.execute(sql.SQL("SELECT version, compat FROM {}").format(table)).fetchone() == (7, 7)


def test_a_session_under_an_old_token_is_ended_and_finds_nothing(
    state_url: StateUrl, admin: psycopg.Connection, start_worker: StartWorker
) -> None:
    worker, peer = start_worker(), start_worker()
    worker.want([SHOP, BAR])
    old, other = worker.claim(10)
    with session_of(state_url, old) as session, session_of(state_url, other) as unconcerned:
        worker.give_away([old])
        (new,) = peer.claim(10)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT * FROM whatsmeow_version")
        unconcerned.execute("SELECT * FROM whatsmeow_version")
    with session_of(state_url, old) as late, pytest.raises(psycopg.errors.UndefinedTable):
        late.execute("SELECT * FROM whatsmeow_version")
    with session_of(state_url, new) as session:
        session.execute("SELECT * FROM whatsmeow_version")
        assert peer.mine() == [new]
        session.execute("SELECT 1")  # that of the owner goes on


def test_sessions_of_another_database_are_left_alone(
    state_url: StateUrl, state_server: Postgres, start_worker: StartWorker
) -> None:
    """Numbers begin at 1 in each: those of another fleet on this server have the same names."""
    worker, peer = start_worker(), start_worker()
    worker.want([SHOP])
    (old,) = worker.claim(1)
    elsewhere = psycopg.connect(
        state_server.dsn("postgres"), dbname="postgres", application_name=old.application_name, autocommit=True
    )
    with elsewhere as session:
        worker.give_away([old])
        assert len(peer.claim(1)) == 1
        session.execute("SELECT 1")


def test_two_that_claim_at_once_never_get_the_same(start_worker: StartWorker, admin: psycopg.Connection) -> None:
    workers = [start_worker() for _ in range(4)]
    names = [InstanceId(f"i{n}") for n in range(60)]
    workers[0].want(names)
    start = threading.Barrier(4)

    def claim(worker: Claims) -> list[Claimed]:
        start.wait()
        return [each for _ in range(8) for each in worker.claim(5)]

    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(claim, workers))
    assert sorted(each.instance for part in got for each in part) == sorted(names)
    for worker, part in zip(workers, got, strict=True):
        assert sorted(worker.mine(), key=lambda each: each.instance) == sorted(part, key=lambda each: each.instance)
    assert len(schemas(admin)) == 60


def test_a_transaction_of_the_journal_puts_off_the_end_of_its_worker(
    state_url: StateUrl, admin: psycopg.Connection, start_worker: StartWorker
) -> None:
    worker, peer = start_worker(), start_worker()
    with connect(state_url, "journal") as journal, ThreadPoolExecutor(1) as pool:
        with journal.transaction():
            journal.execute("SELECT 1 FROM workers WHERE id = %s FOR KEY SHARE", (worker.me,))
            assert worker.renew(1, through=True, draining=False), "a renewal does not wait for it"
            die(admin, worker)
            reaping = pool.submit(peer.reap)
            blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while admin.execute(blocked).fetchone() != (1,):
                assert not reaping.done()
                time.sleep(0.005)
        assert reaping.result(5) == 1
        with journal.transaction():
            assert journal.execute("SELECT 1 FROM workers WHERE id = %s FOR KEY SHARE", (worker.me,)).fetchone() is None


def test_a_transaction_that_does_not_end_is_ended(
    state_url: StateUrl, admin: psycopg.Connection, start_worker: StartWorker
) -> None:
    """As of a worker whose host hangs."""
    worker, peer = start_worker(), start_worker()
    with connect(state_url, f"journal {worker.me}") as journal:
        journal.execute("BEGIN")
        journal.execute("SELECT 1 FROM workers WHERE id = %s FOR KEY SHARE", (worker.me,))
        die(admin, worker)
        with pytest.raises(StateError):
            peer.reap()
        assert peer.reap() == 1
        with pytest.raises(psycopg.OperationalError):
            journal.execute("COMMIT")


def test_giving_away_needs_the_token(admin: psycopg.Connection, start_worker: StartWorker) -> None:
    worker, peer = start_worker(), start_worker()
    worker.want([SHOP])
    (claimed,) = worker.claim(1)
    peer.give_away([claimed])
    worker.give_away([Claimed(SHOP, claimed.token - 1)])
    assert row_of(admin, SHOP) == (worker.me, 1, 1)
    worker.give_away([claimed])
    assert row_of(admin, SHOP) == (None, 1, 0)
    assert [each.token for each in peer.claim(1)] == [2], "at once"


def test_a_look_counts(admin: psycopg.Connection, start_worker: StartWorker) -> None:
    worker, peer, dead = start_worker(), start_worker(3), start_worker()
    assert {each.capacity for each in worker.look().peers} == {3, UNLIMITED}
    names = [InstanceId(f"i{n}") for n in range(9)]
    worker.want(names)
    mine = worker.claim(3)
    peer.claim(2)
    dead.claim(1)
    die(admin, dead)
    peer.renew(3, through=True, draining=True)
    worker.unwant([mine[0].instance])
    assert worker.look() == View(8, 3, 1, 3, 3, (mine[0].instance,), (Peer(3, 2, True, True),))
    worker.reap()
    admin.execute("UPDATE instances SET not_before = '-infinity'")
    assert worker.look().claimable == 4


def test_an_instance_that_never_gets_through_is_held(admin: psycopg.Connection, start_worker: StartWorker) -> None:
    start_worker().want([SHOP])
    for n in range(MOST_CLAIMS):
        admin.execute("UPDATE instances SET not_before = '-infinity'")
        worker = start_worker()
        assert [each.token for each in worker.claim(1)] == [n + 1]
        die(admin, worker)
        worker.reap()
    last = start_worker()
    assert last.claim(1) == [], "its pause"
    admin.execute("UPDATE instances SET not_before = '-infinity'")
    assert last.claim(1) == []
    row = admin.execute("SELECT extract(epoch FROM not_before - clock_timestamp())::float8 FROM instances").fetchone()
    assert row is not None
    assert CLAIMS_WINDOW - 5 < row[0] <= CLAIMS_WINDOW


def test_getting_through_begins_the_count_anew(admin: psycopg.Connection, start_worker: StartWorker) -> None:
    worker, peer = start_worker(), start_worker()
    worker.want([SHOP])
    worker.claim(1)
    peer.proven([SHOP])
    assert row_of(admin, SHOP)[2] == 1, "it is not that worker's"
    worker.proven([SHOP])
    assert row_of(admin, SHOP)[2] == 0
    die(admin, worker)
    peer.reap()
    assert peer.claim(1), "without a pause"


def test_keys_under_a_token_that_nobody_expects_are_not_replaced_by_none(
    admin: psycopg.Connection, start_worker: StartWorker
) -> None:
    worker = start_worker()
    worker.want([SHOP, BAR])
    (one, two) = worker.claim(2)
    admin.execute(
        sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(sql.Identifier(one.schema), sql.Identifier(f"wa_{one.n}_9"))
    )
    worker.give_away([one, two])
    assert [each.instance for each in worker.claim(2)] == [two.instance], "the other one is not concerned"
    assert row_of(admin, one.instance)[:2] == (None, 1)
    assert f"wa_{one.n}_9" in schemas(admin)


def test_what_a_person_has_let_go_of_is_not_wanted_by_a_list(
    admin: psycopg.Connection, start_worker: StartWorker
) -> None:
    worker = start_worker()
    worker.want([SHOP])
    worker.unwant([SHOP])
    admin.execute("INSERT INTO let_go VALUES (%s, 0)", (SHOP,))
    worker.want([SHOP])
    assert worker.claim(1) == []
    admin.execute("DELETE FROM let_go")
    worker.want([SHOP])
    assert len(worker.claim(1)) == 1


def test_wanting_what_is_known_uses_up_no_numbers(admin: psycopg.Connection, start_worker: StartWorker) -> None:
    worker = start_worker()
    for _ in range(5):
        worker.want([SHOP])
    worker.unwant([SHOP])
    assert worker.claim(1) == []
    worker.want([SHOP, BAR])
    assert [row[0] for row in admin.execute("SELECT n FROM instances ORDER BY n")] == [1, 2]
    assert len(worker.claim(2)) == 2


def test_a_worker_that_leaves_frees_what_it_had(start_worker: StartWorker) -> None:
    worker, peer = start_worker(), start_worker()
    worker.want([SHOP])
    worker.claim(1)
    worker.leave()
    assert peer.look().peers == ()
    assert not worker.renew(1, through=False, draining=False)


def test_a_connection_that_was_cut_is_replaced(admin: psycopg.Connection, start_worker: StartWorker) -> None:
    worker = start_worker()
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE %s", (f"%{worker.me}%",)
    )
    with pytest.raises(StateError) as error:
        worker.look()
    assert "password" not in str(error.value)
    assert worker.renew(1, through=False, draining=False)


def test_what_a_person_has_let_go_of_is_wanted_by_nobody_until_it_is_taken_up(
    admin: psycopg.Connection, start_worker: StartWorker
) -> None:
    worker, peer = start_worker(), start_worker()
    worker.want([SHOP])
    admin.execute("INSERT INTO let_go VALUES (%s, 1), ('new', 1)", (SHOP,))
    worker.unwant([SHOP])
    peer.want([SHOP, InstanceId("new")])  # the proxy lists them
    assert peer.claim(10) == []
    admin.execute("DELETE FROM let_go")
    peer.want([SHOP, InstanceId("new")])
    assert {each.instance for each in peer.claim(10)} == {SHOP, "new"}
