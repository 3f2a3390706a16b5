"""A received file on its way to the storage: where it may go, and what goes with it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.journal.rows import SHOP, inbound_message
from tests.proxy_fixture import ProxyFixture, open_proxy_fixture
from wa_worker.dev.proxy import Fault
from wa_worker.edge.media_upload import DamagedFile, Uploader, UploadTarget, target_from
from wa_worker.edge.wire import NotTheContract
from wa_worker.errors import EdgeRejected, EdgeUnavailable, NoUploads
from wa_worker.journal import FileStep, ReceivedFile
from wa_worker.messages import Media, MediaKind, MediaReference

DATA = bytes(range(256)) * 1000


def received(data: bytes = DATA) -> ReceivedFile:
    message = attrs.evolve(
        inbound_message("A"), message_type="document", media=Media("application/pdf", filename="bill.pdf")
    )
    reference = MediaReference(MediaKind.DOCUMENT, "/v/x", bytes(32), bytes(32), hashlib.sha256(data).digest(), 7)
    return ReceivedFile(1, 1, SHOP, FileStep.STORED, reference, message)


@attrs.frozen
class At:
    fixture: ProxyFixture
    uploader: Uploader
    path: Path

    async def upload(self, target: UploadTarget, file: ReceivedFile | None = None) -> None:
        await self.uploader.upload(target, self.path, file or received(), self.path.stat().st_size)


@asynccontextmanager
async def opened(folder: Path, *, allow_private: bool = False) -> AsyncIterator[At]:
    path = folder / "1"
    path.write_bytes(DATA)
    async with open_proxy_fixture(SHOP) as fixture:
        uploader = Uploader(fixture.proxy.url, trio.CapacityLimiter(2), allow_private=allow_private)
        yield At(fixture, uploader, path)
        await uploader.aclose()


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[At]:
    async with opened(tmp_path) as bed:
        yield bed


async def test_a_file_goes_where_the_proxy_says(at: At) -> None:
    target = await at.fixture.edge.media_upload(received(), len(DATA))
    await at.upload(target)
    assert at.fixture.proxy.storage.read(target.url) == DATA
    (row,) = at.fixture.proxy.store.files()
    assert (row.mime_type, row.filename, row.size) == ("application/pdf", "bill.pdf", len(DATA))
    await at.upload(target)  # 409: it is there


@pytest.mark.parametrize(
    "url",
    [
        "http://storage.example/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://10.1.2.3/x",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/x",
        "ftp://storage.example/x",
        "file:///etc/passwd",
        "//storage.example/x",
        "https://",
        "nonsense",
    ],
)
async def test_where_a_file_may_not_go(at: At, url: str) -> None:
    with pytest.raises(EdgeUnavailable, match=r"no public address|neither https|names no host"):
        await at.upload(UploadTarget(url, "x"))


@pytest.mark.parametrize(
    "url",
    [
        "https://xn--/x",
        "https://xn--zzzzzz--.example/x",
        "https://%zz/x",
        "https://a..b/x",
        "https://" + 300 * "a" + ".example/x",
        "https://h:0/x",
        "https://h:99999/x",
    ],
)
async def test_a_host_that_is_none_is_tried_again_and_ends_nothing(at: At, url: str) -> None:
    """What the resolver makes of it differs from machine to machine."""
    with pytest.raises(EdgeUnavailable, match=r"no public address|ConnectError"):
        await at.upload(UploadTarget(url, "x"))


async def test_where_it_may_go_in_an_intranet(tmp_path: Path) -> None:
    async with opened(tmp_path, allow_private=True) as at, open_proxy_fixture(SHOP) as other:
        target = await other.edge.media_upload(received(), len(DATA))
        await at.upload(target)
        assert other.proxy.storage.read(target.url) == DATA
        with pytest.raises(EdgeUnavailable, match="neither https"):
            await at.upload(attrs.evolve(target, upload_url="ftp://127.0.0.1/x"))


async def test_another_port_is_another_origin(at: At) -> None:
    async with open_proxy_fixture(SHOP) as other:
        with pytest.raises(EdgeUnavailable, match="neither https"):
            await at.upload(await other.edge.media_upload(received(), len(DATA)))
        assert other.proxy.store.requests["storage"] == 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=500), EdgeUnavailable),
        (Fault(status=403), EdgeUnavailable),
        (Fault(status=404), EdgeUnavailable),
        (Fault(status=307, headers={"location": "/elsewhere"}), EdgeUnavailable),
        (Fault(status=200, body=b"<html>", content_type="text/html"), EdgeUnavailable),
        (Fault(cut=True), EdgeUnavailable),
        (Fault(status=400), EdgeRejected),
        (Fault(status=413), EdgeRejected),
    ],
    ids=str,
)
async def test_what_the_storage_answers(at: At, fault: Fault, error: type[Exception]) -> None:
    target = await at.fixture.edge.media_upload(received(), len(DATA))
    at.fixture.proxy.faults.set("storage", fault)
    with pytest.raises(error):
        await at.upload(target)


AZURE = b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?><Error><Code>BlobAlreadyExists</Code></Error>'
PAGE = b'<?xml version="1.0"?><!DOCTYPE html><html><body>sign in</body></html>'


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=409, body=AZURE, content_type="application/xml"), None),
        (Fault(status=201, body=b"<PostResponse/>", content_type="text/xml; charset=utf-8"), None),
        (Fault(status=400, body=b"<Error/>", content_type="application/xml"), EdgeRejected),
        (Fault(status=409, body=PAGE, content_type="application/xml"), EdgeUnavailable),
        (Fault(status=409, body=AZURE, content_type="text/html"), EdgeUnavailable),
    ],
    ids=str,
)
async def test_storages_speak_xml(at: At, fault: Fault, error: type[Exception] | None) -> None:
    target = await at.fixture.edge.media_upload(received(), len(DATA))
    at.fixture.proxy.faults.set("storage", fault)
    with pytest.raises(error) if error else nullcontext():
        await at.upload(target)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-name": "a\r\nx-evil: b"},
        {"x-name": "a\x00b"},
        {"x-name": "\ud800"},
        {"x-\ud800": "a"},
        {"x name": "a"},
        {"": "a"},
        {"x-nöme": "a"},
        {"x:": "a"},
    ],
    ids=ascii,
)
async def test_headers_that_http_does_not_know_end_nothing(at: At, headers: dict[str, str]) -> None:
    """The answer is the proxy's to mend: the file waits, and neither the worker nor another file with it."""
    target = await at.fixture.edge.media_upload(received(), len(DATA))
    with pytest.raises(EdgeUnavailable):
        await at.upload(attrs.evolve(target, headers=headers))
    assert at.fixture.proxy.storage.read(target.url) is None
    await at.upload(target)


