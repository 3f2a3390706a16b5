"""What it means that the library's loop ended by itself: from its error text, and the refusal that it logged before.

Pure. neonize ends its loop at the first event that it cannot write as a protobuf, and its enums are required fields: a
code of WhatsApp's that neonize has no name for is such an event (`EncodeTemporaryBan` and `EncodeConnectFailureReason`
in its encoder.go). So an unknown code arrives as the text of an error, and what is known of it stands in the line that
whatsmeow logs before (`handleConnectFailure` in its connectionevents.go).
"""

from __future__ import annotations

import re

import attrs

from wa_worker.states import Event, Report
from wa_worker.whatsapp.events import UNKNOWN, ban_seconds

UNWRITTEN = "proto: required field"
"""How the text begins when the loop came to an event that it cannot write."""

_BAN = "neonize.TemporaryBan.Code not set"
RECEIPT = "neonize.Receipt."
"""What the text has when the event was a receipt: of a type that neonize has no name for."""

GROUPS = re.compile(r"neonize\.(Group|JoinedGroup)")
"""The same of what changed in a group: communities are linked in kinds that neonize may have no name for."""

_FAILURE = "neonize.ConnectFailure.Reason not set"

_REFUSALS = ("Temporary ban connect failure: <failure ", "Unknown connect failure: <failure ")
_ATTRIBUTE = re.compile(r' (reason|code|expire)="(\d{1,18})"')


@attrs.frozen
class Refusal:
    """The numbers of a `<failure>` that WhatsApp answered a login with. None: it was not there, or no number."""

    reason: int | None = None
    code: int | None = None
    expire: int | None = None


def refusal(line: str) -> Refusal | None:
    """Reads a line of whatsmeow's log. None if it speaks of something else."""
    if not line.startswith(_REFUSALS):
        return None
    return Refusal(**{name: int(number) for name, number in _ATTRIBUTE.findall(line)})


def loop_ended(error: str, told: Refusal | None, *, logged_in: bool) -> Report:
    """Says what to report. `told`: the last refusal in the log; `logged_in`: whether the loop had begun."""
    told = told or Refusal()
    if _BAN in error:
        name = UNKNOWN if told.code is None else f"reason {told.code}"
        return Report(Event.BANNED, name, ban_seconds(told.expire or 0))
    if _FAILURE in error:
        return Report(Event.REFUSED, UNKNOWN if told.reason is None else f"reason {told.reason}")
    if logged_in or UNWRITTEN in error:
        return Report(Event.LOOP_ENDED, error)
    return Report(Event.OPEN_FAILED, error)
