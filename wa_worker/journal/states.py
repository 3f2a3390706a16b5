"""The states of the journal's rows, a set for each table, and the conditions on them that have an index.

SQLite uses a partial index only for a condition that it can read: states are written into SQL, not bound, and a query
takes the words of its index's WHERE clause from here.
"""

from __future__ import annotations

import enum


class InboxState(enum.StrEnum):
    """Says how far a received message has come."""

    PENDING = "pending"
    """The proxy does not have it yet."""
    POSTED = "posted"
    """`/inbound` has accepted it, or a person has discarded it."""
    DEAD = "dead"
    """The proxy refuses it for good: a person decides."""

    @property
    def box(self) -> str:
        """Returns the first half of such a row's id."""
        return "in"


class SendState(enum.StrEnum):
    """Says how far a message to send has come."""

    WAITING = "waiting"
    INTENT = "intent"
    """It is handed to the library."""
    SENT = "sent"
    """WhatsApp has accepted it, and the proxy has yet to hear so."""
    MARKED = "marked"
    """The proxy has heard so."""
    FAILED = "failed"
    """It will not be sent. The column `reported` says whether the proxy has heard so."""
    UNCERTAIN = "uncertain"
    """It may have left, and is held: a person decides."""

    @property
    def box(self) -> str:
        """Returns the first half of such a row's id."""
        return "out"


State = InboxState | SendState

STATES: tuple[State, ...] = (
    InboxState.DEAD,
    SendState.UNCERTAIN,
    SendState.FAILED,
    InboxState.PENDING,
    SendState.WAITING,
    SendState.INTENT,
    SendState.SENT,
    InboxState.POSTED,
    SendState.MARKED,
)
"""Every state, those that need a person first."""


def state_of(word: str) -> State:
    """Finds the state by its word, which no two share. Raises KeyError."""
    return _BY_WORD[word]


_BY_WORD = {state.value: state for state in STATES}

PENDING = f"state = '{InboxState.PENDING}'"
"""The index inbox_pending."""

DEAD = f"state = '{InboxState.DEAD}'"
"""The index inbox_dead."""

DECIDED = f"state <> '{InboxState.PENDING}'"
"""The index inbox_settled."""

UNREPORTED = f"(state = '{SendState.SENT}' OR (state = '{SendState.FAILED}' AND reported = 0))"
"""The index ledger_unreported."""

ATTENTION = f"state IN ('{SendState.WAITING}', '{SendState.INTENT}', '{SendState.FAILED}', '{SendState.UNCERTAIN}')"
"""The index ledger_attention."""

ADDED = "json_insert(coalesce(maybe_ids, '[]'), '$[#]', :maybe_id)"
"""The ids under which a message may have left, with one more."""

FOR_UPDATE = "/* postgres: FOR UPDATE */"
"""Ends a query whose rows are changed next. With SQLite a transaction has the whole file to itself."""

SKIP_LOCKED = "/* postgres: FOR UPDATE SKIP LOCKED */"
"""Ends a query whose rows are forgotten next: several workers tidy up, and none waits for another."""

FORGETTABLE = f"state IN ('{SendState.WAITING}', '{SendState.MARKED}', '{SendState.FAILED}', '{SendState.UNCERTAIN}')"
"""The index ledger_settled: rows that are not needed for ever."""
