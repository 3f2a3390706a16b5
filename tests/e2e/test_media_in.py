"""Files of received messages through the real process: from WhatsApp's media host to the proxy's storage, or not."""

from __future__ import annotations

import hashlib
import random
import re
import signal
from typing import Any

import httpx
import pytest
import trio

from tests.e2e.world import World, eventually
from wa_worker.dev.proxy import Fault, InboundRow
from wa_worker.dev.simulator.contact import Contact

PHONE, ANA, BIA = "5511999990001", "5511988880002", "5511988880003"
DATA = random.Random(12).randbytes(3_000_000)


async def arrived(world: World, count: int) -> list[InboundRow]:
    rows: list[InboundRow] = await world.until(lambda s: r if len(r := s.inbound("shop")) >= count else [])
    return rows


def media(row: InboundRow) -> dict[str, Any]:
    found: dict[str, Any] = row.payload["media"]
    return found


def file_of(world: World, row: InboundRow) -> bytes | None:
    return world.proxy.storage.read(media(row)["url"])


def left(world: World) -> list[str]:
    return sorted(path.name for path in (world.auth_dir / "@worker" / "received-files").iterdir())


async def test_each_kind_of_file_arrives_with_its_message(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    contact = world.simulator.contact(ANA)
    files = contact.files
    messages = {
        "image": files.image(DATA[:200_001], "look"),
        "video": files.video(DATA[:70_000]),
        "audio": files.voice(DATA[:65_536]),
        "document": files.document(DATA, caption="the contract"),
        "sticker": files.sticker(DATA[:1]),
    }
    for message in messages.values():
        await contact.send(jid, message)
    await contact.send(jid, "and a text")
    rows = await arrived(world, 6)
    assert [row.payload["message_type"] for row in rows] == [*messages, "text"]
    for row, message in zip(rows, messages.values(), strict=False):
        assert file_of(world, row) == files.open(message)
        assert "error" not in media(row)
    assert (rows[0].body, rows[3].body, rows[5].body) == ("look", "the contract", "and a text")
    await eventually(lambda: not left(world))
    async with httpx.AsyncClient() as http:
        metrics = (await http.get(f"http://127.0.0.1:{worker.port}/metrics")).text
    assert 'wa_worker_media_files_total{result="uploaded"} 5.0' in metrics
    (line,) = re.findall(r'wa_worker_media_bytes_total{step="uploaded"} (.*)', metrics)
    assert float(line) == sum(len(files.open(message)) for message in messages.values())


async def test_a_file_that_is_slow_holds_up_its_chat_alone(world: World) -> None:
    await world.start_worker()
    jid = await world.pair("shop", PHONE)
    ana, bia = world.simulator.contact(ANA), world.simulator.contact(BIA)
    message = ana.files.image(DATA)
    behaviour = world.simulator.media.behaviour(message.imageMessage.directPath)
    behaviour.rate = 1_500_000.0
    await ana.send(jid, message)
    await ana.send(jid, "behind the picture")
    await world.simulator.media.wait_requested(1)
    await bia.send(jid, "meanwhile")
    rows = await arrived(world, 3)
    assert [row.body for row in rows] == ["meanwhile", "", "behind the picture"]
    assert file_of(world, rows[1]) == DATA


async def _send(world: World, jid: str, contact: Contact) -> None:
    for number in range(4):
        await contact.send(jid, contact.files.document(DATA[number:], filename=f"{number}.pdf"))
    await contact.send(jid, "behind them")


def _check_all(world: World, rows: list[InboundRow]) -> None:
    assert len(rows) == 5
    assert rows[-1].body == "behind them"
    for number, row in enumerate(rows[:4]):
        whole = file_of(world, row)
        assert whole is not None
        assert hashlib.sha256(whole).digest() == hashlib.sha256(DATA[number:]).digest()


async def test_a_worker_that_is_killed_in_the_middle_of_downloads_goes_on(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    contact = world.simulator.contact(ANA)
    world.simulator.media.all.rate = 2_000_000.0
    await _send(world, jid, contact)
    for sent in (1_000_000, 3_000_000, 7_000_000):
        with trio.fail_after(world.patience):
            await world.simulator.media.wait_sent(world.simulator.media.sent + sent)
        assert any(name.endswith(".part") for name in left(world))
        await worker.stop(signal.SIGKILL)
        worker = await world.start_worker()
    world.simulator.media.all.rate = None
    _check_all(world, await arrived(world, 5))
    await eventually(lambda: not left(world))
    await trio.sleep(0.3)
    assert len(world.proxy.store.inbound("shop")) == 5


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=str)
async def test_a_worker_that_is_stopped_in_the_middle_of_uploads_goes_on(world: World, number: signal.Signals) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    contact = world.simulator.contact(ANA)
    world.proxy.faults.set("storage", Fault(hang=True))
    await _send(world, jid, contact)
    for _ in range(2):
        await world.until(lambda s: s.requests["storage"] >= 4)
        assert left(world) == ["1", "2", "3", "4"]
        world.proxy.store.requests.clear()
        await worker.stop(number)
        assert worker.process.returncode == (0 if number is signal.SIGTERM else -number)
        worker = await world.start_worker()
    before = world.simulator.media.requested()
    world.proxy.faults.clear()
    _check_all(world, await arrived(world, 5))
    assert world.simulator.media.requested() == before == 4, "what was whole on the volume is not downloaded again"
    await eventually(lambda: not left(world))


@pytest.mark.parametrize("behaviour", [{"status": 410}, {"truncate": 1_000}])
async def test_a_file_that_cannot_be_had_for_a_while(world: World, behaviour: dict[str, Any]) -> None:
    await world.start_worker()
    jid = await world.pair("shop", PHONE)
    contact = world.simulator.contact(ANA)
    message = contact.files.image(DATA, "look")
    found = world.simulator.media.behaviour(message.imageMessage.directPath)
    for name, value in behaviour.items():
        setattr(found, name, value)
    await contact.send(jid, message)
    [row] = await arrived(world, 1)
    assert (row.body, media(row)["error"]) == ("look", "pending"), "not on three words within seconds"
    assert world.simulator.media.requested() == 3
    await contact.send(jid, "behind it")
    [_, behind] = await arrived(world, 2)
    assert behind.body == "behind it"
    world.simulator.media.of.clear()
    await world.until(lambda s: "url" in s.inbound("shop")[0].content["media"])
    [row, _] = world.proxy.store.inbound("shop")
    assert world.proxy.storage.read(row.content["media"]["url"]) == DATA


@pytest.mark.parametrize("settings", [{"MEDIA_MAX_MB": "2"}, {"MEDIA_IN": "off"}])
async def test_what_is_not_passed_on_is_said(world: World, settings: dict[str, str]) -> None:
    await world.start_worker(**settings)
    jid = await world.pair("shop", PHONE)
    contact = world.simulator.contact(ANA)
    await contact.send(jid, contact.files.image(DATA))
    await contact.send(jid, contact.files.image(DATA, fileLength=10))
    errors = [media(row)["error"] for row in await arrived(world, 2)]
    assert errors == (["off", "off"] if "MEDIA_IN" in settings else ["too_large", "too_large"])


async def test_a_proxy_that_takes_no_files_gets_messages_without(world: World) -> None:
    world.proxy.play_older()
    await world.start_worker()
    jid = await world.pair("shop", PHONE)
    contact = world.simulator.contact(ANA)
    await contact.send(jid, contact.files.image(DATA))
    await arrived(world, 1)
    await contact.send(jid, contact.files.image(DATA))
    rows = await arrived(world, 2)
    assert [media(row)["error"] for row in rows] == ["no_upload", "no_upload"]
    assert world.simulator.media.requested() == 0, "it is not asked for what nobody takes"
    await eventually(lambda: not left(world))
