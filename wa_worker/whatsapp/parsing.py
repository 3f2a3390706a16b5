"""The library's protobufs from their bytes: the one place that reads them, so that every text in them is a text.

A string field may hold what is no UTF-8, whoever sent it: protobuf then hands it over as bytes, and what is done with
a text fails. That is mended here for every field at once, known or yet to come.
"""

from __future__ import annotations

import enum
from typing import TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message as Protobuf

P = TypeVar("P", bound=Protobuf)


def parsed(kind: type[P], data: bytes) -> P:
    """Reads a protobuf whose string fields are all `readable()`. Raises DecodeError on bytes that are none."""
    protobuf: P = kind.FromString(data)
    found: list[Protobuf] = [protobuf]
    for each in found:  # which grows meanwhile
        for field, value in each.ListFields():
            holds = _HOLDS.get(field)
            if holds is None:
                holds = _HOLDS[field] = _what_it_holds(field, value)
            if holds is _Holds.TEXT:
                if value.__class__ is not str or "\0" in value:
                    _mend(each, field.name, value)
            elif holds is _Holds.MESSAGE:
                found.append(value)
            elif holds is _Holds.MESSAGES:
                found.extend(value)
    return protobuf


class _Holds(enum.Enum):
    """Says what a field holds. A text may be one of several."""

    TEXT = enum.auto()
    MESSAGE = enum.auto()
    MESSAGES = enum.auto()
    OTHER = enum.auto()


_HOLDS: dict[FieldDescriptor, _Holds] = {}
"""Of each field that was seen, by any thread: asking the descriptor takes longer than all else here."""


def _what_it_holds(field: FieldDescriptor, value: object) -> _Holds:
    if field.type == FieldDescriptor.TYPE_STRING:
        return _Holds.TEXT
    if field.type != FieldDescriptor.TYPE_MESSAGE:
        return _Holds.OTHER
    return _Holds.MESSAGE if isinstance(value, Protobuf) else _Holds.MESSAGES


def readable(text: str | bytes) -> str:
    """Replaces what a sender may put into a text and nobody can store: bytes that are not UTF-8; half of a surrogate
    pair, as JSON can spell it; the character 0, which PostgreSQL has not: a proxy in front of it would answer 500 for
    ever, and the chat would wait behind that message."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    elif not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # joins what is a pair
    return text.replace("\0", "\ufffd")


def _mend(protobuf: Protobuf, name: str, value: object) -> None:
    if isinstance(value, str | bytes):
        if isinstance(value, bytes) or "\0" in value:
            setattr(protobuf, name, readable(value))
    elif any(isinstance(each, bytes) or "\0" in each for each in value):  # type: ignore[attr-defined]  # repeated
        value[:] = [readable(each) for each in value]  # type: ignore[index,attr-defined]
