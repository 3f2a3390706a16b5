"""What each kind of content says besides its words, of what honest phones and hostile senders write."""

from __future__ import annotations

import json
import math
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from tests.whatsapp.message_events import event, made, read
from wa_worker.edge.inbound_body import inbound_body
from wa_worker.messages import (
    Call,
    ContactCard,
    ContactName,
    ContactPhone,
    Edit,
    Location,
    Media,
    Order,
    PlannedEvent,
    Poll,
    PollVote,
    Product,
    Reaction,
    Revoke,
)
from wa_worker.models import InstanceId
from wa_worker.whatsapp.kinds.cards import LONGEST, LONGEST_IN_ALL, MOST_CARDS, MOST_NUMBERS
from wa_worker.whatsapp.kinds.changes import LONGEST_EMOJI
from wa_worker.whatsapp.kinds.content import Content
from wa_worker.whatsapp.kinds.limits import EXACT, LINK, LONG, SHORT, SMALL, amount, mime_type
from wa_worker.whatsapp.kinds.media import LONGEST_NAME
from wa_worker.whatsapp.kinds.polls import MOST_OPTIONS
from wa_worker.whatsapp.kinds.reading import content

DIGEST = bytes(range(32))
KEY = {"ID": "3EB0FIRST"}
FAR = 10**18


@attrs.frozen
class Case:
    name: str
    message: Message
    found: Content


def bia(*phones: ContactPhone, vcard: str | None = None, name: str = "Bia") -> ContactCard:
    return ContactCard(ContactName(name), phones, vcard)


def edit(**fields: Any) -> Message:
    return made(protocolMessage={"type": "MESSAGE_EDIT", "key": KEY, **fields})


EDITED = Content("edit", "Oi", edit=Edit("3EB0FIRST"))

