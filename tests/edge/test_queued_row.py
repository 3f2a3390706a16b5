"""Rows of every type: what they become, and that a hostile one is refused with its reason and nothing else."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_worker.edge import wire
from wa_worker.edge.queued_row import LONGEST_TYPING, queued_message
from wa_worker.edge.row_content import MAX_CARDS, MAX_LINK, MAX_OPTION
from wa_worker.edge.row_values import MAX_BODY_LENGTH, MAX_LINE
from wa_worker.errors import Failure
from wa_worker.messages import (
    ContactCard,
    ContactName,
    ContactPhone,
    Contacts,
    Content,
    Deletion,
    Location,
    MediaKind,
    NewText,
    OutgoingMedia,
    Poll,
    Quote,
    ReactionTo,
    Target,
    Text,
)

TO = "5511988880005"
LINK = "https://files.example/a.jpg?token=x"
SURROGATE = "\ud800"


def row(**fields: Any) -> dict[str, Any]:
    return {"id": 7, "to": TO, **fields}


def media(**fields: Any) -> dict[str, Any]:
    return row(type="image", media={"link": LINK, **fields})


@attrs.frozen
class Good:
    name: str
    row: dict[str, Any]
    content: Content


POLL = {"name": "When?", "options": ["a", "b"]}
ANA = {"name": {"formatted_name": "Ana"}, "phones": [{"phone": "+55 11 9", "wa_id": "55119"}]}
GOOD = [
    Good("no type", row(body="Oi"), Text("Oi")),
    Good("null type", row(type=None, body="Oi"), Text("Oi")),
    Good("text", row(type="text", body="Oi"), Text("Oi")),
    *(Good(kind.value, row(type=kind.value, media={"link": LINK}), OutgoingMedia(kind, LINK)) for kind in MediaKind),
    Good("caption", media(caption="see"), OutgoingMedia(MediaKind.IMAGE, LINK, caption="see")),
    Good("body as caption", {**media(), "body": "see"}, OutgoingMedia(MediaKind.IMAGE, LINK, caption="see")),
    Good("caption first", {**media(caption="a"), "body": "b"}, OutgoingMedia(MediaKind.IMAGE, LINK, caption="a")),
    Good("empty caption", {**media(caption=""), "body": ""}, OutgoingMedia(MediaKind.IMAGE, LINK)),
    Good(
        "voice",
        row(type="audio", media={"link": LINK, "voice": True}),
        OutgoingMedia(MediaKind.AUDIO, LINK, voice=True),
    ),
    Good("voice of a picture", media(voice=True), OutgoingMedia(MediaKind.IMAGE, LINK)),
    Good(
        "a path as name", media(filename="..\\../etc/passwd"), OutgoingMedia(MediaKind.IMAGE, LINK, filename="passwd")
    ),
    Good("a folder as name", media(filename="a/"), OutgoingMedia(MediaKind.IMAGE, LINK)),
    Good(
        "mime type",
        media(mime_type="audio/ogg; codecs=opus"),
        OutgoingMedia(MediaKind.IMAGE, LINK, "audio/ogg; codecs=opus"),
    ),
    Good("more in media", media(width=7, url="file:///etc/passwd"), OutgoingMedia(MediaKind.IMAGE, LINK)),
    Good("place", row(type="location", location={"latitude": -23.5, "longitude": 46}), Location(-23.5, 46.0)),
    Good(
        "place as text", row(type="location", location={"latitude": "-23.5", "longitude": "46"}), Location(-23.5, 46.0)
    ),
    Good(
        "card",
        row(type="contacts", contacts=[ANA]),
        Contacts((ContactCard(ContactName("Ana"), (ContactPhone("+55 11 9", "55119"),)),)),
    ),
    Good(
        "card, in the singular",
        row(type="contact", contacts=[{**ANA, "phones": None, "vcard": "begin:vcard\nx"}]),
        Contacts((ContactCard(ContactName("Ana"), (), "begin:vcard\nx"),)),
    ),
    Good(
        "reaction", row(type="reaction", reaction={"message_id": "3EB0", "emoji": "x"}), ReactionTo(Target("3EB0"), "x")
    ),
    Good(
        "reaction taken back",
        row(type="reaction", reaction={"message_id": "3EB0", "emoji": "", "from": "1@lid"}),
        ReactionTo(Target("3EB0", "1@lid"), ""),
    ),
    Good("edit", row(type="edit", edit={"message_id": "3EB0"}, body="new"), NewText(Target("3EB0"), "new")),
    *(
        Good(
            f"edit of {name}",
            row(type="edit", edit={"message_id": "3EB0", "message_type": name}, body="new"),
            NewText(Target("3EB0"), "new", kind),
        )
        for name, kind in (
            (None, None),
            ("text", None),
            ("image", MediaKind.IMAGE),
            ("video", MediaKind.VIDEO),
            ("document", MediaKind.DOCUMENT),
        )
    ),
    Good("revoke", row(type="revoke", revoke={"message_id": "3EB0"}), Deletion(Target("3EB0"))),
    Good("poll", row(type="poll", poll=POLL), Poll("When?", ("a", "b"), 1)),
    Good("poll for all", row(type="poll", poll={**POLL, "selectable_count": 0}), Poll("When?", ("a", "b"), 0)),
]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_a_row_of_each_type(case: Good) -> None:
    assert queued_message(case.row).content == case.content


def test_what_goes_with_any_type() -> None:
    made = queued_message(
        row(
            body="Oi",
            context={"message_id": "3EB0", "from": "55119", "body": "before"},
            mentions=["5511", 5512, "5511", "1@lid"],
            typing_ms=1500,
        )
    )
    assert made.quote == Quote(Target("3EB0", "55119"), "before")
    assert made.mentions == ("5511", "5512", "1@lid")
    assert (made.typing, made.takes_time) == (1.5, True)
    plain = queued_message(row(body="Oi", context=None, mentions=None, typing_ms=0))
    assert (plain.quote, plain.mentions, plain.typing, plain.takes_time) == (None, (), 0.0, False)
    assert queued_message(row(body="Oi")).typing is None, "which is not the same as no typing"


@attrs.frozen
class Bad:
    name: str
    row: dict[str, Any]
    failure: Failure


def each(*values: Any) -> tuple[Any, ...]:
    return values


def places(**wrong: Any) -> dict[str, Any]:
    return row(type="location", location={"latitude": 1, "longitude": 2, **wrong})


def card(**wrong: Any) -> dict[str, Any]:
    return row(type="contacts", contacts=[{**ANA, **wrong}])


def about(kind: str, **named: Any) -> dict[str, Any]:
    return row(type=kind, body="x", **{kind: {"message_id": "3EB0", "emoji": "x", **named}})


BAD = [
    *(
        Bad(f"type {kind!r}", row(type=kind, body="x"), Failure.BAD_TYPE)
        for kind in each("buttons", "list", "", "TEXT", "__class__", 1, True, [], {})
    ),
    *(
        Bad(f"media {value!r}", row(type="image", media=value), Failure.BAD_MEDIA)
        for value in each(None, "x", [], LINK, {}, {"url": LINK})
    ),
    *(Bad(f"link {link!r}", media(link=link), Failure.BAD_MEDIA) for link in each(None, "", " ", 5, ["https://x"], {})),
    *(
        Bad(f"link {link!r:.40}", media(link=link), Failure.BAD_LINK)
        for link in each(
            *(
                "file:///etc/passwd",
                "ftp://x/y",
                "gopher://x",
                "data:image/png;base64,AA",
                "//x/y",
                "x",
                "javascript:1",
            ),
            *(
                "https://",
                "https:///x",
                "https://u:p@host/x",
                "https://host:99999/x",
                "https://host:0/",
                "https://[::1/x",
            ),
            *("https://x/\x00y", "https://x/a\nb", "https://x/" + "a" * MAX_LINK),
        )
    ),
    *(
        Bad(f"mime {value!r}", media(mime_type=value), Failure.BAD_MEDIA)
        for value in each("", "image", "a/b\n", 5, "x" * 300 + "/y")
    ),
    *(Bad(f"voice {value!r}", media(voice=value), Failure.BAD_MEDIA) for value in each("true", 1, [])),
    *(
        Bad(f"filename {value!r:.20}", media(filename=value), Failure.BAD_MEDIA)
        for value in each(5, [], "x" * (MAX_LINE + 1))
    ),
    Bad("caption of numbers", media(caption=[5]), Failure.BAD_MEDIA),
    Bad("long caption", media(caption="x" * (MAX_BODY_LENGTH + 1)), Failure.LONG_BODY),
    Bad("half a caption", media(caption=SURROGATE), Failure.NOT_UNICODE),
    Bad("half a filename", media(filename=SURROGATE), Failure.NOT_UNICODE),
    Bad("no place", row(type="location"), Failure.BAD_LOCATION),
    *(
        Bad(f"latitude {value!r}", places(latitude=value), Failure.BAD_LOCATION)
        for value in each(None, 91, -90.1, "north", True, [], float("nan"), float("inf"), 10**400, "nan", "1_0e9")
    ),
    Bad("longitude", places(longitude=180.5), Failure.BAD_LOCATION),
    Bad("name of a place", places(name=5), Failure.BAD_LOCATION),
    *(
        Bad(f"cards {value!r:.20}", row(type="contacts", contacts=value), Failure.BAD_CONTACTS)
        for value in each(None, [], {}, [5], [None], [ANA] * (MAX_CARDS + 1))
    ),
    *(
        Bad(f"card's name {value!r}", card(name=value), Failure.BAD_CONTACTS)
        for value in each(None, "", {}, {"formatted_name": " "}, 5)
    ),
    *(
        Bad(f"card's phones {value!r:.30}", card(phones=value), Failure.BAD_CONTACTS)
        for value in each(
            [],
            {},
            [5],
            [{}],
            [{"phone": ""}],
            [{"phone": "1", "wa_id": "a"}],
            [{"phone": "1", "wa_id": "\u0661"}],
            [{"phone": "1"}] * 21,
        )
    ),
    *(Bad(f"vcard {value!r}", card(vcard=value), Failure.BAD_CONTACTS) for value in each(5, "x")),
    *(
        Bad(f"{kind} of {value!r:.20}", about(kind, message_id=value), failure)
        for kind, failure in (
            ("reaction", Failure.BAD_REACTION),
            ("edit", Failure.BAD_EDIT),
            ("revoke", Failure.BAD_REVOKE),
        )
        for value in each(None, "", 5, "a b", "a\n", "x" * 129, "\u00e9", [])
    ),
    *(
        Bad(f"{kind} missing", row(type=kind, body="x"), failure)
        for kind, failure in (
            ("reaction", Failure.BAD_REACTION),
            ("edit", Failure.BAD_EDIT),
            ("revoke", Failure.BAD_REVOKE),
            ("poll", Failure.BAD_POLL),
        )
    ),
    *(
        Bad(f"emoji {value!r:.20}", about("reaction", emoji=value), Failure.BAD_REACTION)
        for value in each(None, 5, [], "x" * 65)
    ),
    Bad("half an emoji", about("reaction", emoji=SURROGATE), Failure.NOT_UNICODE),
    *(
        Bad(f"edit of a {value!r}", {**about("edit", message_type=value), "body": "x"}, Failure.BAD_EDIT)
        for value in each("audio", "sticker", "poll", "", 5, [])
    ),
    Bad("edit to nothing", {**about("edit"), "body": " "}, Failure.NO_BODY),
    *(
        Bad(f"poll {value!r:.40}", row(type="poll", poll={**POLL, **value}), Failure.BAD_POLL)
        for value in each(
            *({"name": ""}, {"name": None}, {"options": ["a"]}, {"options": ["a", "a"]}, {"options": ["a", " a"]}),
            *({"options": ["a", ""]}, {"options": ["a", 5]}, {"options": "ab"}, {"options": list("abcdefghijklm")}),
            *({"options": ["a", "x" * (MAX_OPTION + 1)]}, {"selectable_count": 3}, {"selectable_count": -1}),
            *({"selectable_count": True}, {"selectable_count": "1"}, {"selectable_count": None}),
        )
    ),
    *(
        Bad(f"context {value!r:.20}", row(body="x", context=value), Failure.BAD_CONTEXT)
        for value in each(
            "3EB0",
            [],
            {},
            {"message_id": ""},
            {"message_id": "A", "from": 5},
            {"message_id": "A", "body": 5},
        )
    ),
    Bad(
        "long quote", row(body="x", context={"message_id": "A", "body": "x" * (MAX_BODY_LENGTH + 1)}), Failure.LONG_BODY
    ),
    *(
        Bad(f"mentions {value!r:.20}", row(body="x", mentions=value), Failure.BAD_MENTIONS)
        for value in each("5511", {}, [None], [""], [True], [5.5], [[]], ["x"] * 1025, ["x" * (MAX_LINE + 1)])
    ),
    *(
        Bad(f"typing {value!r}", row(body="x", typing_ms=value), Failure.BAD_TYPING)
        for value in each("1", -1, LONGEST_TYPING + 1, 1.5, True, [], 10**400)
    ),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name.encode("ascii", "replace").decode())
def test_a_hostile_row_is_failed_and_costs_no_other(case: Bad) -> None:
    rows = wire.messages_from([row(id=1, body="before"), case.row, row(id=2, body="behind")])
    assert [message.id for message in rows.good] == [1, 2]
    (bad,) = rows.bad
    assert (bad.id, bad.failure) == (7, case.failure)
    assert "x" * 50 not in bad.reason, "what stands in a row is for no log"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TYPES = st.sampled_from(
    ["text", *(k.value for k in MediaKind), *["location", "contacts", "reaction", "edit", "revoke", "poll"]]
)


@given(
    TYPES,
    st.dictionaries(
        st.sampled_from(
            [
                "media",
                "location",
                "contacts",
                "reaction",
                "edit",
                "revoke",
                "poll",
                "context",
                "mentions",
                "typing_ms",
                "body",
            ]
        ),
        JSON
        | st.dictionaries(
            st.sampled_from(["link", "message_id", "emoji", "name", "options", "latitude", "phones"]), JSON
        ),
    ),
)
def test_no_row_breaks_anything(kind: str, fields: dict[str, Any]) -> None:
    rows = wire.messages_from([{**row(type=kind), **fields}])
    assert len(rows.good) + len(rows.bad) == 1
