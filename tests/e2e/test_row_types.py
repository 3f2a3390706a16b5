"""Rows of every type through the real process: what the contact gets of each, decrypted, byte for byte."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from tests import media_files
from tests.e2e.world import World
from tests.link_host import Answer, LinkHost, open_link_host
from wa_worker.dev.proxy import Fault, MessageRow
from wa_worker.dev.simulator.poll_votes import vote
from wa_worker.errors import Failure

PHONE, CONTACT, OTHER = "5511999990001", "5511988880002", "5511988880003"
PRIVATE = {"MEDIA_ALLOW_PRIVATE": "1"}


@pytest.fixture
async def host() -> AsyncIterator[LinkHost]:
    async with open_link_host() as opened:
        yield opened


async def started(world: World) -> Any:
    """A worker with a paired instance; the contact's messages are returned."""
    await world.start_worker(**PRIVATE)
    await world.pair("shop", PHONE)
    return world.simulator.contact(CONTACT)


async def send(world: World, contact: Any, to: str = CONTACT, **row: Any) -> Any:
    """Queues a row and returns what the contact got, once the proxy knows of it."""
    before = len(contact.received)
    world.proxy.store.queue_row("shop", to, **row)
    with trio.fail_after(world.patience):
        got = (await contact.wait_received(before + 1))[before]
    rows = await world.until(lambda s: _none_queued(s.messages("shop")))
    assert rows[-1].wa_message_id == got.wa_id
    return got


def _none_queued(rows: list[MessageRow]) -> list[MessageRow]:
    return [] if any(row.status == "queued" for row in rows) else rows


async def test_texts_reply_mention_and_what_is_about_others(world: World) -> None:
    contact = await started(world)
    jid = world.jids["shop"]
    theirs = await contact.send(jid, "how much is it?")
    await world.until(lambda s: s.inbound("shop"))
    ours = await send(world, contact, body="10 reais")

    reply = await send(world, contact, body="per kilo", context={"message_id": theirs, "body": "how much is it?"})
    context = reply.message.extendedTextMessage.contextInfo
    assert (reply.text, context.stanzaID, context.participant) == ("per kilo", theirs, contact.jid)
    assert context.quotedMessage.conversation == "how much is it?"

    own = await send(world, contact, body="or 90 for ten", context={"message_id": ours.wa_id})
    assert own.message.extendedTextMessage.contextInfo.participant == f"{PHONE}@s.whatsapp.net"

    mention = await send(world, contact, body=f"@{OTHER} says so", mentions=[OTHER, "+55 11 98888-0003"])
    assert list(mention.message.extendedTextMessage.contextInfo.mentionedJID) == [f"{OTHER}@s.whatsapp.net"]

    for emoji in ("\N{THUMBS UP SIGN}", ""):
        reaction = await send(world, contact, type="reaction", reaction={"message_id": theirs, "emoji": emoji})
        said = reaction.message.reactionMessage
        assert (said.text, said.key.ID, said.key.fromMe, said.key.remoteJID) == (emoji, theirs, False, contact.jid)
        assert reaction.attrs["type"] == "reaction"
    on_ours = await send(world, contact, type="reaction", reaction={"message_id": ours.wa_id, "emoji": "x"})
    assert on_ours.message.reactionMessage.key.fromMe

    edit = await send(world, contact, type="edit", edit={"message_id": ours.wa_id}, body="11 reais")
    changed = edit.message.editedMessage.message.protocolMessage
    assert (changed.key.ID, changed.key.fromMe, changed.editedMessage.conversation) == (ours.wa_id, True, "11 reais")
    assert edit.attrs["edit"] == "1"
    of_a_photo = {"message_id": ours.wa_id, "message_type": "image"}
    caption = await send(world, contact, type="edit", edit=of_a_photo, body="12 reais")
    changed = caption.message.editedMessage.message.protocolMessage
    assert (changed.key.ID, changed.editedMessage.imageMessage.caption) == (ours.wa_id, "12 reais")
    assert caption.attrs["edit"] == "1"

    revoke = await send(world, contact, type="revoke", revoke={"message_id": ours.wa_id})
    deleted = revoke.message.protocolMessage
    assert (deleted.key.ID, deleted.key.fromMe, deleted.type) == (ours.wa_id, True, deleted.REVOKE)
    assert revoke.attrs["edit"] == "7"


