"""What `wa-worker check` says of the database of STATE_URL: a real PostgreSQL, and what is judged of others."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Any

import attrs
import psycopg
import pytest

from tests.check.results import by_name
from tests.check.test_configuration import GOOD
from tests.postgres.test_pooler import needs_pgbouncer
from tests.postgres_pooler import open_pooler
from tests.postgres_server import Postgres
from tests.state_fixture import SUPERUSER
from wa_worker.check.configuration import read_configuration
from wa_worker.check.result import Grade, Result
from wa_worker.check.state import (
    NAMES,
    check_state,
    judge_connections,
    judge_durability,
    judge_format,
    judge_role,
    judge_server,
    judge_tls,
)
from wa_worker.check.state_facts import Connections, Facts, read_facts
from wa_worker.models import Secret
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.fitness import POOLER
from wa_worker.postgres.migrations import FORMAT, upgrade
from wa_worker.postgres.url import StateUrl

FACTS = Facts(
    version=15,
    trip=0.001,
    pooler=False,
    replica=False,
    tls="TLSv1.3",
    user="wa_worker",
    superuser=False,
    owns=True,
    creates=True,
    asks=True,
    format=FORMAT,
    known_format=FORMAT,
    durability={"fsync": "on", "synchronous_commit": "on"},
    connections=Connections(most=100, room=97, workers=1, instances=20),
)
URL = "postgres://wa_worker:secret@db.example/wa_state"


@attrs.frozen
class Case:
    """Facts that differ so are graded so, and these words are said."""

    facts: Facts
    grade: Grade
    found: str
    remedy: str = ""


def case(grade: Grade, found: str, remedy: str = "", **differs: Any) -> Case:
    return Case(attrs.evolve(FACTS, **differs), grade, found, remedy)


SERVER = [
    case(Grade.OK, "PostgreSQL 15 at db.example:5432/wa_state, 1.0 ms away"),
    case(Grade.OK, "behind a pooler in session mode, 1.0 ms", pooler=True),
    case(Grade.OK, "5.0 ms away", trip=0.005),
    case(Grade.WARN, "5.1 ms away", "in the workers' region", trip=0.0051),
    case(Grade.FAIL, "is a replica", "name the primary", replica=True),
]


@pytest.mark.parametrize("case", SERVER, ids=lambda case: case.found)
def test_how_far_and_what_it_is(case: Case) -> None:
    judged(judge_server(StateUrl.of(URL), case.facts), case)


TLS = [
    ("", "TLSv1.3", Grade.OK, "TLSv1.3, and whose certificate it is was not asked (sslmode=require)"),
    ("?sslmode=verify-full", "TLSv1.3", Grade.OK, "TLSv1.3 (sslmode=verify-full)"),
    ("?sslmode=disable", None, Grade.WARN, "can be read on the way"),
]


@pytest.mark.parametrize(("query", "version", "grade", "found"), TLS)
def test_whether_it_can_be_read_on_the_way(query: str, version: str | None, grade: Grade, found: str) -> None:
    judged(judge_tls(StateUrl.of(URL + query), version), Case(FACTS, grade, found))


def test_to_this_machine_it_needs_no_tls() -> None:
    here = StateUrl.of("postgres://wa_worker@127.0.0.1/wa_state")
    judged(judge_tls(here, None), Case(FACTS, Grade.OK, "none is needed"))


ROLE = [
    case(Grade.OK, "wa_worker owns the database"),
    case(Grade.OK, "wa_worker may make schemas in the database", owns=False),
    case(Grade.FAIL, "may make no schema", "OWNER", creates=False),
    case(Grade.WARN, "is a superuser", "of their own", superuser=True),
    case(Grade.FAIL, "pg_control_system", "GRANT EXECUTE", asks=False),
]


@pytest.mark.parametrize("case", ROLE, ids=lambda case: case.found)
def test_what_its_role_may(case: Case) -> None:
    judged(judge_role(case.facts), case)


FORMATS = [
    case(Grade.OK, f"{FORMAT}, that of this version"),
    case(Grade.OK, "empty; the first worker makes its tables", format=0),
    case(Grade.OK, f"1: the next worker that starts upgrades it to {FORMAT}", format=1),
    case(Grade.FAIL, "a newer wa-worker wrote the state", "run that version", format=FORMAT + 1),
]


@pytest.mark.parametrize("case", FORMATS, ids=lambda case: case.found)
def test_its_format(case: Case) -> None:
    judged(judge_format(case.facts), case)


def test_what_a_crash_may_take() -> None:
    judged(judge_durability(FACTS), Case(FACTS, Grade.OK, "fsync on, synchronous_commit on"))
    for name in ("fsync", "synchronous_commit"):
        facts = attrs.evolve(FACTS, durability={**FACTS.durability, name: "off"})
        judged(judge_durability(facts), Case(facts, Grade.WARN, f"{name} off: what was committed can be gone", name))


ROOM = [
    (44, 20, Grade.OK, "44 at the most (workers: 1, instances: 20)", ""),
    (43, 20, Grade.WARN, "room for 43 of 100", "never more than 19 are active"),
    (6, 20, Grade.WARN, "room for 6 of 100", "never more than 1 are active"),
    (5, 20, Grade.FAIL, "room for 5 of 100", "raise max_connections"),
    (5, 0, Grade.FAIL, "4 at the most", "raise max_connections"),
]


@pytest.mark.parametrize(("room", "instances", "grade", "found", "remedy"), ROOM)
def test_its_connections(room: int, instances: int, grade: Grade, found: str, remedy: str) -> None:
    judged(judge_connections(Connections(100, room, 0, instances)), Case(FACTS, grade, found, remedy))


def test_each_worker_needs_its_own_connections() -> None:
    assert "32 at the most (workers: 3, instances: 10)" in judge_connections(Connections(100, 97, 3, 10)).found


def judged(result: Result, case: Case) -> None:
    assert result.grade is case.grade
    assert case.found in result.found
    assert case.remedy in (result.remedy or "")
    assert (result.remedy is None) is (case.grade is Grade.OK)


async def test_a_database_as_it_should_be(state_url: StateUrl) -> None:
    found = by_name(await check_state(state_url))
    assert tuple(found) == NAMES
    assert {name: result.grade for name, result in found.items() if result.grade is not Grade.OK} == {
        "state durability": Grade.WARN  # the tests' server writes nothing through
    }
    assert found["state"].found.startswith("PostgreSQL ")
    assert found["state role"].found == f"{state_url.user} owns the database"
    assert found["state format"].found == "empty; the first worker makes its tables"
    assert found["state durability"].found.startswith("fsync off: ")


_USED = """
SELECT current_setting('superuser_reserved_connections')::int + count(*)::int
FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> %s
"""


def test_it_reads_what_is_there_and_changes_nothing(state_server: Postgres, state_url: StateUrl) -> None:
    with closing(connect(state_url, "test")) as sql:
        upgrade(sql)
        sql.execute("INSERT INTO instances (id, wanted) VALUES ('shop', true), ('pub', true), ('gone', false)")
        sql.execute(
            "INSERT INTO workers (id, host, version, capacity, expires_at) VALUES "
            "(gen_random_uuid(), 'a', '1', 1, clock_timestamp() + interval '1 min'), "
            "(gen_random_uuid(), 'b', '1', 1, clock_timestamp() - interval '1 min')"
        )
        with psycopg.connect(state_server.dsn(SUPERUSER), autocommit=True) as admin:
            facts = read_facts(state_url)
            assert (facts.format, facts.user) == (FORMAT, state_url.user)
            assert (facts.superuser, facts.owns, facts.creates, facts.asks) == (False, True, True, True)
            (used,) = admin.execute(_USED, (state_url.user,)).fetchone() or ()
            assert 0 <= facts.connections.most - used - facts.connections.room <= 3, "autovacuum's count there, too"
            assert (facts.connections.workers, facts.connections.instances) == (1, 2)
            admin.execute(f"ALTER ROLE {state_url.user} CONNECTION LIMIT 7")
            admin.execute(f"ALTER ROLE {state_url.user} SET synchronous_commit = off")
            facts = read_facts(state_url)
            assert facts.connections.room == 7
            assert facts.durability["synchronous_commit"] == "on", "our connections and the sessions' ask for it"
            admin.execute(f"ALTER DATABASE {state_url.database} OWNER TO {SUPERUSER}")
            facts = read_facts(state_url)
            assert (facts.owns, facts.creates) == (False, False)
            assert read_facts(attrs.evolve(state_url, user=SUPERUSER, password=Secret(state_server.password))).superuser


async def test_a_wrong_password_is_told_and_not_shown(state_url: StateUrl) -> None:
    found = await check_state(attrs.evolve(state_url, password=Secret("wr0ng-secret")))
    assert found[0].grade is Grade.FAIL
    assert "password authentication failed" in found[0].found
    assert [result.found for result in found[1:]] == ["not checked: STATE_URL does not work"] * (len(NAMES) - 1)
    assert "wr0ng" not in str(found)


async def test_nobody_answers(state_url: StateUrl) -> None:
    (first, *_) = await check_state(attrs.evolve(state_url, port=1))
    assert first.grade is Grade.FAIL
    assert "is STATE_URL right" in (first.remedy or "")


@needs_pgbouncer
async def test_a_pooler_in_transaction_mode(state_url: StateUrl) -> None:
    with open_pooler(state_url, "transaction") as pooled:
        (first, *_) = await check_state(pooled)
    assert (first.grade, first.remedy) == (Grade.FAIL, POOLER)
    assert "is a pooler in transaction mode" in first.found


async def test_psycopg_is_missing(state_url: StateUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for name in [name for name in sys.modules if name.startswith("wa_worker.check.state_facts")]:
        monkeypatch.delitem(sys.modules, name)
    (first, *_) = await check_state(state_url)
    assert (first.grade, first.found) == (Grade.FAIL, "psycopg is not installed")
    assert first.remedy == "pip install 'wa-worker[postgres]'"


def test_the_setting_is_read() -> None:
    assert read_configuration(GOOD).state_url is None
    assert read_configuration({**GOOD, "STATE_URL": "postgres://"}).state_url is None
    read = read_configuration({**GOOD, "STATE_URL": URL}).state_url
    assert read is not None
    assert read.place == "db.example:5432/wa_state"
