"""What Baileys sends, as the worker hands it in."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from tests import media_files
from tests.baileys.conversation import Conversation

OTHER = "5511988880003"
CARD = f"BEGIN:VCARD\nVERSION:3.0\nFN:Ana\nTEL;type=CELL;waid={OTHER}:+55 11 98888-0003\nEND:VCARD"


async def test_what_is_about_another_message(conversation: Conversation) -> None:
    peer, lid = conversation.peer, conversation.lid

    async def handed_in(what: str, **fields: Any) -> dict[str, Any]:
        row = await conversation.inbound(await peer.do(what, to=lid, **fields))
        return {"body": row.body, **row.payload}

    ours = await conversation.send("10 reais")
    await peer.message(ours)

    reply = await handed_in("text", text="per kilo?", quote=ours)
    assert (reply["message_type"], reply["body"]) == ("text", "per kilo?")
    assert (reply["context"]["message_id"], reply["context"]["body"]) == (ours, "10 reais")

    mention = await handed_in("text", text=f"@{OTHER} asks", mentions=[f"{OTHER}@s.whatsapp.net"])
    assert mention["mentions"] == [f"{OTHER}@s.whatsapp.net"]

    for emoji in ("\N{THUMBS UP SIGN}", ""):
        reaction = await handed_in("react", of=ours, text=emoji)
        assert (reaction["message_type"], reaction["reaction"]["message_id"]) == ("reaction", ours)
        assert (reaction["reaction"].get("emoji") or "") == emoji

    theirs = await peer.do("text", to=lid, text="I take two")
    await conversation.inbound(theirs)
    edit = await handed_in("edit", of=theirs, text="I take three")
    assert (edit["message_type"], edit["body"], edit["edit"]["message_id"]) == ("edit", "I take three", theirs)
    revoke = await handed_in("delete", of=theirs)
    assert (revoke["message_type"], revoke["revoke"]["message_id"]) == ("revoke", theirs)


async def test_places_and_cards(conversation: Conversation) -> None:
    peer, lid = conversation.peer, conversation.lid
    place = await conversation.inbound(await peer.do("place", to=lid, latitude=-23.5, longitude=-46.6, name="Shop"))
    assert place.payload["message_type"] == "location"
    location = place.payload["location"]
    assert (location["latitude"], location["longitude"], location["name"]) == (-23.5, -46.6, "Shop")

    card = await conversation.inbound(await peer.do("card", to=lid, name="Ana", vcard=CARD))
    assert card.payload["message_type"] == "contact"
    (contact,) = card.payload["contacts"]
    assert contact["vcard"] == CARD


async def test_files(conversation: Conversation) -> None:
    peer, lid = conversation.peer, conversation.lid

    async def handed_in(what: str, data: bytes, **fields: Any) -> dict[str, Any]:
        row = await conversation.inbound(await peer.do(what, to=lid, base64=base64.b64encode(data).decode(), **fields))
        media = row.payload["media"]
        assert (media["size"], media["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert conversation.world.proxy.storage.read(media["url"]) == data
        return {"body": row.body, **row.payload}

    image = await handed_in("image", media_files.picture(), caption="look", mimetype="image/jpeg")
    assert (image["message_type"], image["body"], image["media"]["mime_type"]) == ("image", "look", "image/jpeg")
    voice = await handed_in("voice", media_files.voice(3.0), mimetype="audio/ogg; codecs=opus")
    assert (voice["message_type"], voice["media"]["voice"]) == ("audio", True)
    document = await handed_in(
        "document", media_files.document(), filename="price list.pdf", mimetype="application/pdf"
    )
    assert (document["message_type"], document["media"]["filename"]) == ("document", "price list.pdf")