async def test_places_cards_and_polls(world: World) -> None:
    contact = await started(world)
    await contact.set_timer(world.jids["shop"], 86_400)
    await world.simulator.contact(OTHER).send(world.jids["shop"], "hi")  # a chat without one
    await world.until(lambda s: s.inbound("shop"))
    place = {"latitude": -23.5, "longitude": "-46.6", "name": "Shop", "address": "Rua A, 1"}
    message = (await send(world, contact, type="location", location=place)).message.locationMessage
    assert (message.degreesLatitude, message.degreesLongitude) == (-23.5, -46.6)
    assert (message.name, message.address, message.contextInfo.expiration) == ("Shop", "Rua A, 1", 86_400)

    ana = {"name": {"formatted_name": "Ana; Bia"}, "phones": [{"phone": "+55 11 98888-0002", "wa_id": CONTACT}]}
    card = (await send(world, contact, type="contacts", contacts=[ana])).message.contactMessage
    assert card.displayName == "Ana; Bia"
    assert card.vcard.splitlines() == [
        *("BEGIN:VCARD", "VERSION:3.0", "N:;Ana\\; Bia;;;", "FN:Ana\\; Bia"),
        *(f"TEL;type=CELL;type=VOICE;waid={CONTACT}:+55 11 98888-0002", "END:VCARD"),
    ]
    assert card.contextInfo.expiration == 86_400
    own_card = {"name": "Bia", "vcard": "BEGIN:VCARD\nFN:Bia\nEND:VCARD"}
    cards = (await send(world, contact, type="contacts", contacts=[ana, own_card])).message.contactsArrayMessage
    assert [each.displayName for each in cards.contacts] == ["Ana; Bia", "Bia"]
    assert cards.contacts[1].vcard == own_card["vcard"]
    assert cards.contextInfo.expiration == 86_400

    asked = {"name": "When?", "options": ["today", "tomorrow"], "selectable_count": 1}
    received = await send(world, contact, type="poll", poll=asked)
    poll = received.message.pollCreationMessageV3
    assert (poll.name, [option.optionName for option in poll.options]) == ("When?", ["today", "tomorrow"])
    assert len(received.message.messageContextInfo.messageSecret) == 32
    many = await send(world, contact, type="poll", poll={**asked, "selectable_count": 0})
    assert many.message.pollCreationMessage.selectableOptionsCount == 0
    assert many.message.pollCreationMessage.contextInfo.expiration == 86_400


async def test_votes_in_a_poll_of_ours_say_what_was_chosen(world: World) -> None:
    contact = await started(world)
    poll = {"name": "Quando?", "options": ["sexta", "s\u00e1bado"], "selectable_count": 1}
    got = await send(world, contact, type="poll", poll=poll)
    secret, account = got.message.messageContextInfo.messageSecret, f"{PHONE}@s.whatsapp.net"
    about = {"author": account, "voter": contact.jid, "chat": contact.jid}
    await world.workers[-1].stop(signal.SIGKILL)
    await world.start_worker(FORWARD_KINDS="reaction", **PRIVATE)
    await contact.send(world.jids["shop"], vote(secret, got.wa_id, chosen=["s\u00e1bado"], **about))
    (row,) = await world.until(lambda s: s.inbound("shop"))
    assert row.payload["poll_vote"] == {"message_id": got.wa_id, "selected": ["s\u00e1bado"]}


