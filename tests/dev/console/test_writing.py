"""The rows that the console's forms put into the queue."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dev.console.test_conversation import ANA, GROUP, Talk, talk
from wa_worker.dev.console.writing import message_row, reaction_row
from wa_worker.dev.errors import CannotDoError

__all__ = ["talk"]

CONSOLE = "http://127.0.0.1:8765"
HERE = {"instance": "shop", "chat": ANA}


def row(talk: Talk, **fields: str) -> dict[str, Any]:
    return message_row({**HERE, **fields}, talk.store, CONSOLE)


def test_words_and_files(talk: Talk) -> None:
    assert row(talk, body="a\r\nb") == {"body": "a\nb"}
    link = f"{CONSOLE}/samples/voice-note.ogg"
    media = {"link": link, "mime_type": "audio/ogg; codecs=opus", "filename": "voice-note.ogg", "voice": True}
    assert row(talk, file="voice-note.ogg") == {"type": "audio", "media": media}
    photo = row(talk, file="photo.jpg", body="Oi")
    assert (photo["type"], photo["media"]["caption"], "voice" in photo["media"]) == ("image", "Oi", False)


def test_an_answer_names_its_message_its_author_and_its_words(talk: Talk) -> None:
    theirs, ours = talk.inbound("Oi"), talk.outbound("Olá", "OUT")
    own = talk.inbound("do celular", from_me=True)
    assert row(talk, body="x", reply=theirs)["context"] == {"message_id": theirs, "from": ANA, "body": "Oi"}
    assert row(talk, body="x", reply=ours)["context"] == {"message_id": ours, "body": "Olá"}
    assert row(talk, body="x", reply=own)["context"] == {"message_id": own, "body": "do celular"}
    assert row(talk, file="photo.jpg", reply=theirs)["context"]["message_id"] == theirs


def test_a_reaction_names_its_message(talk: Talk) -> None:
    theirs = talk.inbound("Oi")
    said = {**HERE, "message": theirs, "emoji": "👍"}
    assert reaction_row(said, talk.store) == {
        "type": "reaction",
        "reaction": {"message_id": theirs, "from": ANA, "emoji": "👍"},
    }
    assert reaction_row({**said, "emoji": ""}, talk.store)["reaction"]["emoji"] == ""


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"body": " "}, "the message is empty"),
        ({"body": "x", "file": "../app.py"}, "there is no such file"),
        ({"body": "x" * 100_001, "file": "photo.jpg"}, "more than 100000 characters"),
        ({"body": "x", "reply": "gone"}, "not on this page any more"),
        ({"body": "x", "reply": "IN1", "chat": GROUP}, "not on this page any more"),
    ],
)
def test_what_cannot_be_sent(talk: Talk, fields: dict[str, str], reason: str) -> None:
    assert talk.inbound("Oi") == "IN1"
    with pytest.raises(CannotDoError, match=reason):
        row(talk, **fields)


def test_a_reaction_that_is_none(talk: Talk) -> None:
    said = {**HERE, "message": talk.inbound("Oi"), "emoji": "x" * 65}
    with pytest.raises(CannotDoError, match="no emoji"):
        reaction_row(said, talk.store)
