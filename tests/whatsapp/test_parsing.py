"""Protobufs of the library from their bytes: whatever is in a text of theirs, it is a text that can be stored."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from neonize.proto import Neonize_pb2 as pb
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

import wa_worker.whatsapp
from tests.whatsapp.message_events import made
from wa_worker.whatsapp.parsing import parsed, readable

BROKEN = [
    (b"??", "\ufffd\ufffd", b"\xff\xfe"),
    (b"?", "\ufffd", b"\0"),
    (b"???", "\ufffd\ufffd\ufffd", b"\xed\xa0\xbd"),
]
"""What stands for the broken part in a text, how it reads, and the bytes."""


@pytest.mark.parametrize(("mark", "shown", "broken"), BROKEN, ids=["not UTF-8", "the character 0", "half an emoji"])
@pytest.mark.parametrize(
    ("message", "path"),
    [
        (made(conversation="Oi @"), "conversation"),
        (made(listResponseMessage={"title": "Azul @"}), "listResponseMessage.title"),
        (
            made(extendedTextMessage={"contextInfo": {"quotedMessage": {"imageMessage": {"caption": "@"}}}}),
            "extendedTextMessage.contextInfo.quotedMessage.imageMessage.caption",
        ),
        (
            made(extendedTextMessage={"contextInfo": {"groupSubject": "@"}}),
            "extendedTextMessage.contextInfo.groupSubject",
        ),
        (
            made(extendedTextMessage={"contextInfo": {"mentionedJID": ["1", "@"]}}),
            "extendedTextMessage.contextInfo.mentionedJID.1",
        ),
        (made(listMessage={"sections": [{"rows": [{"rowID": "@"}]}]}), "listMessage.sections.0.rows.0.rowID"),
    ],
)
def test_a_text_in_any_field(mark: bytes, shown: str, broken: bytes, message: Message, path: str) -> None:
    text = _at(message, path).replace("@", mark.decode())
    message = Message.FromString(message.SerializeToString())  # the others get theirs untouched
    _put(message, path, text)
    data = message.SerializeToString().replace(mark, broken)
    assert _at(parsed(Message, data), path) == text.replace(mark.decode(), shown)


def _at(protobuf: object, path: str) -> str:
    for step in path.split("."):
        protobuf = protobuf[int(step)] if step.isdigit() else getattr(protobuf, step)  # type: ignore[index]
    assert isinstance(protobuf, str)
    return protobuf


def _put(protobuf: object, path: str, text: str) -> None:
    *steps, last = path.split(".")
    for step in steps:
        protobuf = protobuf[int(step)] if step.isdigit() else getattr(protobuf, step)  # type: ignore[index]
    if last.isdigit():
        protobuf[int(last)] = text  # type: ignore[index]
    else:
        setattr(protobuf, last, text)


def test_it_is_the_same_for_what_is_no_message() -> None:
    entry = pb.LogEntry(Name="Client", Level="WARN", Message="cut: ??").SerializePartialToString()
    assert parsed(pb.LogEntry, entry.replace(b"??", b"\xff\xfe")).Message == "cut: \ufffd\ufffd"
    with pytest.raises(DecodeError):
        parsed(pb.Message, b"\xff\xff\xff")


@given(st.text(st.characters(exclude_categories=())) | st.binary())
def test_what_is_readable_can_be_stored(text: str | bytes) -> None:
    shown = readable(text)
    assert shown.encode().decode() == shown
    assert "\0" not in shown
    assert readable(shown) == shown
    if isinstance(text, str) and "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text):
        assert shown == text


def test_the_halves_of_an_emoji_are_joined() -> None:
    assert readable("\ud83d\ude00") == "\U0001f600"


def test_nobody_else_reads_a_protobuf() -> None:
    """Who does gets bytes where a text is broken."""
    folder = Path(wa_worker.whatsapp.__file__).parent
    readers = {
        file.name
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("FromString", "ParseFromString", "MergeFromString")
    }
    assert readers == {"parsing.py"}
