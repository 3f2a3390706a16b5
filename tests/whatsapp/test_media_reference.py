"""Where a file is, by the word of who sent it: the path alone, and only what can be one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from tests.journal.rows import SHOP
from tests.whatsapp.message_events import ME, event, known
from wa_worker.dev.simulator.media_host import MediaHost
from wa_worker.dev.simulator.media_messages import MediaMessages
from wa_worker.journal import open_journal
from wa_worker.messages import InboundMessage, MediaKind, MediaReference
from wa_worker.whatsapp.incoming import inbound
from wa_worker.whatsapp.media_reference import NoReference, media_reference, with_file

FILES = MediaMessages(MediaHost())


def made(message: Any) -> Message:
    """As the library's protobuf: the simulator's classes are of the same file, loaded by another name."""
    return Message.FromString(message.SerializeToString())


def referred(message: Message, *, wanted: bool = True) -> tuple[InboundMessage, MediaReference | None]:
    posted = inbound(event(message=message), ME, known, known)
    assert posted is not None
    return with_file(posted, message, wanted=wanted)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (FILES.image(b"x"), MediaKind.IMAGE),
        (FILES.video(b"x"), MediaKind.VIDEO),
        (FILES.voice(b"x"), MediaKind.AUDIO),
        (FILES.audio(b"x"), MediaKind.AUDIO),
        (FILES.document(b"x"), MediaKind.DOCUMENT),
        (FILES.document(b"x", caption="in a wrapper"), MediaKind.DOCUMENT),
        (FILES.sticker(b"x"), MediaKind.STICKER),
        (FILES.message("ptvMessage", b"x", {"mimetype": "video/mp4"}), MediaKind.VIDEO),
    ],
)
def test_each_kind(message: Any, kind: MediaKind) -> None:
    posted, reference = referred(made(message))
    assert reference is not None
    assert (reference.kind, reference.size) == (kind, 1)
    assert posted.media is not None
    assert (posted.media.url, posted.media.error) == (None, None)


def test_a_text_has_no_file() -> None:
    posted, reference = referred(Message(conversation="Oi"))
    assert (posted.media, reference) == (None, None)


@pytest.mark.parametrize(
    "field",
    [
        {"directPath": ""},
        {"directPath": "v/t62/x"},
        {"directPath": "//evil.example/x"},
        {"directPath": "https://evil.example/x"},
        {"directPath": "/v x"},
        {"directPath": "/v\r\nHost: evil.example"},
        {"directPath": "/" + 3000 * "x"},
        {"directPath": "/vídeo"},
        {"mediaKey": b"short"},
        {"mediaKey": b""},
        {"fileSHA256": b""},
        {"fileEncSHA256": bytes(20)},
    ],
)
def test_what_leads_to_no_file(field: dict[str, Any]) -> None:
    message = made(FILES.image(b"x", "look"))
    for name, value in field.items():
        setattr(message.imageMessage, name, value)
    with pytest.raises(NoReference):
        media_reference(message)
    posted, reference = referred(message)
    assert reference is None
    assert posted.media is not None
    assert (posted.body, posted.media.error) == ("look", "damaged")


@pytest.mark.parametrize("size", [2**53, 2**63, 2**64 - 1])
def test_a_size_beyond_all_numbers_is_kept_as_the_largest_one(size: int, tmp_path: Path) -> None:
    message = made(FILES.image(b"x", "look"))
    message.imageMessage.fileLength = size
    posted, reference = referred(message)
    assert reference is not None
    assert reference.size == 2**53 - 1
    with open_journal(tmp_path / "journal.db") as journal:
        assert journal.inbox.record(SHOP, posted, file=reference), "else the whole message is lost"


def test_the_senders_url_is_not_looked_at() -> None:
    message = made(FILES.image(b"x"))
    message.imageMessage.URL = "https://evil.example/x"
    _, reference = referred(message)
    assert reference is not None
    assert "evil" not in reference.direct_path


def test_files_that_are_not_passed_on() -> None:
    posted, reference = referred(made(FILES.image(b"x")), wanted=False)
    assert reference is None
    assert posted.media is not None
    assert posted.media.error == "off"


def test_a_reference_shows_nothing_of_the_file() -> None:
    _, reference = referred(made(FILES.image(b"x")))
    assert reference is not None
    assert not {reference.direct_path, repr(reference.media_key)} & set(repr(reference).split("'"))
    assert "v/t62" not in repr(reference)
