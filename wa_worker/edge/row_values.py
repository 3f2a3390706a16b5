"""What stands in a row of the proxy's queue, value by value: bounded, and of the type that it has to be. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wa_worker.errors import Failure, RowError
from wa_worker.models import MessageId

Row = Mapping[str, Any]

MAX_ID_LENGTH = 256
"""Longest message id taken (characters): a UUID has 36; anything near this is not an id."""

MAX_BODY_LENGTH = 65_536
"""Longest message body taken, in characters: WhatsApp's own clients cut text at 65,536."""

MAX_LINE = 1024
"""Longest name, address, title and file name taken, in characters: what people read in one line has far fewer."""


def message_id(value: object) -> MessageId:
    """Returns the id of a row. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("id is neither a string nor a whole number")
    if isinstance(value, str):
        encodable("id", value)
    elif abs(value) >= 10**MAX_ID_LENGTH:
        raise ValueError("id is a number of absurd size")
    if value == "" or len(str(value)) > MAX_ID_LENGTH:
        raise ValueError(f"id is empty or longer than {MAX_ID_LENGTH} characters")
    return value


def shape(value: object) -> str:
    """Says what kind of JSON a value is, and quotes nothing of it."""
    if isinstance(value, dict):
        return "an object with " + (", ".join(sorted(map(str, value))[:5]) or "no fields")
    return {type(None): "null", str: "a string", bool: "a boolean", list: "a list"}.get(type(value), "a number")


def encodable(name: str, text: str) -> None:
    """JSON can carry half of a surrogate pair; UTF-8, and so SQLite and WhatsApp, cannot. Raises RowError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RowError(Failure.NOT_UNICODE, f"{name} holds a lone surrogate, which is no character") from None


def body_text(body: object) -> str:
    """Returns a body with something in it. Raises RowError."""
    if not isinstance(body, str) or not body.strip():
        raise RowError(Failure.NO_BODY, "body is not a string with something in it")
    return bounded(body)


def bounded(body: str) -> str:
    """Returns a text that is not too long. Raises RowError."""
    if len(body) > MAX_BODY_LENGTH:
        raise RowError(Failure.LONG_BODY, f"body has {len(body)} characters, the limit is {MAX_BODY_LENGTH}")
    encodable("body", body)
    return body


def object_of(row: Row, name: str, failure: Failure) -> Row:
    """Returns the object of that name. Raises RowError."""
    value = row.get(name)
    if not isinstance(value, dict):
        raise RowError(failure, f"{name} is {shape(value)}, not an object")
    return value


def line(value: object, name: str, failure: Failure) -> str | None:
    """Returns a short text, None if there is none. Raises RowError."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_LINE:
        raise RowError(failure, f"{name} is not a string, or has more than {MAX_LINE} characters")
    encodable(name, value)
    return value.strip() or None
