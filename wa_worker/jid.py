"""Addresses: what a proxy may write as a destination, and how the JIDs of a message are told apart.

Pure. WhatsApp knows a person by a phone number JID (`5511...@s.whatsapp.net`) and, more and more, by a LID
(`...@lid`), a number that is not a phone number. We never turn one into the other by writing digits: a mapping
either came with the event, is in the session store, or is not known.
"""

from __future__ import annotations

import re

from wa_worker.errors import Failure, RowError
from wa_worker.models import Jid

USER = "s.whatsapp.net"
GROUP = "g.us"
LID = "lid"

_DECORATION = re.compile(r"[\s().\-\u00a0\u2011\u2010]+")  # '+55 (11) 98888-0005': what people put between digits
_DIGITS = re.compile(r"[0-9]{5,20}")
_GROUP_USER = re.compile(r"[0-9]{5,25}(-[0-9]{5,15})?")  # old groups: <creator>-<unix time>
_MIN_PHONE, _MAX_PHONE = 7, 15  # E.164 allows 15 digits; the shortest real international numbers have 7


def destination(text: str) -> Jid:
    """Returns the address to send to: a phone number as people write it, or a JID of a person, a LID or a group.

    Raises RowError. A device part (`5511...:3@...`) is dropped: a message goes
    to the person. `00` in front of an international number is read as `+`.
    """
    text = text.strip()
    user, at, server = text.rpartition("@")
    if not at:
        return Jid(f"{_phone(text)}@{USER}")
    server = server.lower()
    if server in (USER, "c.us"):  # c.us is the old name of the same server
        return Jid(f"{_phone(_person(user))}@{USER}")
    if server == LID:
        user = _person(user)
        if _DIGITS.fullmatch(user):
            return Jid(f"{user}@{LID}")
        raise RowError(Failure.BAD_LID)
    if server == GROUP:
        if _GROUP_USER.fullmatch(user):
            return Jid(f"{user}@{GROUP}")
        raise RowError(Failure.BAD_GROUP)
    raise RowError(Failure.BAD_SERVER)


def _person(user: str) -> str:
    """Returns the user part of a JID without its agent and device: `5511....0:3` is `5511...`."""
    user = user.partition(":")[0]
    head, dot, agent = user.rpartition(".")
    return head if dot and agent.isdigit() and len(agent) <= 3 and head.isdigit() else user


def _phone(text: str) -> str:
    international = text.lstrip().startswith("+")
    digits = _DECORATION.sub("", text.strip().removeprefix("+"))
    if not digits.isascii() or not digits.isdigit():
        raise RowError(Failure.BAD_NUMBER)
    if not international and digits.startswith("00"):
        digits = digits[2:]
    if not _MIN_PHONE <= len(digits) <= _MAX_PHONE or digits.startswith("0"):
        raise RowError(Failure.BAD_NUMBER)
    return digits


def is_lid(jid: str) -> bool:
    _, at, server = jid.rpartition("@")
    return bool(at) and server == LID


def masked(text: str) -> str:
    """Returns the text with every phone-like run of digits masked but for its last four: for logs (P8).

    Rather one number too many than one too few, so long runs of any digits count; addresses such as 10.0.0.1 do not.
    """
    return _DIGIT_RUN.sub(_mask, text)


_DIGIT_RUN = re.compile(r"\+?[0-9](?:(?:\\t|[ \t()\-\u00a0\u2010\u2011]|\.(?=[0-9]{2})){0,3}[0-9]){6,}")
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")


def _mask(match: re.Match[str]) -> str:
    run = match[0]
    digits = "".join(c for c in run if c.isdigit())
    before_at = match.string[match.end() : match.end() + 1] in ("@", ":")
    least = 7 if run.startswith("+") or (before_at and run.isdigit()) else 8 if run.isdigit() else 9
    if len(digits) < least or _IPV4.fullmatch(run):
        return run
    return "***" + digits[-4:]