CASES = [
    Case("image, nothing said", made(imageMessage={}), Content("image", media=Media("image/jpeg"))),
    Case(
        "image, absurd",
        made(imageMessage={"mimetype": "a\r\nb: c", "fileSHA256": b"x", "fileLength": 2**64 - 1, "width": 2**32 - 1}),
        Content("image", media=Media("image/jpeg")),
    ),
    Case("image, empty", made(imageMessage={"fileLength": 0}), Content("image", media=Media("image/jpeg", size=0))),
    Case(
        "audio that is no voice note",
        made(audioMessage={"mimetype": "audio/mpeg", "seconds": 0}),
        Content("audio", media=Media("audio/mpeg", voice=False, duration=0)),
    ),
    Case(
        "video, absurd",
        made(videoMessage={"seconds": 2**32 - 1, "height": 2}),
        Content("video", media=Media("video/mp4", animated=False, height=2)),
    ),
    Case(
        "round video",
        made(ptvMessage={"seconds": 4}),
        Content("video", media=Media("video/mp4", animated=False, duration=4)),
    ),
    Case(
        "document, title only",
        made(documentMessage={"fileName": " ", "title": "nota.pdf", "fileSHA256": DIGEST}),
        Content("document", media=Media("application/octet-stream", sha256=DIGEST.hex(), filename="nota.pdf")),
    ),
    Case(
        "document, long name",
        made(documentMessage={"fileName": "n" * 5000}),
        Content("document", media=Media("application/octet-stream", filename="n" * LONGEST_NAME)),
    ),
    Case(
        "sticker that stands still",
        made(stickerMessage={}),
        Content("sticker", media=Media("image/webp", animated=False)),
    ),
    Case(
        "sticker drawn by the phone",
        made(lottieStickerMessage={"message": {"stickerMessage": {"isLottie": True}}}),
        Content("sticker", media=Media("image/webp", animated=True)),
    ),
    Case(
        "place, bare",
        made(locationMessage={"degreesLatitude": 0.0, "degreesLongitude": -46.63330849}),
        Content("location", "0.0, -46.633308", location=Location(0.0, -46.63330849)),
    ),
    Case(
        "place, live",
        made(locationMessage={"degreesLatitude": 1, "degreesLongitude": 2, "isLive": True, "name": "Loja"}),
        Content("location", "Loja", location=Location(1.0, 2.0, name="Loja", live=True)),
    ),
    Case("place, half", made(locationMessage={"degreesLatitude": 1, "name": "Loja"}), Content("location", "Loja")),
    *(
        Case(
            f"place, {latitude} {longitude}",
            made(locationMessage={"degreesLatitude": latitude, "degreesLongitude": longitude}),
            Content("location"),
        )
        for latitude, longitude in (
            (math.nan, 1),
            (1, math.nan),
            (math.inf, 1),
            (1, -math.inf),
            (90.1, 1),
            (-91, 1),
            (1, 180.5),
            (1, -1e300),
        )
    ),
    Case(
        "place, long",
        made(
            locationMessage={
                "degreesLatitude": 90,
                "degreesLongitude": -180,
                "name": "n" * 9000,
                "URL": "u" * 9000,
                "comment": "Aqui",
            }
        ),
        Content("location", "n" * 9000 + "\nAqui", location=Location(90.0, -180.0, name="n" * SHORT, url="u" * LINK)),
    ),
    Case("live place, nothing said", made(liveLocationMessage={}), Content("location")),
    Case(
        "card",
        made(contactMessage={"vcard": "FN:Bia\nitem1.TEL;type=CELL;WAID=5511988880006:tel:+55 11\n 9\nTEL;waid=x:12"}),
        Content(
            "contact",
            "Bia, +55 119, 12",
            contacts=(
                bia(
                    ContactPhone("+55 119", "5511988880006"),
                    ContactPhone("12"),
                    vcard="FN:Bia\nitem1.TEL;type=CELL;WAID=5511988880006:tel:+55 11\n 9\nTEL;waid=x:12",
                ),
            ),
        ),
    ),
    Case(
        "card, the same number twice, an account of absurd length",
        made(contactMessage={"displayName": "Bia", "vcard": f"TEL;waid={'1' * 21}:12\nTEL;waid=12:12"}),
        Content(
            "contact", "Bia, 12", contacts=(bia(ContactPhone("12"), vcard=f"TEL;waid={'1' * 21}:12\nTEL;waid=12:12"),)
        ),
    ),
    Case("card, nothing said", made(contactMessage={}), Content("contact", contacts=(bia(name=""),))),
    Case("no cards", made(contactsArrayMessage={"displayName": "2"}), Content("contact", "2")),
    Case("order without an id", made(orderMessage={"message": "Quero"}), Content("order", "Quero")),
    Case(
        "order, absurd",
        made(orderMessage={"orderID": "7", "itemCount": -1, "totalAmount1000": -5, "totalCurrencyCode": "R$"}),
        Content("order", order=Order("7")),
    ),
    Case(
        "order, free",
        made(orderMessage={"orderID": "7", "itemCount": 0, "totalAmount1000": 0, "totalCurrencyCode": "brl"}),
        Content("order", "BRL 0.00", order=Order("7", item_count=0, total="0.00", currency="BRL")),
    ),
    Case("product without an id", made(productMessage={"body": "Oi"}), Content("product", "Oi")),
    Case(
        "product, absurd",
        made(productMessage={"product": {"productID": "8", "priceAmount1000": FAR, "description": "d" * 9000}}),
        Content("product", "d" * 9000, product=Product("8", description="d" * LONG)),
    ),
    Case("poll, nothing said", made(pollCreationMessage={}), Content("poll", poll=Poll("", ()))),
    Case(
        "poll, absurd",
        made(
            pollCreationMessageV2={
                "name": "n" * 2000,
                "options": [{"optionName": str(n)} for n in range(MOST_OPTIONS + 1)],
                "selectableOptionsCount": 2**32 - 1,
            }
        ),
        Content(
            "poll",
            "\n".join(["n" * 2000, *map(str, range(MOST_OPTIONS + 1))]),
            poll=Poll("n" * SHORT, tuple(map(str, range(MOST_OPTIONS)))),
        ),
    ),
    Case(
        "vote",
        made(pollUpdateMessage={"pollCreationMessageKey": KEY}),
        Content("poll_vote", poll_vote=PollVote("3EB0FIRST")),
    ),
    Case("vote in no poll", made(pollUpdateMessage={}), Content(None)),
    Case("event, nothing said", made(eventMessage={}), Content("event", event=PlannedEvent(""))),
    Case(
        "event, absurd",
        made(eventMessage={"name": "F", "startTime": -1, "endTime": FAR, "isCanceled": True}),
        Content("event", "F", event=PlannedEvent("F", canceled=True)),
    ),
    Case(
        "reaction",
        made(reactionMessage={"key": KEY, "text": "+"}),
        Content("reaction", reaction=Reaction("3EB0FIRST", "+")),
    ),
    Case(
        "reaction, taken back",
        made(reactionMessage={"key": KEY}),
        Content("reaction", reaction=Reaction("3EB0FIRST", "")),
    ),
    Case(
        "reaction, absurd",
        made(reactionMessage={"key": KEY, "text": "+" * 9000}),
        Content("reaction", reaction=Reaction("3EB0FIRST", "+" * LONGEST_EMOJI)),
    ),
    Case("reaction to nothing", made(reactionMessage={"text": "+"}), Content(None)),
    Case("edit of a caption", edit(editedMessage={"imageMessage": {"caption": "Oi"}}), EDITED),
    Case("edit of a video's caption", edit(editedMessage={"videoMessage": {"caption": "Oi", "seconds": 3}}), EDITED),
    Case(
        "edit of a document's caption",
        edit(
            editedMessage={"documentWithCaptionMessage": {"message": {"documentMessage": {"caption": "Oi"}}}},
        ),
        EDITED,
    ),
    Case("edit", edit(editedMessage={"conversation": "Oi"}), Content("edit", "Oi", edit=Edit("3EB0FIRST"))),
    Case(
        "edit, ephemeral within",
        edit(editedMessage={"ephemeralMessage": {"message": {"extendedTextMessage": {"text": "Oi"}}}}),
        Content("edit", "Oi", edit=Edit("3EB0FIRST")),
    ),
    Case(
        "edit that takes a caption away",
        edit(editedMessage={"videoMessage": {}}),
        Content("edit", edit=Edit("3EB0FIRST")),
    ),
    Case("edit to nothing", edit(), Content(None)),
    Case("edit to a deletion", edit(editedMessage={"protocolMessage": {"type": "REVOKE", "key": KEY}}), Content(None)),
    Case("edit of nothing", made(protocolMessage={"type": 14, "editedMessage": {"conversation": "Oi"}}), Content(None)),
    Case(
        "deletion", made(protocolMessage={"type": "REVOKE", "key": KEY}), Content("revoke", revoke=Revoke("3EB0FIRST"))
    ),
    Case("deletion of nothing", made(protocolMessage={"type": "REVOKE"}), Content(None)),
    Case("no word of what is done to it", made(protocolMessage={"key": KEY}), Content(None)),
    Case(
        "note of a call",
        made(callLogMesssage={"isVideo": True, "callOutcome": "REJECTED"}),
        Content("call", call=Call("", video=True, outcome="rejected")),
    ),
    Case("a text and a reaction", made(conversation="Oi", reactionMessage={"key": KEY}), Content("text", "Oi")),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_found_in(case: Case) -> None:
    assert content(case.message) == case.found


def test_a_reaction_that_says_something_unknown_too_is_a_reaction() -> None:
    unknown = bytes((900 << 3 & 127 | 128 | 2, 900 >> 4, 2)) + b"\x08\x01"
    message = Message.FromString(made(reactionMessage={"key": KEY, "text": "+"}).SerializeToString() + unknown)
    assert content(message).kind == "reaction"


def test_cards_are_bounded_together() -> None:
    card = "FN:Bia\n" + "".join(f"TEL:{n:08}\n" for n in range(900))
    assert len(card) < LONGEST
    contacts = [{"displayName": "Bia", "vcard": card}] * (MOST_CARDS + 1)
    found = content(made(contactsArrayMessage={"contacts": contacts})).contacts
    assert found is not None
    assert (len(found), len(found[0].phones)) == (MOST_CARDS, MOST_NUMBERS)
    whole = [each for each in found if each.vcard is not None]
    assert len(whole) == LONGEST_IN_ALL // len(card)
    assert len(content(made(contactMessage={"vcard": "FN:B\n" + "x" * LONGEST})).contacts or ()) == 1
    (large,) = content(made(contactMessage={"vcard": "FN:B\n" + "x" * LONGEST})).contacts or ()
    assert (large.name.formatted_name, large.vcard) == ("B", None)


@pytest.mark.parametrize(
    ("thousandths", "text"),
    [(25990, "25.99"), (1, "0.001"), (10, "0.01"), (1000, "1.00"), (-1, None), (EXACT + 1, None)],
)
def test_an_amount(thousandths: int, text: str | None) -> None:
    assert amount(thousandths) == text


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("image/jpeg", True),
        ("audio/ogg; codecs=opus", True),
        ('video/mp4; codecs="avc1.42E01E, mp4a.40.2"', True),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", True),
        ("image", False),
        ("image/jpeg\n", False),
        ("image/jpeg\r\nX-A: b", False),
        ("imagé/jpeg", False),
        ("image/" + "j" * 200, False),
        ("", False),
    ],
)
def test_a_type_of_media_can_stand_in_a_header(text: str, usable: bool) -> None:
    assert mime_type(text) == (text if usable else None)