async def test_files_of_every_kind(world: World, host: LinkHost) -> None:
    contact = await started(world)
    jpeg, png = media_files.picture(), media_files.picture("PNG", (30, 40))

    def link(name: str, data: bytes, mime_type: str = "application/octet-stream") -> str:
        return host.serve(f"/{name}", data, headers={"Content-Type": mime_type})

    got = await send(world, contact, type="image", media={"link": link("a.jpg", jpeg), "caption": "look"})
    image = got.message.imageMessage
    assert contact.files.open(got.message) == jpeg
    assert (image.mimetype, image.width, image.height, image.caption) == ("image/jpeg", 640, 480, "look")
    assert image.fileLength == len(jpeg)
    assert image.JPEGThumbnail.startswith(b"\xff\xd8\xff")
    assert len(image.JPEGThumbnail) < 8000
    assert got.attrs["type"] == "media"

    got = await send(world, contact, type="image", body="the caption", media={"link": link("b", png, "text/plain")})
    assert contact.files.open(got.message) == png
    assert (got.message.imageMessage.mimetype, got.message.imageMessage.caption) == ("image/png", "the caption")

    voice = media_files.voice(3.2)
    got = await send(world, contact, type="audio", media={"link": link("v.ogg", voice), "voice": True})
    audio = got.message.audioMessage
    assert contact.files.open(got.message) == voice
    assert (audio.mimetype, audio.PTT, audio.seconds) == ("audio/ogg; codecs=opus", True, 4)
    assert len(audio.waveform) == 64
    assert audio.waveform[0] < 10 < 90 < audio.waveform[-1]

    got = await send(world, contact, type="audio", media={"link": link("m.mp3", b"ID3" + bytes(500))})
    assert (got.message.audioMessage.mimetype, got.message.audioMessage.PTT) == ("audio/mpeg", False)

    video = media_files.video()
    got = await send(world, contact, type="video", media={"link": link("v.mp4", video), "caption": "see"})
    assert contact.files.open(got.message) == video
    assert (got.message.videoMessage.mimetype, got.message.videoMessage.caption) == ("video/mp4", "see")

    sticker = media_files.picture("WEBP", (512, 512))
    got = await send(world, contact, type="sticker", media={"link": link("s.webp", sticker)})
    assert contact.files.open(got.message) == sticker
    assert (got.message.stickerMessage.mimetype, got.message.stickerMessage.width) == ("image/webp", 512)

    pdf = media_files.document()
    named = {"link": link("x", pdf, "application/pdf"), "filename": "../Nota fiscal.pdf"}
    got = await send(world, contact, type="document", media=named, context={"message_id": "3EB0AA"})
    document = got.message.documentMessage
    assert contact.files.open(got.message) == pdf
    assert (document.fileName, document.mimetype) == ("Nota fiscal.pdf", "application/pdf")
    assert document.contextInfo.stanzaID == "3EB0AA"
    got = await send(world, contact, type="document", media={**named, "caption": "here", "mime_type": "text/csv"})
    inner = got.message.documentWithCaptionMessage.message.documentMessage
    assert contact.files.open(got.message) == pdf
    assert (inner.caption, inner.mimetype) == ("here", "text/csv")
    assert not [*(world.auth_dir / "@worker" / "files-to-send").iterdir()], "nothing is left on the volume"


async def test_a_slow_link_holds_up_its_own_chat_only(world: World, host: LinkHost) -> None:
    contact, other = await started(world), world.simulator.contact(OTHER)
    slow = host.serve("/slow", media_files.picture(), stall_at=100)
    world.proxy.store.queue_row("shop", CONTACT, type="image", media={"link": slow})
    world.proxy.store.queue_row("shop", CONTACT, body="behind it")
    world.proxy.store.queue_row("shop", OTHER, body="elsewhere")
    with trio.fail_after(5):
        await other.wait_received(1)
    await world.until(lambda s: host.asked["/slow"])
    assert not contact.received
    host.serve("/slow", picture := media_files.picture())
    with trio.fail_after(60):  # the silence, and the pause before the next try
        got = await contact.wait_received(2)
    assert contact.files.open(got[0].message) == picture
    assert got[1].text == "behind it"


