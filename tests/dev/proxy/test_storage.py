"""Files: announced, put by a signed URL, checked, got by another, deleted in the end; and a storage that misbehaves."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import trio

from tests.proxy_fixture import until
from wa_worker.dev.proxy import Fault, ReferenceProxy, open_proxy

from .conftest import SECRET, open_client

BYTES = b"\xff\xd8 a photo of a receipt" * 7000

ASK: dict[str, Any] = {
    "instanceId": "shop",
    "chat_id": "5511988887777@s.whatsapp.net",
    "wa_message_id": "3A01",
    "message_type": "image",
    "mime_type": "image/jpeg",
    "size": len(BYTES),
    "sha256": hashlib.sha256(BYTES).hexdigest(),
    "filename": "recibo nº 1.jpg",
}


async def announce(client: httpx.AsyncClient, **change: Any) -> dict[str, Any]:
    answer = await client.post("/media-upload", json={**ASK, **change})
    assert answer.status_code == 200
    data: dict[str, Any] = answer.json()
    return data


async def put(told: dict[str, Any], content: Any = BYTES, **headers: str) -> httpx.Response:
    """As a worker does: with what the answer said and nothing else, so without the secret."""
    async with httpx.AsyncClient(verify=False, timeout=20) as stranger:
        headers = {**told["headers"], **headers}
        return await stranger.request(told["method"], told["upload_url"], content=content, headers=headers)


async def get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(verify=False, timeout=20) as stranger:
        return await stranger.get(url)


async def test_a_file_comes_and_is_seen(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    told = await announce(client)
    assert told["upload_url"].startswith(proxy.url)
    assert told["url"].startswith(proxy.url)
    assert proxy.storage.read(told["url"]) is None
    assert proxy.storage.read_url(told["url"]) is None, "its bytes are not here"
    answer = await put(told)
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert proxy.storage.read(told["url"]) == BYTES
    signed = (await client.get("/admin/read-url", params={"url": told["url"]})).json()["url"]
    shown = await get(signed)
    assert (shown.status_code, shown.content, shown.headers["content-type"]) == (200, BYTES, "image/jpeg")
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert "recibo%20n%C2%BA%201.jpg" in shown.headers["content-disposition"]
    (row,) = (await client.get("/admin/files?instanceId=shop")).json()
    assert (row["wa_message_id"], row["sha256"]) == ("3A01", ASK["sha256"])
    assert proxy.store.requests == {"media-upload": 1, "storage": 2}


async def test_it_is_private(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    told = await announce(client)
    await put(told)
    assert (await get(told["url"])).status_code == 403, "not even with the secret"
    assert (await client.get(told["url"])).status_code == 403
    assert (await get(told["upload_url"])).status_code == 403, "the URL to put it by is for nothing else"
    signed = proxy.storage.read_url(told["url"])
    assert signed is not None
    assert (await put({**told, "upload_url": signed})).status_code == 403
    other = await announce(client, instanceId="pub2") if proxy.store.add_instance("pub2") else {}
    await put(other)
    for url in (signed.replace("expires=", "expires=9"), signed.replace("shop", "pub2"), signed[:-1], f"{signed}0"):
        assert (await get(url)).status_code == 403
    async with httpx.AsyncClient() as stranger:
        assert (await stranger.delete(signed)).status_code == 405


async def test_a_url_is_over_in_time(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    told = await announce(client)
    await put(told)
    proxy.storage.url_seconds = -1
    late = await put(await announce(client, wa_message_id="3A02"))
    assert (late.status_code, late.json()["error"]) == (403, "the URL is over")
    signed = proxy.storage.read_url(told["url"])
    assert signed is not None
    assert (await get(signed)).status_code == 403


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def begun(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


async def pieces() -> AsyncIterator[bytes]:
    yield BYTES


@attrs.frozen
class Wrong:
    name: str
    content: Any
    status: int
    headers: dict[str, str] = attrs.field(factory=dict)


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong("too short", BYTES[:-1], 400),
        Wrong("too long", BYTES + b"x", 400),
        Wrong("empty", b"", 400),
        Wrong("another of the same length", BYTES[:-1] + b"x", 400),
        Wrong("of another type", BYTES, 403, {"Content-Type": "text/html"}),
        Wrong("of no length", pieces, 411),
    ],
    ids=lambda wrong: wrong.name,
)
async def test_a_file_that_is_not_the_announced_one_is_not_kept(
    proxy: ReferenceProxy, client: httpx.AsyncClient, wrong: Wrong
) -> None:
    told = await announce(client)
    answer = await put(told, wrong.content() if callable(wrong.content) else wrong.content, **wrong.headers)
    assert answer.status_code == wrong.status
    assert proxy.storage.read(told["url"]) is None
    assert (await put(told)).status_code == 200, "and it may be tried again"


async def test_the_same_file_again_is_there_already(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    first = await announce(client)
    await put(first)
    again = await announce(client)
    assert again["url"] == first["url"]
    assert (await put(again)).status_code == 409
    assert proxy.storage.read(first["url"]) == BYTES
    other = b"y" * len(BYTES)
    another = await announce(client, sha256=hashlib.sha256(other).hexdigest())
    assert another["url"] != first["url"]
    assert (await put(another, other)).status_code == 200
    assert proxy.storage.read(first["url"]) == BYTES


async def test_nothing_that_strangers_name_leads_elsewhere(tmp_path: Path) -> None:
    database = tmp_path / "data" / "proxy.db"
    database.parent.mkdir()
    async with open_proxy(database, secret=SECRET) as proxy, open_client(proxy) as client:
        for instance in ("..", "../shop", "a/b", "é"):
            proxy.store.add_instance(instance)
            told = await announce(client, instanceId=instance, filename="../../x", wa_message_id="../x")
            assert (await put(told)).status_code == 200
        assert names(tmp_path) == {"data"}
        assert names(database.parent) >= {"proxy.db", "proxy.db.files"}
        assert len(names(database.parent / "proxy.db.files")) == 4, "each instance has a folder of its own"
    # another start finds them
    async with open_proxy(database, secret=SECRET) as proxy:
        assert proxy.storage.read(told["url"]) == BYTES


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/pdf"])
async def test_a_page_of_a_stranger_is_not_shown_as_one(
    proxy: ReferenceProxy, client: httpx.AsyncClient, kind: str
) -> None:
    told = await announce(client, mime_type=kind)
    assert (await put(told)).status_code == 200
    signed = proxy.storage.read_url(told["url"])
    assert signed is not None
    shown = await get(signed)
    assert shown.headers["content-type"] == "application/octet-stream"
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.headers["content-disposition"].startswith("attachment")


async def test_old_files_are_deleted(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    old = await announce(client)
    await put(old)
    signed = proxy.storage.read_url(old["url"])
    assert signed is not None
    begun = time.time()
    proxy.storage.keep_seconds = 0
    new = await announce(client, wa_message_id="3A02")
    assert proxy.storage.read(old["url"]) is None
    assert (await get(signed)).status_code == 404
    assert [row.wa_message_id for row in proxy.store.files()] == ["3A02"]
    proxy.storage.keep_seconds = time.time() - begun + 60
    await put(new)
    assert proxy.storage.prune() == 0
    assert proxy.storage.read(new["url"]) == BYTES


BAD: dict[str, tuple[dict[str, Any], int]] = {
    "of no instance": ({"instanceId": "gone"}, 404),
    "too large": ({"size": 100 * 2**20 + 1}, 413),
    "of no size": ({"size": None}, 400),
    "of half a byte": ({"size": 1.5}, 400),
    "of no hash": ({"sha256": "x"}, 400),
    "a type that is no header": ({"mime_type": "image/jpeg\r\nX: y"}, 400),
    "a type that is not ASCII": ({"mime_type": "imagem/fotografía"}, 400),
    "a type that is none": ({"mime_type": "jpeg"}, 400),
    "of no message": ({"wa_message_id": ""}, 400),
    "a name that is a number": ({"filename": 7}, 400),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
async def test_a_bad_call_is_refused(
    proxy: ReferenceProxy, client: httpx.AsyncClient, bad: tuple[dict[str, Any], int]
) -> None:
    change, status = bad
    answer = await client.post("/media-upload", json={**ASK, **change})
    assert answer.status_code == status
    assert answer.json()["error"]
    assert proxy.store.files() == []


async def test_an_older_proxy_has_no_such_call(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    proxy.play_older()
    unknown = await client.post("/no-such-call", json={})
    answer = await client.post("/media-upload", json=ASK)
    assert (answer.status_code, answer.text) == (404, unknown.text)
    assert (await client.post("/media-upload", headers={"Authorization": "Bearer x"}, json=ASK)).status_code == 401


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(status=503), 503),
        (Fault(status=403, body=b"<Error><Code>AccessDenied</Code></Error>", content_type="application/xml"), 403),
        (Fault(status=500, after_apply=True), 500),
        (Fault(delay=0.05), 200),
        (Fault(cut=True), None),
        (Fault(cut=True, after_apply=True), None),
        (Fault(cut_at=1), None),
        (Fault(cut_at=100_000), None),
        (Fault(stall_at=0), 0),
    ],
)
async def test_a_storage_that_misbehaves(
    proxy: ReferenceProxy, client: httpx.AsyncClient, fault: Fault, status: int | None
) -> None:
    told = await announce(client)
    proxy.faults.set("storage", attrs.evolve(fault, times=1))
    answer: httpx.Response | None = None
    with trio.move_on_after(0.4 if status == 0 else 20) as scope:
        try:
            answer = await put(told)
        except httpx.TransportError:
            assert status is None
    assert scope.cancelled_caught == (status == 0)
    if answer is not None:
        assert answer.status_code == status
    there = fault.after_apply or status == 200
    assert proxy.storage.read(told["url"]) == (BYTES if there else None)
    assert (await put(told)).status_code == (409 if there else 200)
    assert proxy.storage.read(told["url"]) == BYTES


async def test_who_leaves_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    database = tmp_path / "proxy.db"
    async with open_proxy(database, secret=SECRET) as proxy, open_client(proxy) as client:
        proxy.store.add_instance("shop")
        told = await announce(client)

        async def half() -> AsyncIterator[bytes]:
            yield BYTES[:70_000]
            await until(lambda: begun(tmp_path))
            raise RuntimeError("the power goes")

        with pytest.raises(RuntimeError):
            await put(told, half(), **{"Content-Length": str(len(BYTES))})
        await until(lambda: not begun(tmp_path))
        assert proxy.storage.read(told["url"]) is None


async def test_a_file_larger_than_a_call_may_be(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    large = b"z" * (5 * 2**20)
    told = await announce(client, size=len(large), sha256=hashlib.sha256(large).hexdigest())
    assert (await put(told, large)).status_code == 200
    assert proxy.storage.read(told["url"]) == large
