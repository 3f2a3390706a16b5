"""Files both ways between the real neonize and the simulated media host, and the ways in which that fails."""

from __future__ import annotations

import base64
import hashlib
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.dev.simulator.conftest import Client, Clients
from wa_worker.dev.simulator import Simulator
from wa_worker.dev.simulator.media_host import MEDIA_HOST
from wa_worker.dev.simulator.media_messages import Damaged

OWN = "5511999990001"
CONTACT = "5511988880002"
DATA = random.Random(7).randbytes(200_000)


async def downloaded(client: Client, wa_id: str) -> str:
    await client.wait("message", id=wa_id)
    await client.tell(download=wa_id)
    return str((await client.wait("downloaded", id=wa_id))["sha256"])


async def test_the_library_reads_what_a_phone_encrypts(simulator: Simulator, clients: Clients) -> None:
    client, [jid] = await clients.pair(OWN)
    contact = simulator.contact(CONTACT)
    files = contact.files
    messages = {
        "image": files.image(DATA, "look"),
        "video": files.video(DATA[:70_000]),
        "audio": files.audio(DATA[:16]),
        "voice": files.voice(DATA[:65_536]),
        "document": files.document(DATA[:1]),
        "with a caption": files.document(DATA[:999], caption="the contract"),
        "sticker": files.sticker(b""),
    }
    for name, message in messages.items():
        wa_id = await contact.send(jid, message)
        assert await downloaded(client, wa_id) == hashlib.sha256(files.open(message)).hexdigest(), name


async def test_a_phone_reads_what_the_library_encrypts(simulator: Simulator, clients: Clients) -> None:
    client, _ = await clients.pair(OWN)
    contact = simulator.contact(CONTACT)
    for count, kind in enumerate(("image", "audio", "document"), start=1):
        await client.tell(upload=base64.b64encode(DATA).decode(), kind=kind, to=CONTACT)
        received = (await contact.wait_received(count))[-1]
        assert contact.files.open(received.message) == DATA
        assert received.attrs["type"] == "media"
    assert simulator.media.requested(method="POST") == 3
    direct_path = contact.received[0].message.imageMessage.directPath
    simulator.media.files[direct_path.partition("?")[0]] += b"x"
    with pytest.raises(Damaged):
        contact.files.open(contact.received[0].message)


async def test_an_upload_that_is_refused(simulator: Simulator, clients: Clients) -> None:
    client, _ = await clients.pair(OWN)
    simulator.media.uploads.status = 500
    await client.tell(upload="eHh4", kind="image", to=CONTACT)
    assert "500" in (await client.wait("upload_failed"))["error"]
    simulator.media.uploads.status = None
    simulator.media.uploads.stall_at = 0
    await client.tell(upload="eHh4", kind="image", to=CONTACT)
    await simulator.media.wait_requested(2, method="POST")
    await client.tell(send="beside it", to=CONTACT)
    await client.wait("sent", text="beside it")


async def test_a_download_that_is_refused(simulator: Simulator, clients: Clients) -> None:
    client, [jid] = await clients.pair(OWN)
    contact = simulator.contact(CONTACT)
    message = contact.files.image(DATA)
    wa_id = await contact.send(jid, message)
    await client.wait("message", id=wa_id)
    simulator.media.behaviour(message.imageMessage.directPath).status = 410
    await client.tell(download=wa_id)
    assert "410" in (await client.wait("download_failed"))["error"]


@asynccontextmanager
async def bare_client(simulator: Simulator, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    environment = simulator.environment(folder)
    context = ssl.create_default_context(cafile=environment["SSL_CERT_FILE"])
    async with httpx.AsyncClient(
        proxy=environment["HTTPS_PROXY"], verify=context, base_url=f"https://{MEDIA_HOST}"
    ) as client:
        yield client


async def test_what_may_go_wrong(simulator: Simulator, tmp_path: Path) -> None:
    host = simulator.media
    path = host.put(DATA)
    async with bare_client(simulator, tmp_path) as client:

        async def get(**behaviour: Any) -> httpx.Response:
            host.of.clear()
            for name, value in behaviour.items():
                setattr(host.behaviour(path), name, value)
            return await client.get(path)

        assert (await get()).content == DATA
        assert (await get()).content == DATA  # on the same connection
        assert (await get(flip=100)).content == DATA[:100] + bytes([DATA[100] ^ 1]) + DATA[101:]
        assert (await get(truncate=1000)).content == DATA[:1000]
        assert (await get(status=403)).status_code == 403
        assert (await get(length=-1)).content == DATA
        assert (await get(length=5)).content == DATA[:5]
        for fault in ({"length": len(DATA) + 1}, {"cut_at": 70_000}):
            with pytest.raises(httpx.RemoteProtocolError):
                await get(**fault)
        began = trio.current_time()
        assert (await get(rate=1_000_000)).content == DATA
        assert trio.current_time() - began > 0.15
        with trio.move_on_after(0.3) as scope:
            await get(stall_at=50_000)
        assert scope.cancelled_caught
        assert host.active == 0 or host.most_active == 1
        assert (await client.delete(path)).status_code == 200
        assert (await get()).status_code == 404
        assert host.requested(path) == len(host.requests) - 1
