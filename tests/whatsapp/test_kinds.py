"""Every kind of content, as the unmodified library hands it over: what the proxy is told of it.

A contact of the simulated WhatsApp sends the protobuf that phones write; what is compared is the JSON of `/inbound`,
without the fields that every message has. tests/whatsapp/kinds/ has what hostile senders write.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from tests.proxy_fixture import SHOP, until
from tests.whatsapp.test_session import CONTACT, PHONE, Session, World, world
from wa_worker.dev.simulator.calls import IncomingCall
from wa_worker.dev.simulator.placeholders import HandingOver
from wa_worker.dev.simulator.poll_votes import vote
from wa_worker.dev.simulator.protobufs import Message
from wa_worker.dev.simulator.stanza_types import sent_on_phone
from wa_worker.edge.inbound_body import inbound_body
from wa_worker.journal import open_journal
from wa_worker.models import RESERVED_FOLDER

__all__ = ["world"]

ACCOUNT, PERSON, PERSON_LID = f"{PHONE}@s.whatsapp.net", f"{CONTACT}@s.whatsapp.net", f"9{CONTACT}@lid"
OWN_LID = f"9{PHONE}@lid"
HEADER = ("instanceId", "from", "to", "chat_id", "chat_type", "sender_id", "sender_lid", "push_name")
DIGEST = bytes(range(32))
FILE = {
    "directPath": "/v/t62",
    "mediaKey": b"k" * 32,
    "fileSHA256": DIGEST,
    "fileEncSHA256": DIGEST,
    "fileLength": 4321,
}
CARD = "BEGIN:VCARD\nVERSION:3.0\nFN:Bia\nTEL;type=CELL;waid=5511988880006:+55 11 98888-0006\nEND:VCARD"
KEY = {"remoteJID": PERSON, "fromMe": False, "ID": "3EB0FIRST"}
QUOTE = {
    "stanzaID": "3EB0FIRST",
    "participant": OWN_LID,
    "quotedMessage": {"imageMessage": {"caption": "Temos esta"}},
}
MANY_TIMES = {"isForwarded": True, "forwardingScore": 127}
AD = {
    "externalAdReply": {
        "title": "Promo\u00e7\u00e3o",
        "body": "S\u00f3 hoje",
        "mediaType": "VIDEO",
        "originalImageURL": "https://example.com/i.jpg",
        "mediaURL": "https://example.com/v.mp4",
        "sourceType": "ad",
        "sourceID": "120200",
        "sourceURL": "https://fb.me/x",
        "ctwaClid": "AfQ",
    }
}


def media(mime_type: str, **more: Any) -> dict[str, Any]:
    return {"media": {"mime_type": mime_type, "sha256": DIGEST.hex(), "size": 4321, **more}}


@attrs.frozen
class Kind:
    """A message, and what is told of it besides the fields that all have."""

    name: str
    message: dict[str, Any]
    told: dict[str, Any]


def kind(name: str, message: dict[str, Any], message_type: str, body: str = "", **told: Any) -> Kind:
    return Kind(name, message, {"message_type": message_type, "body": body, **told})


KINDS = [
    kind(
        "image",
        {"imageMessage": {**FILE, "mimetype": "image/png", "caption": "Foto", "width": 640, "height": 480}},
        "image",
        "Foto",
        **media("image/png", width=640, height=480),
    ),
    kind(
        "video",
        {"videoMessage": {**FILE, "mimetype": "video/mp4", "caption": "Veja", "seconds": 7, "width": 6, "height": 4}},
        "video",
        "Veja",
        **media("video/mp4", animated=False, duration=7, width=6, height=4),
    ),
    kind(
        "moving picture",
        {"videoMessage": {**FILE, "mimetype": "video/mp4", "gifPlayback": True}},
        "video",
        **media("video/mp4", animated=True),
    ),
    kind(
        "voice note",
        {"audioMessage": {**FILE, "mimetype": "audio/ogg; codecs=opus", "PTT": True, "seconds": 3}},
        "audio",
        **media("audio/ogg; codecs=opus", voice=True, duration=3),
    ),
    kind(
        "document",
        {
            "documentWithCaptionMessage": {
                "message": {
                    "documentMessage": {
                        **FILE,
                        "mimetype": "application/pdf",
                        "fileName": "nota.pdf",
                        "caption": "A nota",
                    }
                }
            }
        },
        "document",
        "A nota",
        **media("application/pdf", filename="nota.pdf"),
    ),
    kind(
        "sticker",
        {"stickerMessage": {**FILE, "mimetype": "image/webp", "isAnimated": True, "width": 512, "height": 512}},
        "sticker",
        **media("image/webp", animated=True, width=512, height=512),
    ),
    kind(
        "place",
        {
            "locationMessage": {
                "degreesLatitude": -23.5505,
                "degreesLongitude": -46.6333,
                "name": "Loja",
                "address": "Rua Exemplo, 100",
                "URL": "https://example.com",
            }
        },
        "location",
        "Loja, Rua Exemplo, 100",
        location={
            "latitude": -23.5505,
            "longitude": -46.6333,
            "name": "Loja",
            "address": "Rua Exemplo, 100",
            "url": "https://example.com",
        },
    ),
    kind(
        "live place",
        {"liveLocationMessage": {"degreesLatitude": 1.5, "degreesLongitude": 2.5, "caption": "Chego j\u00e1"}},
        "location",
        "Chego j\u00e1",
        location={"latitude": 1.5, "longitude": 2.5, "live": True},
    ),
    kind(
        "contacts",
        {"contactsArrayMessage": {"contacts": [{"displayName": "Bia", "vcard": CARD}, {"displayName": "Rui"}]}},
        "contact",
        "Bia, +55 11 98888-0006\nRui",
        contacts=[
            {
                "name": {"formatted_name": "Bia"},
                "phones": [{"phone": "+55 11 98888-0006", "wa_id": "5511988880006"}],
                "vcard": CARD,
            },
            {"name": {"formatted_name": "Rui"}, "phones": []},
        ],
    ),
    kind(
        "reply",
        {"extendedTextMessage": {"text": "Quero", "contextInfo": QUOTE}},
        "text",
        "Quero",
        context={"message_id": "3EB0FIRST", "from": ACCOUNT, "body": "Temos esta"},
    ),
    kind(
        "forwarded picture",
        {"imageMessage": {**FILE, "contextInfo": MANY_TIMES}},
        "image",
        **media("image/jpeg"),
        context={"forwarded": True, "frequently_forwarded": True},
    ),
    kind(
        "mentions",
        {"extendedTextMessage": {"text": "@1 @2", "contextInfo": {"mentionedJID": [PERSON_LID, OWN_LID, PERSON]}}},
        "text",
        "@1 @2",
        mentions=[PERSON, ACCOUNT],
    ),
    kind(
        "advertisement",
        {"extendedTextMessage": {"text": "Tenho interesse", "contextInfo": AD}},
        "text",
        "Tenho interesse",
        referral={
            "source_url": "https://fb.me/x",
            "source_type": "ad",
            "source_id": "120200",
            "headline": "Promo\u00e7\u00e3o",
            "body": "S\u00f3 hoje",
            "media_type": "video",
            "image_url": "https://example.com/i.jpg",
            "video_url": "https://example.com/v.mp4",
            "ctwa_clid": "AfQ",
        },
    ),
    kind(
        "reaction",
        {"reactionMessage": {"key": KEY, "text": "\u2764\ufe0f"}},
        "reaction",
        reaction={"message_id": "3EB0FIRST", "emoji": "\u2764\ufe0f"},
    ),
    kind(
        "reaction, taken back",
        {"reactionMessage": {"key": KEY, "text": ""}},
        "reaction",
        reaction={"message_id": "3EB0FIRST", "emoji": ""},
    ),
    kind(
        "edit",
        {
            "editedMessage": {
                "message": {
                    "protocolMessage": {"key": KEY, "type": "MESSAGE_EDIT", "editedMessage": {"conversation": "Dois"}}
                }
            }
        },
        "edit",
        "Dois",
        edit={"message_id": "3EB0FIRST"},
    ),
    kind(
        "edit of a caption, bare",
        {
            "protocolMessage": {
                "key": KEY,
                "type": "MESSAGE_EDIT",
                "editedMessage": {"imageMessage": {"caption": "Tr\u00eas"}},
            }
        },
        "edit",
        "Tr\u00eas",
        edit={"message_id": "3EB0FIRST"},
    ),
    kind(
        "deletion",
        {"protocolMessage": {"key": KEY, "type": "REVOKE"}},
        "revoke",
        revoke={"message_id": "3EB0FIRST", "by": PERSON},
    ),
    kind(
        "order",
        {
            "orderMessage": {
                "orderID": "777",
                "orderTitle": "Loja",
                "message": "Quero estes",
                "itemCount": 2,
                "totalAmount1000": 25990,
                "totalCurrencyCode": "BRL",
            }
        },
        "order",
        "Quero estes\nLoja\nBRL 25.99",
        order={
            "id": "777",
            "title": "Loja",
            "text": "Quero estes",
            "item_count": 2,
            "total": "25.99",
            "currency": "BRL",
        },
    ),
    kind(
        "product",
        {
            "productMessage": {
                "product": {
                    "productID": "888",
                    "title": "Camisa",
                    "description": "Azul",
                    "retailerID": "SKU1",
                    "priceAmount1000": 49900,
                    "currencyCode": "BRL",
                    "URL": "https://example.com/p",
                }
            }
        },
        "product",
        "Camisa\nAzul\nBRL 49.90",
        product={
            "id": "888",
            "title": "Camisa",
            "description": "Azul",
            "retailer_id": "SKU1",
            "price": "49.90",
            "currency": "BRL",
            "url": "https://example.com/p",
        },
    ),
    kind(
        "poll",
        {
            "pollCreationMessageV3": {
                "name": "Quando?",
                "options": [{"optionName": "Sexta"}, {"optionName": "S\u00e1bado"}],
                "selectableOptionsCount": 1,
            },
            "messageContextInfo": {"messageSecret": DIGEST},
        },
        "poll",
        "Quando?\nSexta\nS\u00e1bado",
        poll={"name": "Quando?", "options": ["Sexta", "S\u00e1bado"], "selectable_count": 1},
    ),
    kind(
        "vote",
        {"pollUpdateMessage": {"pollCreationMessageKey": KEY, "vote": {"encPayload": b"p", "encIV": b"i" * 12}}},
        "poll_vote",
        poll_vote={"message_id": "3EB0FIRST"},
    ),
    kind(
        "planned event",
        {
            "eventMessage": {
                "name": "Festa",
                "description": "Traga gelo",
                "startTime": 1_790_000_000,
                "endTime": 1_790_003_600,
                "location": {"name": "Loja", "address": "Rua Exemplo, 100"},
                "joinLink": "https://example.com/j",
                "isCanceled": False,
            }
        },
        "event",
        "Festa\nTraga gelo\nLoja\nRua Exemplo, 100",
        event={
            "name": "Festa",
            "description": "Traga gelo",
            "start_time": 1_790_000_000,
            "end_time": 1_790_003_600,
            "location": "Loja, Rua Exemplo, 100",
            "join_link": "https://example.com/j",
            "canceled": False,
        },
    ),
    kind(
        "tap on a button",
        {"buttonsResponseMessage": {"selectedButtonID": "yes", "selectedDisplayText": "Sim", "type": "DISPLAY_TEXT"}},
        "text",
        "Sim",
        interactive={"type": "button_reply", "button_reply": {"id": "yes", "title": "Sim"}},
    ),
    kind(
        "tap on a button of a template",
        {"templateButtonReplyMessage": {"selectedID": "stop", "selectedDisplayText": "Parar"}},
        "text",
        "Parar",
        button={"payload": "stop", "text": "Parar"},
    ),
    kind(
        "template",
        {"templateMessage": {"hydratedTemplate": {"hydratedContentText": "Seu pedido", "hydratedFooterText": "Loja"}}},
        "other",
        "Seu pedido\nLoja",
    ),
    kind(
        "on the phone only",
        {"placeholderMessage": {"type": "MASK_LINKED_DEVICES"}},
        "view_once",
    ),
]
NO_MESSAGE: list[dict[str, Any]] = [
    {"secretEncryptedMessage": {"targetMessageKey": KEY, "encPayload": b"x", "encIV": b"i", "secretEncType": 2}},
    {"encReactionMessage": {"targetMessageKey": KEY, "encPayload": b"x", "encIV": b"i"}},
    {"pinInChatMessage": {"key": KEY, "type": "PIN_FOR_ALL"}},
]


def told(world: World) -> list[dict[str, Any]]:
    """What the proxy is to be told, in its order."""
    with open_journal(world.auth_dir / RESERVED_FOLDER / "journal.db") as journal:
        inbox = journal.inbox
        rows = [row for key in inbox.keys(0, 100) for row in inbox.pending(key, 100)]
        return [inbound_body(SHOP, row.message) for row in sorted(rows, key=lambda row: row.seq)]


def without(fields: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


async def counted(session: Session, count: int) -> None:
    await until(lambda: sum(line["is"] == "message" for line in session.said) >= count)


async def test_every_kind_that_a_contact_sends(world: World) -> None:
    contact = world.simulator.contact(CONTACT)
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        for message in NO_MESSAGE:
            await contact.send(world.jid, Message(**message))
        ids = [await contact.send(world.jid, Message(**each.message), timestamp=1_700_000_000) for each in KINDS]
        await counted(session, len(KINDS))
        await until(lambda: world.simulator.pending(world.jid) == [])
        assert await session.close()
    found = told(world)
    assert [each["wa_message_id"] for each in found] == ids
    for each, fields in zip(KINDS, found, strict=True):
        fields.get("media", {}).pop("error", None)  # of the file, which nobody has fetched
        assert without(fields, (*HEADER, "wa_message_id", "timestamp")) == each.told, each.name
        assert [fields[name] for name in HEADER] == [
            *(SHOP, PERSON, ACCOUNT, PERSON, "direct", PERSON, PERSON_LID, f"Contact {CONTACT}")
        ], each.name
        assert fields["timestamp"] == 1_700_000_000
    log = (world.auth_dir / "log").read_text()
    for private in ("Temos esta", "Quero", "nota.pdf", "Rua Exemplo", "Bia", "Festa", "Tenho interesse", "SKU1"):
        assert private not in log


async def test_votes_in_a_poll_of_the_contacts_say_what_was_chosen(world: World) -> None:
    contact, phone = world.simulator.contact(CONTACT), world.simulator.contact(PHONE)
    secret, options = b"s" * 32, ("Sexta", "S\u00e1bado", "Domingo")
    poll = Message(
        pollCreationMessage={"name": "Quando?", "options": [{"optionName": each} for each in options]},
        messageContextInfo={"messageSecret": secret},
    )
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        asked = await contact.send(world.jid, poll)
        await counted(session, 1)
        for voter in (PERSON, PERSON_LID):
            for author in (PERSON, PERSON_LID):
                await contact.send(world.jid, vote(secret, asked, author, voter, options[1:], chat=ACCOUNT))
        await contact.send(world.jid, vote(secret, asked, PERSON, PERSON, (), chat=ACCOUNT))
        own = vote(secret, asked, PERSON, ACCOUNT, options[:1], chat=PERSON)
        await phone.send(world.jid, sent_on_phone(PERSON, own), recipient=PERSON)
        for wrong in ((b"t" * 32, options[:1]), (secret, ("Segunda",))):
            await contact.send(world.jid, vote(wrong[0], asked, PERSON, PERSON, wrong[1], chat=ACCOUNT))
        await counted(session, 9)
    _, *votes = told(world)
    assert [each["poll_vote"].get("selected") for each in votes] == [
        *[["S\u00e1bado", "Domingo"]] * 4,
        *([], ["Sexta"], None, None),
    ]
    assert {each["poll_vote"]["message_id"] for each in votes} == {asked}


async def test_what_the_account_sends_on_its_phone(world: World) -> None:
    phone, contact = world.simulator.contact(PHONE), world.simulator.contact(CONTACT)
    texts = {PERSON: "pelo telefone", PERSON_LID: "pelo LID"}
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await contact.send(world.jid, "Oi")
        await counted(session, 1)
        for chat, text in texts.items():
            await phone.send(world.jid, sent_on_phone(chat, Message(conversation=text)), recipient=chat)
        edit = Message(protocolMessage={"key": KEY, "type": "MESSAGE_EDIT", "editedMessage": {"conversation": "Dois"}})
        await phone.send(world.jid, sent_on_phone(PERSON, edit), recipient=PERSON)
        await counted(session, 4)
    found = told(world)[1:]
    assert [(each["message_type"], each["body"]) for each in found] == [
        ("text", "pelo telefone"),
        ("text", "pelo LID"),
        ("edit", "Dois"),
    ]
    for each in found:
        addresses = [each[name] for name in ("from", "to", "sender_id", "sender_lid", "chat_type", "from_me")]
        assert addresses == [PERSON, PERSON, ACCOUNT, OWN_LID, "direct", True]


async def test_what_can_be_seen_once_is_a_note_and_what_the_phone_hands_over_is_the_message(world: World) -> None:
    contact, phone = world.simulator.contact(CONTACT), world.simulator.contact(PHONE)
    handed_over = Message(extendedTextMessage={"text": "Vi o an\u00fancio", "contextInfo": AD})
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        once = await contact.send_placeholder(world.jid, "view_once")
        await counted(session, 1)
        handing_over = HandingOver(phone, contact, handed_over)
        await handing_over.introduce(world.jid)
        await until(lambda: world.simulator.pending(world.jid) == [])
        asked = await contact.send_placeholder(world.jid)
        await counted(session, 2)
        assert asked in handing_over.asked
    note, message = told(world)
    assert (note["wa_message_id"], note["message_type"], note["body"], note["from"]) == (once, "view_once", "", PERSON)
    assert (message["wa_message_id"], message["message_type"], message["body"]) == (asked, "text", "Vi o an\u00fancio")
    assert message["referral"]["ctwa_clid"] == "AfQ"


GROUP = "120363041234567890@g.us"


async def test_a_call_is_one_row_once_it_is_known_what_became_of_it(world: World) -> None:
    contact, device = world.simulator.contact(CONTACT), world.simulator.device(world.jid)
    ends = {"timeout": "missed", "": "missed", "accepted_elsewhere": "answered", "rejected_elsewhere": "rejected"}
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        for count, reason in enumerate(ends, 1):
            call = IncomingCall(contact, device, video=reason == "timeout")
            call.offer()
            call.terminate(reason)
            call.terminate(reason)
            await counted(session, count)
        taken = IncomingCall(contact, device)
        taken.offer()
        taken.accept()
        taken.terminate()
        await counted(session, 5)
        in_group = IncomingCall(contact, device, video=True, group=GROUP)
        in_group.notice()
        in_group.terminate("timeout")
        await counted(session, 6)
        ringing = IncomingCall(contact, device)
        ringing.offer()
        never_rang = IncomingCall(contact, device)
        never_rang.terminate()
        await counted(session, 7)
    *direct, answered, group, late = told(world)
    assert [each["call"]["outcome"] for each in direct] == list(ends.values())
    assert [each["call"]["video"] for each in direct] == [True, False, False, False]
    assert answered["call"] == {"id": taken.id, "video": False, "group": False, "outcome": "answered"}
    assert late["call"] == {"id": never_rang.id, "group": False, "outcome": "missed"}
    for each in (*direct, answered, late):
        assert (each["message_type"], each["body"], each["wa_message_id"]) == ("call", "", each["call"]["id"])
        assert [each[name] for name in ("from", "to", "sender_id", "sender_lid")] == [
            PERSON,
            ACCOUNT,
            PERSON,
            PERSON_LID,
        ]
    assert group["call"] == {"id": in_group.id, "video": True, "group": True, "outcome": "missed"}
    assert (group["from"], group["to"], group["chat_type"], group["group"]["id"]) == (GROUP, PERSON, "group", GROUP)


FIELDS = {
    *{
        f"media.{each}"
        for each in ["mime_type", "sha256", "size", "filename", "voice", "animated", "duration", "width", "height"]
    },
    *{f"context.{each}" for each in ["message_id", "from", "body", "forwarded", "frequently_forwarded"]},
    *("reaction.message_id", "reaction.emoji", "edit.message_id", "revoke.message_id", "revoke.by"),
    *{f"location.{each}" for each in ["latitude", "longitude", "name", "address", "url", "live"]},
    *{f"order.{each}" for each in ["id", "title", "text", "item_count", "total", "currency"]},
    *{f"product.{each}" for each in ["id", "title", "description", "retailer_id", "price", "currency", "url"]},
    *{f"poll.{each}" for each in ["name", "options", "selectable_count"]},
    *{
        f"event.{each}"
        for each in ["name", "description", "start_time", "end_time", "location", "join_link", "canceled"]
    },
    *{f"referral.{each}" for each in ["source_url", "source_type", "source_id", "headline", "body", "media_type"]},
    *{f"referral.{each}" for each in ["image_url", "video_url", "ctwa_clid"]},
    *("interactive.type", "interactive.button_reply", "button.payload", "button.text", "poll_vote.message_id"),
    *("contacts", "mentions", "body", "message_type"),
}


def test_every_field_of_the_contract_is_in_the_table() -> None:
    found = {
        f"{name}.{inner}" if isinstance(value, dict) else name
        for each in KINDS
        for name, value in each.told.items()
        for inner in (value if isinstance(value, dict) else [""])
    }
    assert found == FIELDS
