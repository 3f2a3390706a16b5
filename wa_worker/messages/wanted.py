"""Which received messages go out only if somebody wants them: those that a bot would take for a customer's words."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from wa_worker.messages.inbound import InboundMessage


class Wanted(enum.Enum):
    """Names what a proxy may want: kinds of content, and what the account itself sends."""

    EDIT = "edit"
    REVOKE = "revoke"
    REACTION = "reaction"
    """Votes in polls, too."""
    CALL = "call"
    VIEW_ONCE = "view_once"
    FROM_ME = "from_me"


ALL = "all"

_KINDS = {kind.value: kind for kind in Wanted if kind is not Wanted.FROM_ME} | {"poll_vote": Wanted.REACTION}


def has_to_be_wanted(message: InboundMessage) -> frozenset[Wanted]:
    """Returns all that has to be wanted for this message to go out; most messages go out in any case."""
    kind = _KINDS.get(message.message_type)
    needed = {Wanted.FROM_ME} if message.from_me else set()
    return frozenset(needed if kind is None else needed | {kind})


def wanted(words: Iterable[object]) -> frozenset[Wanted]:
    """Reads words as a proxy writes them; those that mean nothing to this version are left out."""
    found = {word for word in words if isinstance(word, str)}
    return frozenset(each for each in Wanted if ALL in found or each.value in found)
