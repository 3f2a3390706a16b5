"""Texts for a log without the addresses in them (P8), and with everything else: dates, sizes, ids, names of files.

Pure. An address shows its last four digits only. Where a text is known to be one, `masked_address()` asks no further;
in any other text `masked()` masks JIDs by their shape and numbers by the numbering plans of all countries.
"""

from __future__ import annotations

import re

from wa_worker.jid import numbering

_SHOWN = 4
"""Digits of an address that stay, so that a person can tell two of them apart."""

_NOTHING = "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0f\ufeff"
_GAP = (
    rf"(?:\\t|\\x[0-9a-f]{{2}}|\\u[0-9a-f]{{4}}|[ \t()\-\u00a0\u2010-\u2015\u2212{_NOTHING}]|\.(?=[0-9]{{2}})){{0,3}}"
)
"""What people put between digits, or what Python shows for it."""

_RUN = re.compile(rf"\+?[0-9](?:{_GAP}[0-9]){{6,}}")
_JID = r"(?P<jid>[0-9]{5,}(?:-[0-9]{5,})?)(?=(?:[._][0-9]{1,3})?(?::[0-9]{1,5})?@)"
_SIGNAL = r"(?P<signal>(?<![0-9])[0-9]{10,15})(?=(?:_[0-9]{1,3})?:[0-9]{1,3}(?![0-9]))"
_ADDRESS = re.compile(rf"{_JID}|{_SIGNAL}|(?P<run>{_RUN.pattern})")
_SUSPECT = re.compile(rf"{_RUN.pattern}|[0-9]{{5,}}[0-9.:_-]*@")

_DAY = r"(?:19|20)[0-9]{2}(?P<dash>-?)(?:0[1-9]|1[0-2])(?P=dash)(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:[01][0-9]|2[0-3]):?[0-5][0-9](?::?[0-5][0-9](?:[.,][0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
_OURS = re.compile(
    rf"(?<![0-9+]){_DAY}(?:[T _-]?{_TIME})?(?![0-9@])"
    r"|(?<![0-9+])(?:0[1-9]|[12][0-9]|3[01])[-.](?:0[1-9]|1[0-2])[-.](?:19|20)[0-9]{2}(?![0-9@])"
    r"|(?<![0-9a-f])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-f@])"
    r"|(?<![0-9.+])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9@])"
    r"|(?<![0-9+.)\-])(?<![0-9] )[0-9]{1,12}(?= ?(?:bytes?|[kKMGT]i?B|B|[mun]?s|seconds?)\b)"
    r"|\b(?:t|ts|[a-z_]*time(?:stamp)?|until|since|expires?|[a-z_]*size|length|offset|bytes)"
    r"['\"]?[=:] ?[0-9]{1,10}(?![0-9@])"
)
"""Dates and times, UUIDs, IPv4 addresses, sizes and durations: digits that are no number to call."""

_SPACES = re.compile(r"([ \t\u00a0]+)")
_AREA = re.compile(r"\([0-9]{2,4}\)")
_LOCAL = re.compile(r"9[0-9]{4}[-\u2010-\u2015][0-9]{4}")
_PIECE = re.compile(r"[0-9]{8,}")
_OLD_MEXICAN = re.compile(r"521[0-9]{10}")
"""The numbering plan has dropped the 1, WhatsApp's JIDs have not."""
_MOST_PIECES = 12


def masked(text: str, region: str = numbering.DEFAULT_REGION) -> str:
    """Returns the text with each address in it masked but for its last four digits.

    A number with `+`, or in a JID, is masked whatever it is; any other if some country has such numbers, or `region`
    without its country code. Rather one too many than one too few. It never raises: a line of the log must not.
    """
    if not _SUSPECT.search(text):
        return text
    try:
        return _masked_by_plan(text, region)
    except Exception:  # noqa: BLE001 - a country's numbering plan is a file that is read when it is first needed
        return masked_address(text)


def _masked_by_plan(text: str, region: str) -> str:
    parts: list[str] = []
    end = 0
    for ours in _OURS.finditer(text):
        parts += [_masked_runs(text, end, ours.start(), region), ours[0]]
        end = ours.end()
    parts.append(_masked_runs(text, end, len(text), region))
    return "".join(parts)


def masked_address(text: str) -> str:
    """Returns an address, or several, with all digits but the last four of each masked. Shorter ones stay."""
    return _ADDRESS_RUN.sub(lambda match: _mask(match[0]), text)


_ADDRESS_RUN = re.compile(rf"\+?[0-9](?:{_GAP}[0-9]){{4,}}")


def _masked_runs(text: str, start: int, end: int, region: str) -> str:
    parts: list[str] = []
    for match in _ADDRESS.finditer(text, start, end):
        parts += [text[start : match.start()], _mask(match[0]) if match.lastgroup != "run" else _shown(match, region)]
        start = match.end()
    parts.append(text[start:end])
    return "".join(parts)


def _mask(run: str) -> str:
    return "***" + _digits(run)[-_SHOWN:]


def _digits(run: str) -> str:
    return "".join(char for char in _ESCAPE.sub("", run) if char.isdigit())


_ESCAPE = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}")


def _shown(match: re.Match[str], region: str) -> str:
    run = match[0]
    if run.startswith("+"):
        return _mask(run)
    before = match.string[max(match.start() - 2, 0) : match.start()]
    glued = before[-1:].isalpha() and not before.startswith("\\")
    glued = glued or match.string[match.end() : match.end() + 1].isalpha()
    if run.isdigit():
        return _shown_bare(run, region, glued=glued)
    whole, dot, fraction = run.partition(".")
    if dot and whole.isdigit() and fraction.isdigit():  # a decimal, not digits with dots between them
        return dot.join(_shown_bare(part, region, glued=glued) for part in (whole, fraction))
    return _shown_pieces(_SPACES.split(run), region)


def _shown_pieces(pieces: list[str], region: str) -> str:
    """Masks the longest numbers among words of digits, as a count may stand beside one. Each second piece is a gap."""
    if len(pieces) > 2 * _MOST_PIECES:
        return _mask("".join(pieces))
    shown = ""
    first = 0
    while first < len(pieces):
        for last in range(len(pieces), first, -2):
            run = "".join(pieces[first:last])
            if _is_written_number(run, region):
                shown += _mask(run)
                break
        else:
            shown += _PIECE.sub(lambda match: _shown_bare(match[0], region, glued=False), pieces[first])
            last = first + 1
        shown += "".join(pieces[last : last + 1])
        first = last + 1
    return shown


def _shown_bare(digits: str, region: str, *, glued: bool) -> str:
    return _mask(digits) if _is_bare_number(digits, region, glued=glued) else digits


def _is_bare_number(digits: str, region: str, *, glued: bool) -> bool:
    """`glued`: a letter stands beside them, as in an id."""
    count = len(digits)
    if count > 15:
        return count >= 20  # two in one; 16 to 19 are nanoseconds and ids
    full = digits.removeprefix("00")
    if numbering.international(full) or _OLD_MEXICAN.fullmatch(full):
        return count >= 11 or not glued
    if glued or count < 10:
        return False
    national = numbering.national(digits, region) is not None
    return national or (count >= 11 and numbering.has_possible_length(full))


def _is_written_number(run: str, region: str) -> bool:
    digits = _digits(run)
    if run.isdigit():
        return _is_bare_number(digits, region, glued=False)
    if not 9 <= len(digits) <= 17:
        return False
    if _AREA.search(run) or _LOCAL.fullmatch(run):
        return True
    return (
        numbering.international(digits.removeprefix("00")) is not None or numbering.national(digits, region) is not None
    )
