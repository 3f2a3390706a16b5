"""The console shows what comes from outside as text, whatever it is in: files, names, places, quotes, and what is about
other messages. (test_hostile_texts.py: words.)"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

import httpx

from tests import media_files
from tests.dev.console.conftest import SECRET, Dev
from tests.dev.console.page import Page
from tests.dev.console.test_files import HTML, SVG

CHAT = "5511955550001@s.whatsapp.net"
EVIL = "\"'><script>window.pwned=1</script><img src=x onerror=window.pwned=2>\u202e{{ 7*7 }}"
SHOWN = EVIL.replace("\u202e", "[U+202E]")
LINKS = (
    "javascript:window.pwned=3",
    "data:text/html,<script>window.pwned=4</script>",
    "http://[",
    "//example.invalid/",
)


class Outside:
    """Posts at the proxy what nobody who means well would."""

    def __init__(self, proxy: httpx.Client) -> None:
        self._proxy = proxy
        self._count = 0

    def inbound(self, wa_id: str = "", **fields: Any) -> None:
        self._count += 1
        message = {"instanceId": "demo", "from": CHAT, "to": "x", "body": EVIL, "push_name": EVIL}
        answer = self._proxy.post("/inbound", json={**message, "wa_message_id": wa_id or f"E{self._count}", **fields})
        assert answer.status_code == 200, answer.text

    def queued(self, **fields: Any) -> None:
        answer = self._proxy.post("/admin/messages", json={"instanceId": "gone", "to": CHAT, **fields})
        assert answer.status_code == 201, answer.text

    def file(self, data: bytes, mime_type: str, message_type: str = "image", **more: Any) -> None:
        """A whole file, with the message that it is in."""
        about = {
            "mime_type": mime_type,
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "filename": EVIL,
        }
        self._count += 1
        message = {"chat_id": CHAT, "wa_message_id": f"F{self._count}", "message_type": message_type}
        announced = self._proxy.post("/media-upload", json={"instanceId": "demo", **message, **about}).json()
        put = httpx.put(announced["upload_url"], content=data, headers={"Content-Type": mime_type}, trust_env=False)
        assert put.status_code == 200
        media = {**about, "url": announced["url"], **more}
        self.inbound(message["wa_message_id"], chat_id=CHAT, message_type=message_type, media=media)


def test_hostile_files_are_not_shown(page: Page, dev: Dev) -> None:
    headers = {"Authorization": f"Bearer {SECRET}"}
    with httpx.Client(base_url=dev.proxy, headers=headers, trust_env=False) as proxy:
        outside = Outside(proxy)
        for data in (HTML, SVG, b"\xff\xd8" + SVG, b"GIF8" + HTML):
            outside.file(data, "image/png")
            outside.file(data, "image/svg+xml", "sticker")
            outside.file(data, "text/html", "document")
            outside.file(data, "audio/ogg", "audio", voice=True)
            outside.file(data, "video/mp4", "video")
        outside.file(media_files.picture(), "text/html")  # a picture, whatever it is called
    page.open(f"{dev.console}?instance=demo&chat={quote(CHAT)}")
    page.wait(lambda: len(page.bodies()) == 21)
    (picture,) = page.all("#messages img")
    page.wait(lambda: page.run("return document.querySelector('#messages img').naturalWidth") == 640)
    assert page.all("#messages audio, #messages video, #messages iframe, #messages object, #messages svg") == []
    assert picture.get_attribute("alt").startswith("\"'><script>")
    links = page.all("#messages .file a")
    assert len(links) == 20
    assert all(
        link.text.startswith("\"'><script>window.pwned=1") and link.get_attribute("download") == "" for link in links
    )
    page.picture("hostile-files")
    assert page.fits_the_screen()
    # who opens one all the same gets a file, and the page stays
    for link in (links[0].get_attribute("href"), links[2].get_attribute("href")):
        page.run("window.location.assign(arguments[0])", link)
    page.wait(lambda: page.text("#live") == "Live")
    assert page.run("return document.title") != "pwned"
    assert page.run("return window.pwned") is None


def test_hostile_contents_are_shown_as_text(page: Page, dev: Dev) -> None:
    chat = '"><i>@s.whatsapp.net'
    headers = {"Authorization": f"Bearer {SECRET}"}
    with httpx.Client(base_url=dev.proxy, headers=headers, trust_env=False) as proxy:
        outside = Outside(proxy)

        def say(**fields: Any) -> None:
            outside.inbound(**{"from": chat, "chat_id": chat, **fields})

        place = {"latitude": 1, "longitude": 2, "name": EVIL, "address": EVIL, "url": LINKS[0]}
        say(message_type="location", location=place)
        say(message_type="contact", contacts=[{"name": {"formatted_name": EVIL}, "phones": [{"phone": EVIL}]}])
        say(wa_id="P\"'><b>", message_type="poll", poll={"name": EVIL, "options": [EVIL]})
        say(message_type="poll_vote", poll_vote={"message_id": "P\"'><b>", "selected": [EVIL]})
        say(message_type="event", event={"name": EVIL, "location": EVIL, "start_time": 2**52, "join_link": LINKS[0]})
        say(message_type="order", order={"id": EVIL, "title": EVIL, "text": EVIL, "total": EVIL})
        say(message_type="product", product={"id": EVIL, "title": EVIL, "url": LINKS[0]})
        say(referral={"headline": EVIL, "body": EVIL, "source_url": LINKS[1], "image_url": LINKS[3]})
        say(context={"message_id": EVIL, "from": EVIL, "body": EVIL, "forwarded": True}, mentions=[EVIL])
        say(context={"message_id": "P\"'><b>"})
        say(message_type="reaction", reaction={"message_id": "P\"'><b>", "emoji": EVIL})
        say(message_type="edit", edit={"message_id": EVIL})
        say(message_type="call", call={"id": EVIL, "outcome": EVIL})
        for link in LINKS:
            say(message_type="image", media={"mime_type": EVIL, "filename": EVIL, "url": link, "error": EVIL})
        say(message_type="group", chat_type="group", sender_id=EVIL, group={"id": chat, "subject": EVIL})
        said = {"instanceId": "demo", "event_type": EVIL, "chat_id": chat, "timestamp": 1, "action": EVIL, "by": EVIL}
        assert proxy.post("/event", json={**said, "participants": [EVIL]}).status_code == 200
    page.open(f"{dev.console}?instance=demo&chat={quote(chat)}")
    page.wait(lambda: len(page.all("#messages > *")) == 17)
    assert page.text(".head h2").startswith("\"'><script>window.pwned=1")
    assert SHOWN in page.texts("#messages .box .title")
    assert page.text("#messages .quote span") in SHOWN
    assert page.text("#messages .reactions .emoji").startswith("\"'><script>")
    assert page.run("return window.pwned") is None
    unwanted = "#messages :is(script, style, iframe, img, audio, video, b:not(.quote b), i, base, object)"
    assert page.all(unwanted) == []
    for link in page.run("return [...document.querySelectorAll('#messages a')].map((each) => each.href)"):
        assert link.startswith(dev.console), link
    page.picture("hostile-contents")
    assert page.fits_the_screen()
    page.look(360, 740, dark=True)
    page.picture("hostile-contents-phone")
    assert page.fits_the_screen()


def test_hostile_rows_of_the_queue_are_shown_as_text(page: Page, dev: Dev) -> None:
    """An own back end may write anything into them, objects of the wrong kind as well."""
    headers = {"Authorization": f"Bearer {SECRET}"}
    with httpx.Client(base_url=dev.proxy, headers=headers, trust_env=False) as proxy:
        assert proxy.post("/admin/instances", json={"id": "gone", "status": "CONNECTED"}).status_code == 201
        outside = Outside(proxy)
        wrong: list[Any] = [None, 7, True, EVIL, [EVIL], {"a": EVIL}, [[1]], [{"name": [EVIL], "phones": {"x": 1}}]]
        for link in (*LINKS, f"{dev.console}/samples/../app.py", f"{dev.console}/samples/nothing", 7, None, [EVIL]):
            outside.queued(type="image", media={"link": link, "filename": EVIL, "caption": EVIL, "mime_type": link})
        for value in wrong:
            outside.queued(type="location", location={"latitude": value, "name": value, "address": value})
            outside.queued(type="contacts", contacts=[value, {"name": value, "phones": value}])
            outside.queued(type="poll", poll={"name": value, "options": value})
            outside.queued(type="text", body="x", context={"message_id": value, "body": value}, mentions=[value])
            outside.queued(type="reaction", reaction={"message_id": value, "emoji": value})
            outside.queued(type="audio", media={"link": value, "voice": value, "caption": value})
        outside.queued(type=EVIL, body=EVIL)
    page.open(f"{dev.console}?instance=gone&chat={quote(CHAT)}")
    page.wait(lambda: len(page.all("#messages .message")) == 9 + 6 * len(wrong) + 1)
    assert page.run("return window.pwned") is None
    assert page.all("#messages :is(script, style, iframe, img, audio, video, object, .file a)") == []
    assert page.fits_the_screen()
    with httpx.Client(base_url=dev.proxy, headers=headers, trust_env=False) as proxy:
        assert proxy.delete("/admin/instances/gone").status_code == 200
