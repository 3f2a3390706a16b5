from __future__ import annotations

import attrs
import pytest

from wa_worker.errors import StateError
from wa_worker.models import Secret
from wa_worker.postgres.connecting import connect, state_errors
from wa_worker.postgres.url import StateUrl


def test_a_connection_of_ours_outlives_the_roles_idle_timeout_and_has_its_own_limits(state_url: StateUrl) -> None:
    with connect(state_url, "test", statement_timeout=1.5) as sql:
        settings = {
            name: sql.execute("SELECT current_setting(%s)", (name,)).fetchone()
            for name in ("search_path", "statement_timeout", "idle_session_timeout", "application_name")
        }
    assert settings == {
        "search_path": ("wa",),
        "statement_timeout": ("1500ms",),
        "idle_session_timeout": ("0",),
        "application_name": ("wa-worker test",),
    }


def test_a_refused_connection_names_the_place_and_not_the_password(state_url: StateUrl) -> None:
    wrong = attrs.evolve(state_url, password=Secret("not-the-password"))
    with pytest.raises(StateError) as caught:
        connect(wrong, "test")
    assert state_url.place in str(caught.value)
    assert "not-the-password" not in str(caught.value)


def test_what_the_server_refuses_is_a_state_error(state_url: StateUrl) -> None:
    nothing = pytest.raises(StateError, match='relation "nothing" does not exist')
    with connect(state_url, "test") as sql, nothing, state_errors(state_url):
        sql.execute("SELECT 1 FROM nothing")
