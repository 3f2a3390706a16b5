"""Texts for a log, without the addresses in them (P8)."""

from __future__ import annotations

import re


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
