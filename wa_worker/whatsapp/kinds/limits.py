"""What a sender wrote, within bounds: a proxy in front of a database refuses what is beyond them, for ever. Pure.

Each returns None for what is to be left out.
"""

from __future__ import annotations

import re

SHORT = 1_024
"""Characters of a name, a title or an id; phones write far fewer."""

LINK = 4_096
"""Characters of an address in the web; browsers and servers end near 8,000."""

LONG = 4_096
"""Characters of a description, and of what is quoted."""

SMALL = 2**31 - 1
"""The largest number that a database's `integer` holds."""

EXACT = 2**53 - 1
"""The largest whole number that every reader of JSON keeps as it is (RFC 8259, section 6)."""

_SHA256 = 32

_MIME = re.compile(r'[\w.+-]{1,127}/[\w.+-]{1,127}(; ?[\w-]{1,64}=("[\w .,+-]{1,127}"|[\w.+-]{1,127})){0,4}', re.ASCII)


def clipped(text: str, most: int = SHORT) -> str | None:
    """Returns the start of a text; None if it has nothing but blanks."""
    return text[:most] if text and not text.isspace() else None


def whole(number: int, most: int = SMALL) -> int | None:
    """Returns a number that is neither negative nor absurdly large."""
    return number if 0 <= number <= most else None


def pixels(number: int) -> int | None:
    """Returns a width or height; 0 is none."""
    return whole(number) or None


def hash_in_hex(digest: bytes) -> str | None:
    """Returns a SHA-256 in hex."""
    return digest.hex() if len(digest) == _SHA256 else None


def mime_type(text: str) -> str | None:
    """Returns a type of media as it can stand in a header of HTTP (RFC 9110, section 8.3.1)."""
    return text if _MIME.fullmatch(text) else None


def amount(thousandths: int) -> str | None:
    """Writes a price: 25990 is '25.99'. Two decimals, three if it has them."""
    if whole(thousandths, EXACT) is None:
        return None
    units, rest = divmod(thousandths, 1000)
    return f"{units}.{rest:03d}" if rest % 10 else f"{units}.{rest // 10:02d}"