async def test_headers_go_as_the_proxy_wrote_them(at: At) -> None:
    target = await at.fixture.edge.media_upload(received(), len(DATA))
    ours = {"Host": "evil.example", "CONTENT-LENGTH": "1", "Transfer-Encoding": "chunked", "Connection": "upgrade"}
    await at.upload(attrs.evolve(target, headers={**ours, "x-name": "São Paulo", "x-many": 4000 * "x"}))
    assert at.fixture.proxy.storage.read(target.url) == DATA


async def test_an_error_does_not_quote_the_headers(at: At) -> None:
    target = await at.fixture.edge.media_upload(received(), len(DATA))
    at.fixture.proxy.faults.set("storage", Fault(status=400, body=b"bad token eyJhbGciOi"))
    with pytest.raises(EdgeRejected, match="quotes the request"):
        await at.upload(attrs.evolve(target, headers={"Authorization": "Bearer eyJhbGciOi"}))


async def test_an_error_does_not_quote_the_url(at: At) -> None:
    target = await at.fixture.edge.media_upload(received(), len(DATA))
    at.fixture.proxy.faults.set("storage", Fault(status=400, body=f"no {target.upload_url}".encode()))
    with pytest.raises(EdgeRejected, match="quotes the request") as caught:
        await at.upload(target)
    assert "signature" not in str(caught.value)


async def test_a_file_that_has_changed_does_not_arrive(at: At) -> None:
    target = await at.fixture.edge.media_upload(received(), len(DATA))
    at.path.write_bytes(DATA[:-1] + b"!")
    with pytest.raises(DamagedFile):
        await at.upload(target)
    assert at.fixture.proxy.storage.read(target.url) is None
    at.path.unlink()
    with pytest.raises(FileNotFoundError):
        await at.uploader.upload(target, at.path, received(), len(DATA))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, NoUploads),
        (405, NoUploads),
        (501, NoUploads),
        (400, NoUploads),
        (500, EdgeUnavailable),
        (401, EdgeUnavailable),
    ],
)
async def test_what_says_that_the_proxy_takes_no_files(at: At, status: int, error: type[Exception]) -> None:
    at.fixture.proxy.faults.set("media-upload", Fault(status=status))
    with pytest.raises(error) as caught:
        await at.fixture.edge.media_upload(received(), 1)
    assert isinstance(caught.value, NoUploads) == (error is NoUploads)
    at.fixture.proxy.faults.clear()
    await at.fixture.edge.media_upload(received(), 1)
    at.fixture.proxy.faults.set("media-upload", Fault(status=status))
    with pytest.raises((EdgeUnavailable, EdgeRejected)) as caught_again:
        await at.fixture.edge.media_upload(received(), 1)
    assert isinstance(caught_again.value, NoUploads) == (status in (404, 405, 501))


async def test_a_page_says_nothing_of_files(at: At) -> None:
    fault = Fault(status=404, body=b"<html>not found</html>", content_type="text/html")
    at.fixture.proxy.faults.set("media-upload", fault)
    with pytest.raises(EdgeUnavailable) as caught:
        await at.fixture.edge.media_upload(received(), 1)
    assert not isinstance(caught.value, NoUploads)


GOOD = {"upload_url": "https://s.example/x", "url": "x"}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"url": "x"},
        {**GOOD, "upload_url": ""},
        {**GOOD, "upload_url": 7},
        {**GOOD, "url": None},
        {**GOOD, "url": "x\r\ny"},
        {**GOOD, "upload_url": "https://s.example/" + 9000 * "x"},
        {**GOOD, "method": "DELETE"},
        {**GOOD, "headers": ["a"]},
        {**GOOD, "headers": {"a": 1}},
    ],
    ids=str,
)
def test_answers_that_are_none(answer: Any) -> None:
    with pytest.raises(NotTheContract):
        target_from(answer)


def test_answers() -> None:
    assert target_from({**GOOD, "more": 1}) == UploadTarget("https://s.example/x", "x", "PUT", {})
    target = target_from({**GOOD, "method": "POST", "headers": {"x-upsert": "true"}})
    assert (target.method, target.headers) == ("POST", {"x-upsert": "true"})
    assert "s.example" not in repr(target)
