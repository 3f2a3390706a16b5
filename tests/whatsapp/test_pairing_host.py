"""The pairing host with the real library against the simulated WhatsApp: from a code to a paired store."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import stat
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from neonize.proto import Neonize_pb2 as pb

from tests.proxy_fixture import PATIENCE, SHOP, until
from wa_worker.dev.simulator import PairingFailed, Simulator, UnknownCode, WrongCode
from wa_worker.dev.simulator.trust import command
from wa_worker.models import InstanceId
from wa_worker.whatsapp.folder_store import FolderStore
from wa_worker.whatsapp.pairing import (
    EarlyMessage,
    NoPhoneCode,
    Paired,
    PairingEnded,
    PairingEvent,
    PairingHosts,
    PairingLine,
    PhoneCode,
    QrCode,
)
from wa_worker.whatsapp.pairing_host import DRAINED

PHONE = "5511999990001"
HOST = command("wa_worker.whatsapp.pairing_host")


@pytest.fixture
async def hosts(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PairingHosts]:
    """Hosts whose library knows no WhatsApp but the simulated one."""
    for name, value in simulator.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    async with trio.open_nursery() as nursery:
        yield PairingHosts(nursery, HOST)
        nursery.cancel_scope.cancel()


async def next_event(channel: PairingLine) -> PairingEvent:
    with trio.fail_after(PATIENCE):
        return await channel.receive()


async def code(channel: PairingLine) -> str:
    event = await next_event(channel)
    assert isinstance(event, QrCode)
    return event.code


async def test_a_scanned_code_leaves_a_paired_store_that_is_closed(
    hosts: PairingHosts, simulator: Simulator, tmp_path: Path
) -> None:
    store = FolderStore.of(tmp_path / "auth", SHOP)
    async with hosts.pair(SHOP, store, "wa-worker") as channel:
        shown = await code(channel)
        assert not store.is_paired()
        jid = await simulator.scan(shown, PHONE)
        assert await next_event(channel) == Paired()
        assert store.is_paired()
        await simulator.wait_for(lambda: not simulator.connected(jid))


async def test_what_it_makes_is_for_its_user_only(hosts: PairingHosts, tmp_path: Path) -> None:
    """Whatever the umask of the one that starts it."""
    before = os.umask(0o022)
    try:
        store = FolderStore.of(tmp_path / "auth", SHOP)
        async with hosts.pair(SHOP, store, "wa-worker") as channel:
            await code(channel)
            files = list(store.folder.iterdir())
    finally:
        os.umask(before)
    assert store.file in files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_two_at_once_in_one_host(hosts: PairingHosts, simulator: Simulator, tmp_path: Path) -> None:
    stores = [FolderStore.of(tmp_path / "auth", InstanceId(name)) for name in ("one", "two")]
    async with (
        hosts.pair(InstanceId("one"), stores[0], "wa-worker") as first,
        hosts.pair(InstanceId("two"), stores[1], "wa-worker") as second,
    ):
        codes = [await code(first), await code(second)]
        for shown, phone, channel in zip(codes, (PHONE, "5511999990002"), (first, second), strict=True):
            await simulator.scan(shown, phone)
            assert await next_event(channel) == Paired()
    assert all(store.is_paired() for store in stores)


async def test_codes_that_run_out_are_an_end_and_the_host_goes_on(
    hosts: PairingHosts, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.qr_refs = 0
    async with hosts.pair(SHOP, FolderStore.of(tmp_path / "auth", SHOP), "wa-worker") as channel:
        assert isinstance(await next_event(channel), PairingEnded)
        simulator.qr_refs = 6
        other = InstanceId("other")
        async with hosts.pair(other, FolderStore.of(tmp_path / "auth", other), "wa-worker") as second:
            await code(second)


async def test_a_version_that_whatsapp_refuses_is_an_end_that_says_so(
    hosts: PairingHosts, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.client_outdated = True
    async with hosts.pair(SHOP, FolderStore.of(tmp_path / "auth", SHOP), "wa-worker") as channel:
        ended = await next_event(channel)
    assert isinstance(ended, PairingEnded)
    assert ended.outdated


async def test_a_store_that_is_none_is_an_end_that_says_so(hosts: PairingHosts, tmp_path: Path) -> None:
    store = FolderStore.of(tmp_path / "auth", SHOP)
    store.file.mkdir(parents=True)
    async with hosts.pair(SHOP, store, "wa-worker") as channel:
        ended = await next_event(channel)
    assert isinstance(ended, PairingEnded)
    assert ended.no_store, ended.reason


async def test_told_to_end_before_a_scan_it_says_so_at_once(hosts: PairingHosts, tmp_path: Path) -> None:
    async with hosts.pair(SHOP, FolderStore.of(tmp_path / "auth", SHOP), "wa-worker") as channel:
        await code(channel)
        await channel.end()
        assert await next_event(channel) == PairingEnded("told to end")


async def test_told_to_end_after_a_scan_it_hands_over_what_came_and_leaves_a_paired_store(
    hosts: PairingHosts, simulator: Simulator, tmp_path: Path
) -> None:
    """WhatsApp has been told that we have those messages. It does not wait for the end of the login."""
    store = FolderStore.of(tmp_path / "auth", SHOP)
    async with hosts.pair(SHOP, store, "wa-worker") as channel:
        shown = await code(channel)
        simulator.answer_delay = 2.0
        jid = await simulator.scan(shown, PHONE)
        sent = [await simulator.contact("5511988880002").send(jid, f"early {n}") for n in range(3)]
        await simulator.wait_connected(jid)
        with trio.fail_after(PATIENCE):
            await simulator.wait_for(lambda: simulator.pending(jid) == [])
        await channel.end()
        came = []
        while isinstance(event := await next_event(channel), EarlyMessage):
            came.append(pb.Message.FromString(event.data).Info.ID)
        assert event == Paired()
        assert came == sent
        assert store.is_paired()
        await until(lambda: not simulator.connected(jid))


@asynccontextmanager
async def open_host(simulator: Simulator, folder: Path) -> AsyncIterator[tuple[trio.Process, socket.socket]]:
    """Yields a host that pairs `x`, and our end of the line to it, of which nobody reads."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = await trio.lowlevel.open_process(
            [*HOST, str(theirs.fileno())],
            env={**os.environ, **simulator.environment(folder)},
            pass_fds=[theirs.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        try:
            dsn = FolderStore(folder).dsn.reveal()
            ours.sendall(f'{{"do": "pair", "pairing": "x", "dsn": "{dsn}", "device_name": "n"}}\n'.encode())
            await until(lambda: simulator.waiting)
            yield process, ours
        finally:
            if process.returncode is None:
                process.kill()
                with trio.CancelScope(shield=True):
                    await process.wait()


async def test_it_ends_when_the_line_to_its_parent_does(simulator: Simulator, tmp_path: Path) -> None:
    """A parent that was killed leaves no orphan, though a code waits."""
    async with open_host(simulator, tmp_path) as (process, ours):
        await trio.to_thread.run_sync(ours.recv, 65_536)  # the code
        ours.close()
        with trio.fail_after(PATIENCE):
            assert await process.wait() == 0


async def test_what_it_took_is_all_handed_over_though_the_parent_reads_late(
    simulator: Simulator, tmp_path: Path
) -> None:
    """WhatsApp believes that we have it: the library has acknowledged it, and holds it in a channel of its own."""
    async with open_host(simulator, tmp_path) as (_, ours):
        lines = ours.makefile("rb")

        def heard() -> dict[str, Any]:
            return json.loads(lines.readline())  # type: ignore[no-any-return]

        with trio.fail_after(PATIENCE):
            while (line := await trio.to_thread.run_sync(heard))["is"] != "qr":
                pass
        simulator.answer_delay = 2.0  # of the login's end: they come before that
        jid = await simulator.scan(line["code"], PHONE)
        sent = [await simulator.contact("5511988880002").send(jid, f"{n} " + "x" * 10_000) for n in range(60)]
        await until(lambda: simulator.pending(jid) == [])
        ours.sendall(b'{"do": "end", "pairing": "x"}\n')
        await until(lambda: not simulator.connected(jid))
        await trio.sleep(4 * DRAINED)
        came = []
        with trio.fail_after(PATIENCE):
            while (line := await trio.to_thread.run_sync(heard))["is"] != "paired":
                if line["is"] == "message":
                    came.append(pb.Message.FromString(base64.b64decode(line["data"])).Info.ID)
        assert came == sent


@pytest.mark.parametrize("readable", [True, False])
async def test_a_request_for_a_passkey_ends_it_and_says_so(
    hosts: PairingHosts, simulator: Simulator, tmp_path: Path, readable: bool
) -> None:
    """The library calls one that it cannot read an error like any other."""
    simulator.passkeys.add(PHONE)
    simulator.readable_passkeys = readable
    store = FolderStore.of(tmp_path / "auth", SHOP)
    async with hosts.pair(SHOP, store, "wa-worker") as channel:
        shown = await code(channel)
        with pytest.raises(PairingFailed, match="passkey"):
            await simulator.scan(shown, PHONE)
        ended = await next_event(channel)
        assert isinstance(ended, PairingEnded)
        assert ended.passkey, ended.reason
        assert not ended.outdated
        assert not store.is_paired()


async def phone_code(channel: PairingLine, phone: str) -> PhoneCode:
    """Asks for a code, once a QR code is shown; other QR codes may come meanwhile."""
    await channel.ask_for_code(phone)
    while not isinstance(event := await next_event(channel), PhoneCode):
        assert isinstance(event, QrCode)
    return event


async def test_a_code_that_is_typed_on_the_phone_pairs_beside_the_qr_code(
    hosts: PairingHosts, simulator: Simulator, tmp_path: Path
) -> None:
    store = FolderStore.of(tmp_path / "auth", SHOP)
    async with hosts.pair(SHOP, store, "wa-worker") as channel:
        await code(channel)
        shown = await phone_code(channel, PHONE)
        assert re.fullmatch("[1-9A-Z]{4}-[1-9A-Z]{4}", shown.code)
        assert 100 < shown.expires_at - time.time() <= 160
        (client,) = simulator.waiting
        assert client.link_code is not None
        assert client.link_code.hello["companion_platform_display"] == b"Chrome (Linux)"
        assert client.link_code.hello["companion_platform_id"] == b"1"
        jid = await simulator.enter_code(shown.code, PHONE)
        assert await next_event(channel) == Paired()
        assert store.is_paired()
        await simulator.wait_for(lambda: not simulator.connected(jid))


async def test_the_qr_code_still_pairs_beside_it(hosts: PairingHosts, simulator: Simulator, tmp_path: Path) -> None:
    async with hosts.pair(SHOP, FolderStore.of(tmp_path / "auth", SHOP), "wa-worker") as channel:
        qr = await code(channel)
        await phone_code(channel, PHONE)
        await simulator.scan(qr, PHONE)
        assert await next_event(channel) == Paired()


async def test_after_a_wrong_code_the_right_one_and_a_fresh_one_still_pair(
    hosts: PairingHosts, simulator: Simulator, tmp_path: Path
) -> None:
    for number, fresh in enumerate((False, True)):
        store = FolderStore.of(tmp_path / "auth", InstanceId(f"shop{number}"))
        async with hosts.pair(InstanceId(f"shop{number}"), store, "wa-worker") as channel:
            await code(channel)
            shown = await phone_code(channel, PHONE)
            with pytest.raises(WrongCode):
                await simulator.enter_code("AAAA-AAAA", PHONE)
            with pytest.raises(UnknownCode):
                await simulator.enter_code(shown.code, "5511999990002")
            if fresh:
                first, shown = shown, await phone_code(channel, PHONE)
                assert shown.code != first.code
                with pytest.raises(WrongCode):
                    await simulator.enter_code(first.code, PHONE)
            await simulator.enter_code(shown.code, PHONE)
            assert await next_event(channel) == Paired()


async def test_a_code_ends_with_its_socket(hosts: PairingHosts, simulator: Simulator, tmp_path: Path) -> None:
    async with hosts.pair(SHOP, FolderStore.of(tmp_path / "auth", SHOP), "wa-worker") as channel:
        await code(channel)
        shown = await phone_code(channel, PHONE)
        await channel.end()
        assert isinstance(await next_event(channel), PairingEnded)
        await simulator.wait_for(lambda: not simulator.waiting)
        with pytest.raises(UnknownCode):
            await simulator.enter_code(shown.code, PHONE)


@pytest.mark.parametrize("refused", [False, True])
async def test_that_there_is_no_code_is_said_and_the_qr_code_stays(
    hosts: PairingHosts, simulator: Simulator, tmp_path: Path, *, refused: bool
) -> None:
    simulator.link_code_error = 429 if refused else None
    async with hosts.pair(SHOP, FolderStore.of(tmp_path / "auth", SHOP), "wa-worker") as channel:
        qr = await code(channel)
        await channel.ask_for_code(PHONE if refused else "123")
        event = await next_event(channel)
        assert isinstance(event, NoPhoneCode)
        assert ("429" if refused else "too short") in event.reason
        await simulator.scan(qr, PHONE)
        assert await next_event(channel) == Paired()


@pytest.mark.parametrize(("recent", "days"), [(False, 1), (True, 7)])
async def test_the_phone_is_asked_for_little_of_its_history(
    hosts: PairingHosts, simulator: Simulator, tmp_path: Path, *, recent: bool, days: int
) -> None:
    hosts._more = {"history": "recent"} if recent else {}
    async with hosts.pair(SHOP, FolderStore.of(tmp_path / "auth", SHOP), "wa-worker") as channel:
        jid = await simulator.scan(await code(channel), PHONE)
        assert await next_event(channel) == Paired()
    props = simulator.device_props[jid]
    assert props.os == "wa-worker"
    assert not props.requireFullSync
    limits = props.historySyncConfig
    assert (limits.recentSyncDaysLimit, limits.fullSyncDaysLimit) == (days, days)
    assert 0 < limits.storageQuotaMb <= 10
    assert 0 < limits.fullSyncSizeMbLimit <= 10
