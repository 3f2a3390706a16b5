from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from wa_worker.errors import StateError
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.migrations import FORMAT, format_of, upgrade
from wa_worker.postgres.url import StateUrl


def test_workers_that_start_together_make_the_tables_once(state_url: StateUrl) -> None:
    def start(number: int) -> int:
        with connect(state_url, f"test {number}") as sql:
            upgrade(sql)
            return format_of(sql)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(start, range(6))) == [FORMAT] * 6


def test_a_newer_state_is_not_touched(state_url: StateUrl) -> None:
    with connect(state_url, "test") as sql:
        upgrade(sql)
        sql.execute("UPDATE format SET format = %s", (FORMAT + 1,))
        with pytest.raises(StateError, match="newer wa-worker"):
            upgrade(sql)
        assert format_of(sql) == FORMAT + 1


def test_a_database_without_our_schema_has_had_no_step(state_url: StateUrl) -> None:
    with connect(state_url, "test") as sql:
        assert format_of(sql) == 0
