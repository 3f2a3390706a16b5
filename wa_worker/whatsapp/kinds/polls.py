"""Polls, and votes in them. Pure.

A vote is encrypted once more, with a key that came with the poll, and names the options by their hashes: poll_votes.py
looks for the poll. Here it says only that somebody has voted in it.
"""

from __future__ import annotations

from collections.abc import Callable

from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from wa_worker.messages import Poll, PollVote
from wa_worker.whatsapp.kinds.content import NOTHING, Content
from wa_worker.whatsapp.kinds.limits import SHORT, clipped, whole
from wa_worker.whatsapp.kinds.words import words

MOST_OPTIONS = 100
"""Options of a poll that are handed on; phones write 12 at the most."""


def _poll_in(field: str) -> Callable[[Message], Content]:
    def read(message: Message) -> Content:
        poll = getattr(message, field)
        options = tuple(each.optionName[:SHORT] for each in poll.options[:MOST_OPTIONS])
        found = Poll(poll.name[:SHORT], options, whole(poll.selectableOptionsCount) or 0)
        return Content("poll", words(poll), poll=found)

    return read


POLLS: dict[str, Callable[[Message], Content]] = {
    field: _poll_in(field)
    for field in (
        "pollCreationMessage",
        "pollCreationMessageV2",
        "pollCreationMessageV3",
        "pollCreationMessageV5",
        "pollCreationMessageV6",
    )
}
"""By the field of the message."""


def vote(message: Message) -> Content:
    """Returns a vote; nothing if it does not say in which poll."""
    poll = clipped(message.pollUpdateMessage.pollCreationMessageKey.ID)
    return Content("poll_vote", poll_vote=PollVote(poll)) if poll else NOTHING
