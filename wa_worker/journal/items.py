"""Defines what a person sees of the journal, and what they may decide about it: values, no file.

A message has a short, stable id: `in:SEQ` for a received one, `out:SEQ` for one to send.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from wa_worker.errors import Failure
from wa_worker.journal.states import STATES, InboxState, SendState, State
from wa_worker.messages import InboundMessage
from wa_worker.models import MessageId

BY_A_PERSON = Failure.DISCARDED.value
"""The error of a message that was discarded. The proxy gets it with /mark-failed."""


OVER: tuple[State, ...] = (InboxState.POSTED, SendState.MARKED)
"""States of rows that are kept only to recognise a repeat."""

LISTED = tuple(state for state in STATES if state not in OVER)
"""States of rows that need attention or wait."""

RETRIED_AS: Mapping[State, State] = {
    InboxState.DEAD: InboxState.PENDING,
    SendState.FAILED: SendState.WAITING,
    SendState.UNCERTAIN: SendState.WAITING,
}
DISCARDED_AS: Mapping[State, State] = {
    InboxState.DEAD: InboxState.POSTED,
    InboxState.PENDING: InboxState.POSTED,
    SendState.UNCERTAIN: SendState.FAILED,
}


@attrs.frozen
class ItemId:
    """Describes the id `in:SEQ` or `out:SEQ`. No sequence number is used twice."""

    box: str
    seq: int

    @classmethod
    def parse(cls, text: str) -> ItemId:
        """Reads an id. Raises ValueError, which says what one looks like."""
        box, _, seq = text.partition(":")
        if box not in ("in", "out") or not seq.isascii() or not seq.isdigit() or len(seq) > 18:
            raise ValueError(f"{text!r} is no id: they look like in:17 and out:4, see `wa-worker journal list`")
        return cls(box, int(seq))

    def __str__(self) -> str:
        return f"{self.box}:{self.seq}"


@attrs.frozen
class InboundItem:
    """Describes a received message. Times are unix seconds. `message` is None once it was posted or discarded."""

    id: ItemId
    state: State
    instance: str
    chat: str = attrs.field(repr=False)
    wa_id: str
    message: InboundMessage | None
    rejections: int
    error: str | None = attrs.field(repr=False)
    since: float
    """When it was received."""
    changed_at: float | None


@attrs.frozen
class OutboundItem:
    """Describes a message to send, without its body: that is in the proxy's queue. Times are unix seconds."""

    id: ItemId
    state: State
    message_id: MessageId
    instance: str
    chat: str | None = attrs.field(repr=False)
    wa_id: str | None
    attempts: int
    doubts: int
    not_before: float
    error: str | None = attrs.field(repr=False)
    reported: bool
    since: float
    """When the proxy first listed it."""
    changed_at: float


Item = InboundItem | OutboundItem


@attrs.frozen
class Outcome:
    """Describes the result of a decision. `now` None: nothing was done. `was` None: there is no such message."""

    id: ItemId
    was: State | None
    now: State | None = None
    refused: str = ""
    reported: bool = False
    """The proxy knew that it had failed, so it does not list it any more."""


@attrs.frozen
class Stats:
    """Counts by instance and state; ages of what waits longest, in unix seconds; size with the write-ahead log."""

    counts: Mapping[str, Mapping[State, int]]
    oldest_pending: float | None
    oldest_unreported: float | None
    size: int
