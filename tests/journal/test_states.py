"""The states in the code are those in the tables."""

from __future__ import annotations

import re

import pytest

from tests.journal.stores import ON_A_FILE
from wa_worker.journal import InboxState, Journal, SendState
from wa_worker.journal.states import STATES, state_of


@pytest.mark.parametrize(("table", "states"), [("inbox", InboxState), ("ledger", SendState)])
@ON_A_FILE
def test_a_table_takes_the_states_of_its_enum_and_no_other(
    journal: Journal, table: str, states: type[InboxState] | type[SendState]
) -> None:
    with journal.database.reading() as sql:
        (schema,) = sql.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    (allowed,) = re.findall(r"CHECK \(state IN \((.*?)\)\)", schema)
    assert set(allowed.split(", ")) == {f"'{state.value}'" for state in states}


def test_every_state_is_listed_once_and_found_by_its_word() -> None:
    assert sorted(STATES) == sorted([*InboxState, *SendState])
    assert [state_of(state.value) for state in STATES] == list(STATES)
