"""Files, by the Edge Function and a stand-in for Storage: put by a signed URL, private, deleted in the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dev.proxy import test_storage as _storage
from tests.dev.proxy.test_endpoints import INBOUND
from tests.dev.proxy.test_storage import ASK, BYTES, announce, get, put
from tests.worker_proxy import tools
from tests.worker_proxy.backend import EdgeProxy
from tests.worker_proxy.conftest import open_client
from tests.worker_proxy.postgres import Postgres
from tests.worker_proxy.processes import ANON_KEY, SERVICE_KEY, Server, answering, open_function, open_rest

TENANT = "00000000-0000-4000-8000-000000000001"
KEY = {"Authorization": f"Bearer {SERVICE_KEY}", "apikey": SERVICE_KEY}

BAD = {name: bad for name, bad in _storage.BAD.items() if name != "of no instance"}


def paths(proxy: EdgeProxy) -> list[str]:
    return [path for (path,) in proxy.store.db.execute("select path from wa_files order by asked_at, path")]


async def authenticated(url: str, key: str = SERVICE_KEY) -> httpx.Response:
    async with httpx.AsyncClient(verify=False) as client:
        return await client.get(url, headers={"Authorization": f"Bearer {key}", "apikey": key})


async def test_a_file_comes_and_is_in_its_tenants_folder(
    proxy: EdgeProxy, client: httpx.AsyncClient, rest: Server
) -> None:
    proxy.store.db.execute("update wa_instances set tenant_id = %s", (TENANT,))
    told = await announce(client)
    assert told["upload_url"].startswith(f"{rest.url}/storage/v1/object/upload/sign/wa-media/{TENANT}/shop/")
    assert (await authenticated(told["url"])).status_code == 400, "it is not there"
    assert (await put(told)).status_code == 200
    shown = await authenticated(told["url"])
    assert (shown.content, shown.headers["content-type"]) == (BYTES, "image/jpeg")

    media = {"mime_type": "image/jpeg", "url": told["url"]}
    assert (await client.post("/inbound", json={**INBOUND, "media": media})).status_code == 200
    row = proxy.store.db.execute("select media_path from wa_inbound").fetchone()
    assert row is not None
    assert paths(proxy) == [row[0]]
    assert row[0].endswith(".jpg")
    # what a back end does with that path: createSignedUrl()
    async with httpx.AsyncClient(base_url=rest.url, headers=KEY, verify=False) as backend:
        signed = await backend.post(f"/storage/v1/object/sign/wa-media/{row[0]}", json={"expiresIn": 60})
    assert (await get(f"{rest.url}/storage/v1{signed.json()['signedURL']}")).content == BYTES


async def test_it_is_private(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    told = await announce(client)
    await put(told)
    for answer in (await get(told["url"]), await authenticated(told["url"], ANON_KEY), await get(told["upload_url"])):
        assert answer.status_code in (400, 403)
        assert BYTES not in answer.content
    proxy.store.add_instance("pub")
    other = await announce(client, instanceId="pub")
    swapped = other["upload_url"].partition("?")[0] + "?" + told["upload_url"].partition("?")[2]
    assert (await put({**other, "upload_url": swapped})).status_code == 400
    bucket = proxy.store.db.execute("select public from storage.buckets").fetchall()
    assert bucket == [(False,)]


async def test_a_bucket_that_somebody_opened_is_closed_by_the_next_migration(
    proxy: EdgeProxy, postgres: Postgres
) -> None:
    proxy.store.db.execute("update storage.buckets set public = true, file_size_limit = 5")
    postgres.psql(tools.SOURCE / "migration.sql")
    rows = proxy.store.db.execute("select public, file_size_limit from storage.buckets").fetchall()
    proxy.store.db.execute("update storage.buckets set file_size_limit = 104857600")
    assert rows == [(False, 5)]


@pytest.mark.parametrize("old", [False, True], ids=["", "by a storage of before 2024"])
async def test_the_same_file_again_is_taken(
    proxy: EdgeProxy, postgres: Postgres, function_folder: Path, old: bool
) -> None:
    """Its answer was lost, or the worker's process ended: it asks for a URL anew, or uses the one that it has."""
    with (
        open_rest(postgres, old_storage=old) as rest,
        open_function(function_folder, rest.url, proxy.secret) as function,
    ):
        async with open_client(function.url) as client:
            first = await announce(client)
            assert [(await put(first)).status_code for _ in range(2)] == [200, 200]
            again = await announce(client)
            assert again["url"] == first["url"]
            assert (await put(again)).status_code == 200
            assert (await announce(client, sha256="0" * 64))["url"] != first["url"]
        assert (await authenticated(first["url"])).content == BYTES


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
async def test_a_bad_call_is_refused(
    proxy: EdgeProxy, client: httpx.AsyncClient, bad: tuple[dict[str, Any], int]
) -> None:
    change, status = bad
    answer = await client.post("/media-upload", json={**ASK, **change})
    assert answer.status_code == status
    assert answer.json()["error"]
    assert paths(proxy) == []


