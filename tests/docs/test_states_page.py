"""docs/states.md is what the state table says."""

from __future__ import annotations

import pytest

from wa_worker.dev.states import PAGE, page
from wa_worker.models import NextStep, Reason
from wa_worker.states import CONDITIONS, REASONS, TABLE, Event, State


def test_the_page_is_that_of_the_table() -> None:
    assert PAGE.read_text() == page(), "stale: run `python -m wa_worker.dev.states`"


@pytest.mark.parametrize("state", list(State), ids=lambda state: state.name)
def test_a_state_has_its_row_and_its_moves(state: State) -> None:
    text = page()
    condition = CONDITIONS[state]
    (row,) = [line for line in text.partition("## What")[0].splitlines() if line.startswith(f"| `{state.value}` |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells[1]) > 10, "its meaning"
    assert cells[2:4] == [f"`{condition.status.value}`", condition.health.value]
    moves = text.partition(f"### From `{state.value}`")[2].partition("##")[0]
    said = {line.split("|")[1].strip() for line in moves.splitlines() if line.startswith("| ")} - {"event", "---"}
    assert said == {event.value for event in Event if (state, event) in TABLE}


def test_each_policy_in_use_is_explained() -> None:
    pauses = page().partition("## Pauses")[2]
    used = {move.pause for move in TABLE.values() if move.pause is not None}
    rows = [line for line in pauses.splitlines() if line.startswith("| ") and line[2].isupper()]
    assert len(rows) == len(used)
    assert all(len(line.split("|")[2].strip()) > 10 for line in rows), "what each is for"


@pytest.mark.parametrize("word", [*Reason, *NextStep], ids=str)
def test_each_word_for_the_proxy_is_explained(word: Reason | NextStep) -> None:
    reasons = page().partition("## Reasons")[2].partition("## Pauses")[0]
    head = "| reason |" if isinstance(word, Reason) else "| action |"
    rows = [line for line in reasons.partition(head)[2].partition("\n\n")[0].splitlines() if f"| `{word}` |" in line]
    (row,) = rows
    assert len(row.split("|")[2].strip()) > 10, "its meaning"


def test_a_move_has_its_reason() -> None:
    moves = page().partition("### From `connected`")[2].partition("##")[0]
    (row,) = [line for line in moves.splitlines() if line.startswith(f"| {Event.BANNED.value} |")]
    why = REASONS[State.HELD, Event.BANNED]
    assert [cell.strip() for cell in row.strip("|").split("|")][-2:] == [f"`{why.reason}`", f"`{why.action}`"]
