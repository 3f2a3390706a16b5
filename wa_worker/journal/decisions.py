"""Carries out on a row what a person decides about the message: to try it again, or to give it up.

Owns which rows change, and why the others do not. The transactions are review.py's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import attrs

from wa_worker.journal.database import Sql
from wa_worker.journal.items import BY_A_PERSON, DISCARDED_AS, RETRIED_AS, ItemId, Outcome
from wa_worker.journal.states import FOR_UPDATE, InboxState, SendState, State, state_of


@attrs.frozen
class Decision:
    """Says what a decision changes. `moves`: from which state to which. `updates`: the SQL, by box.

    `why_not` gives the reason for which a row in any other state is not changed.
    """

    moves: Mapping[State, State]
    updates: Mapping[str, str]
    why_not: Callable[[State], str]


def carry_out(decision: Decision, id: ItemId, sql: Sql) -> Outcome:  # noqa: A002
    """Changes the row of `id`, within the caller's transaction. Raises the database's own errors."""
    row = sql.execute(_STATE[id.box], (id.seq,)).fetchone()
    if row is None:
        return Outcome(id, None, refused="there is no such message (settled ones are forgotten after a week)")
    was, reported, empty = state_of(row[0]), bool(row[1]), bool(row[2])
    if was not in decision.moves:
        return Outcome(id, was, refused=decision.why_not(was))
    now = decision.moves[was]
    if now is InboxState.PENDING and empty:
        return Outcome(id, was, refused="its content was discarded: nothing is left to post")
    sql.execute(decision.updates[id.box], {"seq": id.seq, "now": time.time(), "error": BY_A_PERSON})
    return Outcome(id, was, now, reported=reported)


_STATE = {
    "in": f"SELECT state, 0, message IS NULL FROM inbox WHERE seq = ? {FOR_UPDATE}",
    "out": f"SELECT state, state = '{SendState.FAILED}' AND reported = 1, 0 FROM ledger WHERE seq = ? {FOR_UPDATE}",
}


def _why_not_retried(state: State) -> str:
    match state:
        case SendState.SENT | SendState.MARKED:
            return f"it is {state.value}: WhatsApp accepted it, it is never sent again"
        case SendState.INTENT:
            return "it is being sent right now"
        case InboxState.POSTED:
            return "it is posted: the proxy has it, or it was discarded"
    return f"it is {state.value}: it will be tried anyway"


def _why_not_discarded(state: State) -> str:
    match state:
        case SendState.WAITING:
            return "it is waiting: take it out of the proxy's queue instead"
        case SendState.INTENT:
            return "it is being sent right now"
    return f"it is {state.value}: that is over"


RETRY = Decision(
    RETRIED_AS,
    {
        "in": f"UPDATE inbox SET state = '{InboxState.PENDING}', rejections = 0, error = NULL, settled_at = NULL"
        " WHERE seq = :seq",
        "out": f"UPDATE ledger SET state = '{SendState.WAITING}', attempts = 0, not_before = 0, reported = 0,"
        " changed_at = :now WHERE seq = :seq",
    },
    _why_not_retried,
)

DISCARD = Decision(
    DISCARDED_AS,
    {
        "in": f"UPDATE inbox SET state = '{InboxState.POSTED}', message = NULL, error = :error, settled_at = :now"
        " WHERE seq = :seq",
        "out": f"UPDATE ledger SET state = '{SendState.FAILED}', error = :error, reported = 0, changed_at = :now"
        " WHERE seq = :seq",
    },
    _why_not_discarded,
)