FIELDS = [
    field
    for field in Message.DESCRIPTOR.fields
    if field.message_type is not None and field.name not in ("messageContextInfo", "deviceSentMessage")
]


@settings(max_examples=300, deadline=None)
@given(field=st.sampled_from(FIELDS), inside=st.binary(max_size=60), more=st.binary(max_size=20))
def test_whatever_is_in_a_message_it_can_be_told(field: Any, inside: bytes, more: bytes) -> None:
    """Nothing raises, all of it can be written as JSON that others read, and no number is absurd."""
    tag = field.number << 3 | 2
    header = bytes((tag & 127 | 128, tag >> 7, len(inside))) if tag > 127 else bytes((tag, len(inside)))
    try:
        message = Message.FromString(header + inside + more)
    except Exception:  # noqa: BLE001 - not even a protobuf: the library would not hand it over
        return
    found = read(event(message=message))
    if found is not None:
        body = inbound_body(InstanceId("shop"), found)
        json.dumps(body, allow_nan=False, ensure_ascii=False).encode()
        assert all(abs(number) <= EXACT for number in numbers(body))


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [number for each in value for number in numbers(each)]
    return [value] if isinstance(value, int | float) else []


def test_the_largest_numbers_are_those_that_a_database_holds() -> None:
    found = content(made(imageMessage={"width": SMALL, "height": SMALL + 1, "fileLength": EXACT}))
    assert found.media == Media("image/jpeg", size=EXACT, width=SMALL)
