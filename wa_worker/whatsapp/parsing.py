"""The library's protobufs from their bytes: the one place that reads them, so that every text in them is a text.

A string field may hold what is no UTF-8, whoever sent it: protobuf then hands it over as bytes, and what is done with
a text fails. That is mended here for every field at once, known or yet to come.
"""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message as Protobuf

P = TypeVar("P", bound=Protobuf)


def parsed(kind: type[P], data: bytes) -> P:
    """Reads a protobuf whose string fields are all `readable()`. Raises DecodeError on bytes that are none."""
    protobuf: P = kind.FromString(data)
    waiting: list[Protobuf] = [protobuf]
    while waiting:
        each = waiting.pop()
        for field, value in each.ListFields():
            if field.type == FieldDescriptor.TYPE_STRING:
                _mend(each, field.name, value)
            elif field.type == FieldDescriptor.TYPE_MESSAGE:
                waiting.extend((value,) if isinstance(value, Protobuf) else value)
    return protobuf


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
