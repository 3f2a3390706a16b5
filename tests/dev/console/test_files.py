"""Files from outside: what the console shows as a picture, sound or film, and what a browser may only save."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import attrs
import httpx
import pytest

from tests import media_files
from tests.dev.console.test_server import Desk, open_desk
from wa_worker.dev.console.files import BYTES, LONGEST_NAME, file_name, sample, shown_as
from wa_worker.dev.samples import SAMPLES

HTML = b"<!doctype html><script>document.title = 'pwned'</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>document.title = "pwned"</script></svg>'
CHAT = "5511988880002@s.whatsapp.net"


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with open_desk() as opened:
        yield opened


@pytest.mark.parametrize(
    ("data", "message_type", "shown"),
    [
        (media_files.picture("JPEG"), "image", "image/jpeg"),
        (media_files.picture("PNG"), "image", "image/png"),
        (media_files.picture("GIF"), "image", "image/gif"),
        (media_files.picture("WEBP"), "sticker", "image/webp"),
        (media_files.voice(), "audio", "audio/ogg"),
        (media_files.video(), "video", "video/mp4"),
        (media_files.video(), "audio", "audio/mp4"),
        (b"\x1a\x45\xdf\xa3webm", "audio", "audio/webm"),
        (b"ID3\x04", "audio", "audio/mpeg"),
        (media_files.picture("JPEG"), "document", BYTES),  # sent as a file, so it is one
        (media_files.picture("JPEG"), "audio", BYTES),
        (media_files.voice(), "image", BYTES),
        (media_files.document(), "document", BYTES),
        (HTML, "image", BYTES),
        (SVG, "image", BYTES),
        (b"\xff\xd8" + SVG, "image", BYTES),
        (b" " + media_files.picture("PNG"), "image", BYTES),
        (b"RIFF0000" + HTML, "sticker", BYTES),
        (b"", "image", BYTES),
        (media_files.picture("PNG"), "<i>", BYTES),
    ],
)
def test_a_file_is_what_its_bytes_say(data: bytes, message_type: str, shown: str) -> None:
    assert shown_as(data[:64], message_type) == shown


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("lista.pdf", "lista.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\a.pdf", "a.pdf"),
        ("\u202egpj.exe", "_gpj.exe"),
        ("a\r\nSet-Cookie: x.pdf", "a__Set-Cookie: x.pdf"),
        ("..", "kept.bin"),
        (" . ", "kept.bin"),
        ("", "kept.bin"),
        (None, "kept.bin"),
        ("preço 😀.pdf", "preço 😀.pdf"),
    ],
)
def test_a_name_leads_nowhere_and_hides_nothing(given: str | None, name: str) -> None:
    assert file_name(given, "shop/kept.bin") == name


def test_a_long_name_keeps_its_end() -> None:
    name = file_name("x" * 5000 + ".pdf", "shop/kept.bin")
    assert len(name) <= LONGEST_NAME
    assert name.endswith("x.pdf")
    assert len(file_name("a." + "x" * 5000, "shop/kept.bin")) <= LONGEST_NAME


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_are_what_they_say(name: str) -> None:
    found = sample(name)
    assert found is not None
    kind = shown_as(found.data[:64], SAMPLES[name].type)
    assert found.inline is (kind != BYTES)
    assert kind in (BYTES, found.content_type.partition(";")[0])


async def kept(desk: Desk, data: bytes, mime_type: str, message_type: str = "image", filename: str = "a.png") -> str:
    """Has a file at the proxy, as a worker puts it there. Returns its `url`."""
    answer = desk.proxy.storage.announce(
        {
            "instanceId": "shop",
            "chat_id": CHAT,
            "wa_message_id": hashlib.sha256(data).hexdigest()[:8],
            "message_type": message_type,
            "mime_type": mime_type,
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "filename": filename,
        },
        desk.proxy.url,
    )
    async with httpx.AsyncClient(trust_env=False) as http:
        put = await http.put(str(answer["upload_url"]), content=data, headers={"Content-Type": mime_type})
    assert put.status_code == 200
    return str(answer["url"])


@attrs.frozen
class Kept:
    """A file at the proxy, and how the console serves it."""

    data: bytes
    mime_type: str
    message_type: str
    filename: str
    content_type: str
    disposition: str


@pytest.mark.parametrize(
    "file",
    [
        Kept(media_files.picture(), "image/jpeg", "image", "", "image/jpeg", "inline; "),
        Kept(media_files.voice(), "audio/ogg; codecs=opus", "audio", "", "audio/ogg", "inline; "),
        Kept(HTML, "image/png", "image", "a.png", BYTES, "attachment; filename*=UTF-8''a.png"),
        Kept(SVG, "image/svg+xml", "image", "a.svg", BYTES, "attachment; filename*=UTF-8''a.svg"),
        Kept(HTML, "text/html", "document", "a\r\nX: y.html", BYTES, "attachment; filename*=UTF-8''a__X%3A%20y.html"),
        Kept(media_files.document(), "application/pdf", "document", "é.pdf", BYTES,
             "attachment; filename*=UTF-8''%C3%A9.pdf"),
    ],
    ids=lambda file: file.mime_type,
)  # fmt: skip
async def test_a_file_comes_with_a_policy_that_lets_it_do_nothing(desk: Desk, file: Kept) -> None:
    url = await kept(desk, file.data, file.mime_type, file.message_type, file.filename)
    answer = await desk.http.get("/file", params={"url": url})
    assert (answer.status_code, answer.content) == (200, file.data)
    assert answer.headers["Content-Type"] == file.content_type
    assert answer.headers["Content-Disposition"].startswith(file.disposition)
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_a_player_gets_the_part_that_it_asks_for(desk: Desk) -> None:
    data = media_files.voice()
    url = await kept(desk, data, "audio/ogg", "audio")
    answer = await desk.http.get("/file", params={"url": url}, headers={"Range": "bytes=100-199"})
    assert (answer.status_code, answer.content) == (206, data[100:200])
    assert answer.headers["Content-Range"] == f"bytes 100-199/{len(data)}"


@pytest.mark.parametrize(
    "url", ["", "http://[", "{proxy}/storage?name=shop/none", "{proxy}/else?{query}", "file:///etc/passwd", "\x00"]
)
async def test_there_is_no_other_file(desk: Desk, url: str) -> None:
    there = await kept(desk, media_files.picture(), "image/jpeg")
    asked = url.format(proxy=desk.proxy.url, query=there.partition("?")[2])
    assert (await desk.http.get("/file", params={"url": asked})).status_code == 404
    assert (await desk.http.get("/samples/../app.py")).status_code == 404
    assert (await desk.http.get("/samples/__init__.py")).status_code == 404


async def test_other_hosts_get_no_file(desk: Desk) -> None:
    url = await kept(desk, media_files.picture(), "image/jpeg")
    headers = {"Host": "evil.example"}
    assert (await desk.http.get("/file", params={"url": url}, headers=headers)).status_code == 403
    assert (await desk.http.get("/samples/photo.jpg", headers=headers)).status_code == 403


async def test_a_file_that_is_lost_on_disk_is_none(desk: Desk) -> None:
    url = await kept(desk, media_files.picture(), "image/jpeg")
    assert (await desk.http.get("/file", params={"url": url})).status_code == 200
    desk.proxy.storage.close()  # deletes the folder of a database in memory
    assert (await desk.http.get("/file", params={"url": url})).status_code == 404
