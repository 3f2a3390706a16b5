"""The words in content of any kind: what a phone would show of it, found by the names of the fields. Pure.

For kinds that reading.py has no row for, those of tomorrow included. A field carries words if the last word of its name
says so (`hydratedContentText`, `display_text`); ids, addresses, keys and the context of a message never do. The order
is that of the protobuf's numbers, which is from the header down to the buttons.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message as Protobuf

from wa_worker.whatsapp.parsing import readable

LONGEST = 65_536
"""Characters of words taken from one message: where WhatsApp's own clients cut a text."""

DEEPEST = 12
"""Levels below the content that are looked at: a row of a list in a card of a carousel in a template has seven."""

MOST_FIELDS = 5_000
"""Fields looked at in one message: a list has ten sections of ten rows of three."""

_WORDS = frozenset(
    (
        *("text", "caption", "title", "subtitle", "headline", "heading", "header", "body", "content", "footer"),
        *("conversation", "message", "description", "summary", "name", "subject", "label", "note", "notice", "comment"),
        *("question", "answer", "greeting", "address", "items", "params", "default"),
    )
)
"""Last words of the names of fields that a person reads."""

_NOT_SHOWN = frozenset(
    (
        *("matchedText", "accessibilityText", "accessibilityLabel"),
        *("elementName", "fileName", "trayIconFileName", "collectionName"),
    )
)
_CONTEXT = frozenset(
    (
        *("ContextInfo", "MessageContextInfo", "MessageKey", "UrlTrackingMap"),
        *("InteractiveAnnotation", "BotMetadata", "PaymentBackground", "BloksWidget"),
    )
)
"""Types that say where a message comes from, or belong to another one, such as the one it quotes."""

_IDENTIFIER = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def words(content: Protobuf) -> str:
    """Returns the words of the content, one text a line, each once; '' if there are none.

    What is beyond LONGEST, DEEPEST or MOST_FIELDS is left out.
    """
    lines: dict[str, None] = {}
    room = LONGEST
    for text in islice(_texts(content, DEEPEST), MOST_FIELDS):
        line = text.strip()[:room]
        if line and line not in lines:
            lines[line] = None
            room -= len(line) + 1
            if room <= 0:
                break
    return "\n".join(lines)


def label(content: Protobuf, identifier: str) -> str:
    """Returns the words of the button or row that has this id in the content; '' if there is none."""
    for part in islice(_parts(content, DEEPEST), MOST_FIELDS):
        if isinstance(part, dict):
            if str(part.get("id", "")) == identifier:
                return label_in(part)
        elif any(_is_id(field) and value == identifier for field, value in part.ListFields()):
            return words(part).partition("\n")[0]
    return ""


def json_object(text: str) -> dict[str, Any]:
    """Reads a JSON object as a sender wrote it; an empty one for anything else."""
    try:
        found = json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def label_in(option: dict[str, Any]) -> str:
    """Returns what a person sees of an option that is written in JSON; '' if that is nothing."""
    found = (option.get(key) for key in ("display_text", "title", "text", "body", "description"))
    return next((readable(text) for text in found if isinstance(text, str) and text.strip()), "")


def _texts(content: Protobuf, depth: int) -> Iterator[str]:
    """Yields '' for each field without words, so that the caller can count them."""
    for field, value in content.ListFields():
        yield ""
        if field.type == FieldDescriptor.TYPE_STRING:
            texts = [value] if isinstance(value, str) else value
            if field.name.endswith("JSON"):
                for text in texts:
                    yield from _json_texts(json_object(text), depth)
            elif _has_words(field):
                yield from texts
        elif field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type.name not in _CONTEXT and depth:
            for part in [value] if isinstance(value, Protobuf) else value:
                yield from _texts(part, depth - 1)


def _has_words(field: FieldDescriptor) -> bool:
    kind = field.containing_type.name
    if kind == "ExtendedTextMessage":
        return bool(field.name == "text")  # the rest is of the page that a link leads to
    parts = _CAMEL.findall(field.name)
    if not parts or parts[-1].lower() not in _WORDS or field.name in _NOT_SHOWN:
        return False
    return not bool(field.name == "name" and kind.startswith("NativeFlow"))  # the kind of a button


def _json_texts(value: object, depth: int) -> Iterator[str]:
    yield ""
    if isinstance(value, list) and depth:
        for each in value:
            yield from _json_texts(each, depth - 1)
    elif isinstance(value, dict):
        for key, each in value.items():
            if isinstance(each, str):
                shown = key.rpartition("_")[2] in _WORDS and not (key == "name" and _IDENTIFIER.fullmatch(each))
                yield readable(each) if shown else ""
            elif depth:
                yield from _json_texts(each, depth - 1)


def _parts(content: Protobuf, depth: int) -> Iterator[Protobuf | dict[str, Any]]:
    yield content
    for field, value in content.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING and field.name.endswith("JSON") and isinstance(value, str):
            yield from _json_objects(json_object(value), depth)
        elif field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type.name not in _CONTEXT and depth:
            for part in [value] if isinstance(value, Protobuf) else value:
                yield from _parts(part, depth - 1)


def _json_objects(value: object, depth: int) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list) and depth:
        for each in value.values() if isinstance(value, dict) else value:
            yield from _json_objects(each, depth - 1)


def _is_id(field: FieldDescriptor) -> bool:
    return bool(field.type == FieldDescriptor.TYPE_STRING and field.name.upper().endswith("ID"))
