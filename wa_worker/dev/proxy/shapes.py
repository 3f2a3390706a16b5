"""Says what a JSON value has to look like, in small pieces that are put together; content.py does so for a message.

A check is given the value and its name, and raises BadRequestError, whose text goes into the answer. It copies nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, TypeAlias

import attrs

from .fields import LATEST, BadRequestError, check_unicode, is_whole

Check: TypeAlias = Callable[[str, Any], None]

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MIME_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+(?:\s*;[\x20-\x7e]*)?", re.ASCII | re.IGNORECASE)

LONGEST_MIME_TYPE = 255
"""Characters."""


def any_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise BadRequestError(f"{name} must be a string")
    check_unicode(name, value)


def some_text(name: str, value: Any) -> None:
    any_text(name, value)
    if not value:
        raise BadRequestError(f"{name} must be a non-empty string")


def flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise BadRequestError(f"{name} must be true or false")


def count(name: str, value: Any) -> None:
    """A number of bytes, pixels, seconds or things, or a time in unix seconds."""
    if not (is_whole(value) and 0 <= value < LATEST):
        raise BadRequestError(f"{name} must be a whole number, 0 or more")


def sha256(name: str, value: Any) -> None:
    any_text(name, value)
    if not _SHA256.fullmatch(value):
        raise BadRequestError(f"{name} must be a SHA-256 in 64 lower-case hexadecimal digits")


def mime_type(name: str, value: Any) -> None:
    """Of what may be the value of a header, as it comes back in one (RFC 9110, 8.3.1)."""
    any_text(name, value)
    if len(value) > LONGEST_MIME_TYPE or not _MIME_TYPE.fullmatch(value):
        raise BadRequestError(f"{name} must be a media type like image/jpeg")


def degrees(most: int) -> Check:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value) or abs(value) > most:
            raise BadRequestError(f"{name} must be a number from -{most} to {most}")

    return check


def one_of(*words: str) -> Check:
    def check(name: str, value: Any) -> None:
        if value not in words:
            raise BadRequestError(f"{name} must be one of {', '.join(words)}")

    return check


@attrs.frozen
class ListOf:
    """Wants a list whose items all pass `item`; `least`: how many at least."""

    item: Check
    least: int = 0

    def __call__(self, name: str, value: Any) -> None:
        if not isinstance(value, list) or len(value) < self.least:
            raise BadRequestError(f"{name} must be a list{' of some' if self.least else ''}")
        for index, item in enumerate(value):
            self.item(f"{name}[{index}]", item)


@attrs.frozen
class Shape:
    """Wants an object with what is required. What is optional may be null or missing; what is unknown is ignored."""

    required: Mapping[str, Check] = attrs.field(factory=dict)
    optional: Mapping[str, Check] = attrs.field(factory=dict)

    def __call__(self, name: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise BadRequestError(f"{name} must be an object")
        self.check_fields(value, f"{name}.")

    def check_fields(self, value: Mapping[str, Any], prefix: str = "") -> None:
        for key, check in self.required.items():
            if key not in value:
                raise BadRequestError(f"{prefix}{key} is missing")
            check(prefix + key, value[key])
        for key, check in self.optional.items():
            if value.get(key) is not None:
                check(prefix + key, value[key])
