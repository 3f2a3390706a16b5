"""Converts the text of a setting into its value, or says in a ValueError what is wrong with it.

The sentence begins behind the name of the setting: "is no ...; use ...".
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from urllib.parse import urlsplit

from wa_worker.jid import numbering
from wa_worker.messages.wanted import ALL, Wanted, wanted
from wa_worker.models import Secret


def text(value: str) -> str:
    if not value:
        raise ValueError("is empty")
    return value


def secret(value: str) -> Secret:
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("has characters that an HTTP header cannot carry; use letters, digits and symbols, no spaces")
    return Secret(text(value))


def url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is not an http(s) URL; it looks like https://<project>.supabase.co/functions/v1/worker-proxy")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user or password; the secret goes into WORKER_SECRET")
    try:
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        raise ValueError("has a port that is none") from None
    if parts.netloc.endswith(":"):
        raise ValueError("ends its host with ':' but names no port")
    if parts.query or parts.fragment:
        raise ValueError("has a query or fragment; give the base URL only")
    return value.rstrip("/")


def whole(low: int, high: int) -> Callable[[str], int]:
    def convert(value: str) -> int:
        if not value.isascii() or not value.removeprefix("-").isdigit() or not low <= int(value) <= high:
            raise ValueError(f"is not a whole number from {low} to {high}")
        return int(value)

    return convert


def seconds(low_ms: int, high_ms: int) -> Callable[[str], float]:
    milliseconds = whole(low_ms, high_ms)
    return lambda value: milliseconds(value) / 1000


def days(low: int, high: int) -> Callable[[str], float]:
    number = whole(low, high)
    return lambda value: number(value) * 86_400.0


def choice(kind: type[enum.Enum]) -> Callable[[str], enum.Enum]:
    def convert(value: str) -> enum.Enum:
        try:
            return kind(value.lower())
        except ValueError:
            raise ValueError(f"is none of: {', '.join(str(e.value) for e in kind)}") from None

    return convert


def flag(value: str) -> bool:
    if value not in ("0", "1"):
        raise ValueError("is neither 0 nor 1")
    return value == "1"


def kinds(value: str) -> frozenset[Wanted]:
    words = {word.strip().lower() for word in value.split(",") if word.strip()}
    known = [*(kind.value for kind in Wanted), ALL]
    if unknown := sorted(words.difference(known)):
        raise ValueError(f"has {unknown[0]!r}, which is none of: {', '.join(known)}")
    return wanted(words)


def region(value: str) -> str:
    if not numbering.is_region(value.upper()):
        raise ValueError(
            "is no region with phone numbers; use two letters of ISO 3166, such as BR, PT or MX (not a country code)"
        )
    return value.upper()
