"""Rows of every type, as Baileys shows them: decrypted, and files byte for byte."""

from __future__ import annotations

import hashlib
from typing import Any

from tests import media_files
from tests.baileys.conversation import Conversation
from tests.baileys.peer import Event
from tests.link_host import open_link_host

OTHER = "5511988880003"
REVOKED = 1
"""`REVOKE` of WebMessageInfo.StubType."""


async def test_what_is_about_another_message(conversation: Conversation) -> None:
    peer = conversation.peer
    theirs = await peer.do("text", to=conversation.lid, text="how much is it?")
    await conversation.inbound(theirs)
    ours = await conversation.send("10 reais")
    await peer.message(ours)

    quote = {"message_id": theirs, "body": "how much is it?"}
    reply = (await peer.message(await conversation.send("per kilo", context=quote)))["content"]["extendedTextMessage"]
    context = reply["contextInfo"]
    assert (reply["text"], context["stanzaId"], context["quotedMessage"]["conversation"]) == (
        "per kilo",
        theirs,
        "how much is it?",
    )
    assert context["participant"] in {peer.jid, peer.lid}

    mention = (await peer.message(await conversation.send(f"@{OTHER} says so", mentions=[OTHER])))["content"]
    assert mention["extendedTextMessage"]["contextInfo"]["mentionedJid"] == [f"{OTHER}@s.whatsapp.net"]

    await conversation.send(type="reaction", reaction={"message_id": theirs, "emoji": "\N{THUMBS UP SIGN}"})
    reaction = await peer.heard("reaction")
    assert (reaction["wa_id"], reaction["text"]) == (theirs, "\N{THUMBS UP SIGN}")

    await conversation.send("11 reais", type="edit", edit={"message_id": ours})
    edited = await peer.heard("update", lambda update: update["wa_id"] == ours and "message" in update)
    assert edited["message"]["editedMessage"]["message"]["conversation"] == "11 reais"

    await conversation.send(type="revoke", revoke={"message_id": ours})
    await peer.heard("update", lambda update: update["wa_id"] == ours and update.get("messageStubType") == REVOKED)


async def test_places_cards_and_polls(conversation: Conversation) -> None:
    peer = conversation.peer

    async def shown(**row: Any) -> Event:
        return (await peer.message(await conversation.send(**row)))["content"]  # type: ignore[no-any-return]

    place = {"latitude": -23.5, "longitude": -46.6, "name": "Shop", "address": "Rua A, 1"}
    location = (await shown(type="location", location=place))["locationMessage"]
    assert (location["degreesLatitude"], location["degreesLongitude"]) == (-23.5, -46.6)
    assert (location["name"], location["address"]) == ("Shop", "Rua A, 1")

    ana = {"name": {"formatted_name": "Ana"}, "phones": [{"phone": "+55 11 98888-0003", "wa_id": OTHER}]}
    card = (await shown(type="contacts", contacts=[ana]))["contactMessage"]
    assert card["displayName"] == "Ana"
    assert f"waid={OTHER}:+55 11 98888-0003" in card["vcard"]

    question = {"name": "When?", "options": ["today", "tomorrow"], "selectable_count": 1}
    poll = (await shown(type="poll", poll=question))["pollCreationMessageV3"]
    assert (poll["name"], [option["optionName"] for option in poll["options"]]) == ("When?", ["today", "tomorrow"])


async def test_files(conversation: Conversation) -> None:
    peer = conversation.peer
    jpeg, voice, pdf = media_files.picture(), media_files.voice(3.0), media_files.document()

    async def shown(kind: str, data: bytes, **row: Any) -> Event:
        """Baileys' content of this kind, once it has the very bytes."""
        heard = await peer.message(await conversation.send(**row))
        assert heard["media"] == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        return heard["content"][kind]  # type: ignore[no-any-return]

    async with open_link_host() as host:
        link = host.serve("/a.jpg", jpeg, headers={"Content-Type": "image/jpeg"})
        image = await shown("imageMessage", jpeg, type="image", media={"link": link, "caption": "look"})
        assert (image["mimetype"], image["caption"], image["width"]) == ("image/jpeg", "look", 640)

        link = host.serve("/a.ogg", voice, headers={"Content-Type": "audio/ogg"})
        note = await shown("audioMessage", voice, type="audio", media={"link": link, "voice": True})
        assert (note["ptt"], note["seconds"], note["mimetype"]) == (True, 3, "audio/ogg; codecs=opus")

        link = host.serve("/a.pdf", pdf, headers={"Content-Type": "application/pdf"})
        media = {"link": link, "filename": "price list.pdf"}
        document = await shown("documentMessage", pdf, type="document", media=media)
        assert (document["mimetype"], document["fileName"]) == ("application/pdf", "price list.pdf")
