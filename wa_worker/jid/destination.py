"""What a proxy may write as a destination: a phone number as people write it, or a JID. Pure."""

from __future__ import annotations

import re
import unicodedata

from wa_worker.errors import Failure, RowError
from wa_worker.jid import numbering
from wa_worker.jid.servers import GROUP, LID, OLD_USER, USER
from wa_worker.models import Jid

_DASHES = "\\-\u00ad\u2010-\u2015\u2212"
_DECORATION = re.compile(rf"[\s().{_DASHES}]+")  # '+55 (11) 98888-0005': what people put between digits
_SCHEME = re.compile(r"(?:tel|whatsapp):", re.IGNORECASE)
_CARRIER = re.compile(r"(?<![0-9])0\s*xx", re.IGNORECASE)
"""Brazil's `0 XX 31 ...`, as it is printed: the X stand for a carrier that the caller chooses."""
_EXTENSION = re.compile(
    r"[\s,;]*(?:extens[aã]o|extension|extensión|extn?|ramal|anexo|r|x|\#)[\s.:=]*[0-9]{1,7}\s*$", re.IGNORECASE
)
_DIGITS = re.compile(r"[0-9]{5,20}")
_GROUP_USER = re.compile(r"[0-9]{5,25}(-[0-9]{5,15})?")  # old groups: <creator>-<unix time>
_LONGEST = 200
"""Characters of what can be an address at all: what is longer is not looked at."""
_MIN_PHONE, _MAX_PHONE = 7, 15  # E.164 allows 15 digits; the shortest real international numbers have 7
_INVISIBLE = {chr(code) for code in (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10))}
"""Marks that show nothing and are not of category Cf (Default_Ignorable_Code_Point in Unicode's tables)."""


def destination(text: str, region: str = numbering.DEFAULT_REGION) -> Jid:
    """Returns the address to send to: a phone number as people write it, or a JID of a person, a LID or a group.

    Raises RowError. A device part (`5511...:3@...`) is dropped: a message goes to the person. What cannot be seen is
    dropped, too. `00` in front of an international number is read as `+`; `region` is where a number without country
    code is dialled.
    """
    text = "".join(char for char in text if unicodedata.category(char) != "Cf" and char not in _INVISIBLE).strip()
    if len(text) > _LONGEST:
        raise RowError(Failure.BAD_NUMBER)
    user, at, server = text.rpartition("@")
    if not at:
        return Jid(f"{_phone(text, region)}@{USER}")
    server = server.lower()
    if server in (USER, OLD_USER):
        return Jid(f"{_as_before(_DECORATION.sub('', _person(user).removeprefix('+')))}@{USER}")
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


def _phone(text: str, region: str) -> str:
    """Returns the digits of a number, country code first.

    Digits that are a number in some country as they stand are that one, whatever the region: version 1 of the contract
    says that `to` has its country code. Only a parenthesis or a zero in front says that the area code comes first.
    """
    text = _EXTENSION.sub("", _SCHEME.sub("", text, count=1))
    text = _CARRIER.sub("0", text)
    area_first = text.startswith("(")
    opened, plus, rest = text.partition("+")
    if plus and not opened.strip(" ("):
        text = rest
    digits = _DECORATION.sub("", text)
    if not digits.isascii() or not digits.isdigit():
        raise RowError(Failure.BAD_NUMBER)
    if plus:
        return numbering.international(digits) or _as_before(digits)
    if digits.startswith("00"):
        found = numbering.international(digits[2:]) or numbering.national(digits, region)
        return found or _as_before(digits[2:])
    if area_first or digits.startswith("0"):
        found = numbering.national(digits, region) or numbering.international(digits)
    else:
        found = numbering.international(digits) or numbering.national(digits, region)
    return found or _as_before(digits)


def _as_before(digits: str) -> str:
    """Takes digits as they are, should our numbering plans be older than the number. WhatsApp knows who has it."""
    if not digits.isascii() or not digits.isdigit():
        raise RowError(Failure.BAD_NUMBER)
    if not _MIN_PHONE <= len(digits) <= _MAX_PHONE or digits.startswith("0"):
        raise RowError(Failure.BAD_NUMBER)
    return digits