async def test_an_unknown_instance_has_no_files(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    answer = await client.post("/media-upload", json={**ASK, "instanceId": "gone"})
    assert (answer.status_code, answer.json()) == (404, {"error": "unknown instance"})
    assert paths(proxy) == []


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, b""), (200, b""), (200, b"null"), (200, b"<html>"), (200, b'"path"'), (500, b'{"path": null}')],
)
async def test_an_answer_in_the_place_of_the_database_is_503(function_folder: Path, status: int, body: bytes) -> None:
    """It says neither that the instance is gone nor that there is no such call."""
    with answering(status, body) as url, open_function(function_folder, url, "s") as function:
        async with open_client(function.url, "s") as client:
            assert (await client.post("/media-upload", json=ASK)).status_code == 503
            assert (await client.post("/expire-media", json={"days": 1})).status_code == 503


async def test_no_bucket_is_503_and_a_line_in_the_log(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    said = len(proxy.lines)
    proxy.store.db.execute("update storage.buckets set id = 'another'")
    try:
        assert (await client.post("/media-upload", json=ASK)).status_code == 503
    finally:
        proxy.store.db.execute("update storage.buckets set id = 'wa-media'")
    await proxy.wait_for(lambda _: len(proxy.lines) > said)
    assert proxy.lines[said:] == ["media-upload: database error storage 400\n"]
    assert (await client.post("/media-upload", json=ASK)).status_code == 200


async def test_where_supabase_has_another_address_outside(
    proxy: EdgeProxy, rest: Server, function_folder: Path
) -> None:
    public = "https://supabase.example/"
    with open_function(function_folder, rest.url, proxy.secret, SUPABASE_PUBLIC_URL=public) as function:
        async with open_client(function.url) as client:
            told = await announce(client)
    assert told["upload_url"].startswith("https://supabase.example/storage/v1/object/upload/sign/wa-media/shop/")
    assert told["url"].startswith("https://supabase.example/storage/v1/object/authenticated/wa-media/shop/")


async def test_old_files_are_deleted_and_those_of_instances_that_are_gone(
    proxy: EdgeProxy, client: httpx.AsyncClient
) -> None:
    proxy.store.add_instance("pub")
    told = [
        await announce(client),
        await announce(client, wa_message_id="3A02"),
        await announce(client, instanceId="pub"),
        await announce(client, wa_message_id="3A03"),
    ]
    for n, each in enumerate(told[:3]):
        await put(each)
        media = {"mime_type": "image/jpeg", "url": each["url"]}
        message = {**INBOUND, "chat_id": ASK["chat_id"], "wa_message_id": f"3A0{n % 2 + 1}", "media": media}
        await client.post("/inbound", json={**message, "instanceId": "pub" if n == 2 else "shop"})
    old = paths(proxy)[0]
    proxy.store.db.execute("update wa_files set asked_at = now() - interval '91 days' where path = %s", (old,))
    proxy.store.remove_instance("pub")
    assert (await client.post("/expire-media", json={"days": 90})).json() == {"removed": 2, "more": False}
    assert (await client.post("/expire-media", json={"days": 90})).json() == {"removed": 0, "more": False}
    assert [(await authenticated(each["url"])).status_code for each in told] == [400, 200, 400, 400]
    assert len(paths(proxy)) == 2
    first, second = proxy.store.inbound()
    assert first.content["media"] == {"mime_type": "image/jpeg", "error": "expired"}
    assert second.content["media"]["url"] == told[1]["url"]
    for days in (0, "90", None, 1.5):
        assert (await client.post("/expire-media", json={"days": days})).status_code == 400


async def test_expiring_files_needs_the_secret(proxy: EdgeProxy) -> None:
    async with open_client(proxy.url, "another") as stranger:
        for path in ("/expire-media", "/media-upload", "/message-status", "/event"):
            assert (await stranger.post(path, json={})).status_code == 401