async def test_what_cannot_be_sent_is_failed_with_its_reason(world: World, host: LinkHost) -> None:
    contact = await started(world)
    gone = host.serve("/gone", status=410, headers={"Content-Type": "text/plain"})
    vorbis = host.serve("/vorbis", b"OggS" + bytes(300))
    rows: list[tuple[dict[str, Any], Failure]] = [
        ({"type": "image", "media": {"link": gone}}, Failure.GONE_LINK),
        ({"type": "audio", "media": {"link": vorbis, "voice": True}}, Failure.BAD_FILE),
        ({"type": "image", "media": {"link": host.serve("/big", declared=17 * 2**20)}}, Failure.LARGE_FILE),
        ({"type": "image", "media": {"link": "file:///etc/passwd"}}, Failure.BAD_LINK),
        ({"type": "buttons", "body": "x"}, Failure.BAD_TYPE),
        ({"body": "x", "mentions": ["a person"]}, Failure.BAD_MENTIONS),
        ({"type": "reaction", "reaction": {"message_id": "A", "emoji": "x", "from": "a person"}}, Failure.BAD_CONTEXT),
        ({"type": "edit", "edit": {"message_id": "A", "from": CONTACT}, "body": "x"}, Failure.NOT_OURS),
        ({"type": "revoke", "revoke": {"message_id": "A", "from": CONTACT}}, Failure.NOT_OURS),
    ]
    for number, (row, _) in enumerate(rows):
        world.proxy.store.queue_row("shop", f"551198888{number:04}", **row)
    world.proxy.store.queue_row("shop", CONTACT, body="fine")
    messages = await world.until(lambda s: _none_queued(s.messages("shop")))
    assert [row.error for row in messages[:-1]] == [failure.value for _, failure in rows]
    assert [m.text for m in contact.received] == ["fine"]


async def test_a_link_that_fails_for_a_while_is_asked_again(world: World, host: LinkHost) -> None:
    contact = await started(world)
    picture = media_files.picture()
    link = host.serve("/p", status=503, times=1, then=Answer(picture))
    world.simulator.media.uploads.status = 500
    world.proxy.store.queue_row("shop", CONTACT, type="image", media={"link": link})
    with trio.fail_after(40):
        await world.simulator.media.wait_requested(1, method="POST")
        world.simulator.media.uploads.status = None
        got = await contact.wait_received(1)
    assert contact.files.open(got[0].message) == picture


async def test_kill_9_between_upload_and_send_sends_one(world: World, host: LinkHost) -> None:
    worker = await world.start_worker(**PRIVATE)
    await world.pair("shop", PHONE)
    contact = world.simulator.contact(CONTACT)
    link = host.serve("/p", picture := media_files.picture())
    row = {"type": "image", "media": {"link": link}, "typing_ms": 30_000}  # which comes after the upload
    world.proxy.store.queue_row("shop", CONTACT, **row)
    await world.simulator.media.wait_requested(1, method="POST")
    await worker.stop(signal.SIGKILL)
    world.proxy.faults.set("queued-messages", Fault(status=503))
    (queued,) = world.proxy.store.queued("shop")
    world.proxy.store.mark_failed(queued["id"], "withdrawn")
    world.proxy.store.queue_row("shop", CONTACT, type="image", media={"link": link})
    world.proxy.faults.clear()
    worker = await world.start_worker(**PRIVATE)
    await world.until(lambda s: s.messages("shop")[-1].status == "sent")
    assert [contact.files.open(m.message) for m in contact.received] == [picture]
    assert not [line for line in worker.lines if "cut off by the last stop" in line["event"]]


async def test_typing_is_seen_first_and_holds_up_nobody_else(world: World) -> None:
    contact, other = await started(world), world.simulator.contact(OTHER)
    began = trio.current_time()
    world.proxy.store.queue_row("shop", CONTACT, body="thinking", typing_ms=2000)
    world.proxy.store.queue_row("shop", OTHER, body="at once")
    with trio.fail_after(world.patience):
        await other.wait_received(1)
        assert not contact.received
        await contact.wait_received(1)
    assert trio.current_time() - began >= 2.0
    assert [state[1][0] for state in world.simulator.typing] == ["composing", "paused"]
    assert {to for to, *_ in world.simulator.typing} <= {contact.jid, contact.lid}
