from __future__ import annotations

import psycopg
import pytest

from wa_worker.postgres.url import StateUrl

GOOD = "postgres://wa_worker:s%40cret@db.example:6543/wa_state"


def test_it_is_read_and_written_again_with_more() -> None:
    url = StateUrl.of(GOOD)
    assert (url.host, url.port, url.database, url.user) == ("db.example", 6543, "wa_state", "wa_worker")
    assert url.password.reveal() == "s@cret"
    assert url.with_options(search_path="wa_7_42", application_name="wa/7/42").reveal() == (
        "postgres://wa_worker:s%40cret@db.example:6543/wa_state"
        "?sslmode=require&connect_timeout=5&search_path=wa_7_42&application_name=wa%2F7%2F42"
    )


def test_what_people_see_of_it_has_no_password() -> None:
    url = StateUrl.of(GOOD)
    assert url.place == "db.example:6543/wa_state"
    assert "s@c" not in f"{url} {url!r} {url.with_options()!r}".replace("s%40c", "s@c")


@pytest.mark.parametrize(
    ("host", "query", "mode", "plain"),
    [
        ("127.0.0.1", "", "disable", False),
        ("localhost", "", "disable", False),
        ("[::1]", "", "disable", False),
        ("db.example", "", "require", False),
        ("db.example", "?sslmode=verify-full", "verify-full", False),
        ("db.example", "?sslmode=disable", "disable", True),
        ("", "?host=/run/postgresql", "disable", False),
    ],
)
def test_something_is_always_said_of_tls(host: str, query: str, mode: str, plain: bool) -> None:
    url = StateUrl.of(f"postgres://me:pw@{host}/db{query}")
    assert (url.options["sslmode"], url.is_plain) == (mode, plain)
    assert StateUrl.of(url.with_options().reveal()) == url


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mysql://me:pw@host/db", "is not a postgres:// URL"),
        ("postgres://me:pw@host", "names no database"),
        ("postgres://host/db", "names no user"),
        ("postgres://me:pw@/db", "names no host"),
        ("postgres://me:pw@host:x/db", "percent-encoded"),
        ("postgres://me:p#w@host/db", "has a '#'|percent-encoded"),
        ("postgres://me:pw@one,two/db", "several hosts"),
        ("postgres://me:pw@host/db?sslmode=prefer", "sslmode=prefer"),
        ("postgres://me:pw@host/db?search_path=x", "'search_path'"),
        ("postgres://me:pw@host/db?nonsense", "query that cannot be read"),
        ("postgres://me:pw@host/db?connect_timeout=0", "connect_timeout"),
    ],
)
def test_a_bad_one_is_named_without_its_password(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        StateUrl.of(text)
    assert "pw" not in str(caught.value)


def test_psycopg_reads_it_alike() -> None:
    read = psycopg.conninfo.conninfo_to_dict(StateUrl.of(GOOD).with_options().reveal())
    assert (read["host"], str(read["port"]), read["dbname"], read["user"], read["password"]) == (
        "db.example",
        "6543",
        "wa_state",
        "wa_worker",
        "s@cret",
    )
