"""How fast an instance may write, and to whom first: the setting PACE as values, and why something is held back."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from wa_worker.models import InstanceId, Jid, MessageId


class HeldReason(enum.StrEnum):
    """Says why a message is held back: the closed list of what the proxy hears as `reason`, and a label of metrics.

    They are named as the settings that they come of. A word that was released is not changed.
    """

    RATE = "rate"
    """`per_minute`: all messages of the instance."""
    UNKNOWN_RATE = "unknown_rate"
    """`unknown_per_minute`: messages to people who have not written to the account."""
    FIRST_PER_DAY = "first_per_day"
    """The day's first messages are used up; of a number that was linked lately, they are fewer."""
    RESTRICTED = "restricted"
    """WhatsApp has refused a first message (error 463): no other is tried for an hour."""


@attrs.frozen
class PaceLimits:
    """Holds the parts of PACE. The defaults are a guess on the careful side: WhatsApp tells nobody its own limits
    (docs/ban-safety.md)."""

    per_minute: int = 12
    """Messages in any minute, to whomever."""
    unknown_per_minute: int = 2
    """Of these, those to people who have not written to the account."""
    first_per_day: int = 30
    """People in any 24 hours to whom it writes first."""
    warm_up_days: int = 14
    """Days from the linking of the number on in which `first_per_day` grows from one share to the whole."""


_BOUNDS: Mapping[str, tuple[int, int]] = {
    "per_minute": (1, 600),
    "unknown_per_minute": (1, 600),
    "first_per_day": (0, 10_000),
    "warm_up_days": (0, 365),
}

OFF, ON = "off", "on"

_FORM = "PACE is off, on, or a list such as per_minute=12,first_per_day=30"


def pace_limits(text: str) -> PaceLimits | None:
    """Reads PACE: `off`, `on`, or a list of parts, of which those that are missing have their default. None: off.

    Raises ValueError, whose text goes on after the name of the setting.
    """
    if text.lower() == OFF:
        return None
    if text.lower() == ON:
        return PaceLimits()
    given: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        name = name.lower()
        if not equals or name not in _BOUNDS:
            raise ValueError(f"has {part!r}, which is no part of it: {', '.join(_BOUNDS)}. {_FORM}")
        if name in given:
            raise ValueError(f"has {name} twice; keep one")
        low, high = _BOUNDS[name]
        if not value.isascii() or not value.isdigit() or len(value) > len(str(high)) or not low <= int(value) <= high:
            raise ValueError(f"has {part!r}, whose value is not a whole number from {low} to {high}")
        given[name] = int(value)
    if not given:
        raise ValueError(f"has no part. {_FORM}")
    return PaceLimits(**given)


@attrs.frozen
class HeldMessage:
    """Says of a queued message that it is held back, and until when (unix seconds): it is looked at again then."""

    instance: InstanceId
    message_id: MessageId
    chat: Jid = attrs.field(repr=False)
    reason: HeldReason
    until: float
