"""Pairing, logins and the ways in which they end, each with the event that neonize makes of it."""

import base64
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import pytest
import trio

from tests.dev.simulator.conftest import Clients
from wa_worker.dev.simulator import Simulator, UnknownQR, open_simulator

PHONE = "5511999990001"


@attrs.frozen
class Ending:
    """What is done to a session, and the event that follows."""

    name: str
    act: Callable[[Simulator, str], Awaitable[None]]
    event: str


async def _cut(simulator: Simulator, jid: str) -> None:
    await simulator.drop(jid)


async def _ban(simulator: Simulator, jid: str) -> None:
    simulator.bans[jid] = 3600
    await simulator.drop(jid)


async def _log_out_while_away(simulator: Simulator, jid: str) -> None:
    simulator.unlink(jid)
    await simulator.drop_all()


async def _fail_login(simulator: Simulator, jid: str) -> None:
    simulator.login_failures[jid] = 400
    await simulator.drop(jid)


async def _stream_error(simulator: Simulator, jid: str) -> None:
    await simulator.stream_error(jid, "503")


ENDINGS = [
    Ending("logged out while connected", lambda simulator, jid: simulator.log_out(jid), "logged_out"),
    Ending("replaced", lambda simulator, jid: simulator.replace(jid), "replaced"),
    Ending("banned", _ban, "banned"),
    Ending("login refused", _fail_login, "connect_failure"),
    Ending("server restarts", _stream_error, "disconnected"),
    Ending("line cut", _cut, "disconnected"),
    Ending("logged out while away", _log_out_while_away, "logged_out"),  # last: it cuts all
]


async def test_how_a_session_ends(simulator: Simulator, clients: Clients) -> None:
    client, jids = await clients.pair(*(f"551199999{number:04}" for number in range(len(ENDINGS))))
    for session, (ending, jid) in enumerate(zip(ENDINGS, jids, strict=True)):
        assert simulator.connected(jid), ending.name
        await ending.act(simulator, jid)
        event = await client.wait(ending.event, session)
        assert event.get("expire", 3600) == 3600
        if ending.event == "disconnected":
            await client.wait("connected", session, count=2)
        else:
            assert not simulator.connected(jid), ending.name
    assert jids[0] not in simulator.devices
    assert simulator.attempts[jids[2]] == 2
    assert simulator.logins[jids[2]] == 1


async def test_an_outdated_client(simulator: Simulator, clients: Clients, tmp_path: Path) -> None:
    client, [jid] = await clients.pair(PHONE)
    simulator.client_outdated = True
    await simulator.drop(jid)
    await client.wait("outdated")
    unpaired = await clients.start("other")
    with trio.fail_after(10):  # neonize passes on no event of an unpaired session: its log must do
        while "err-client-outdated" not in (tmp_path / "client.log").read_text():  # noqa: ASYNC110  another process's
            await trio.sleep(0.05)
    assert not unpaired.said("qr")


async def test_codes(simulator: Simulator, clients: Clients) -> None:
    with pytest.raises(UnknownQR):
        await simulator.scan("https://wa.me/settings/linked_devices#a,b,c,d,e", PHONE)
    with pytest.raises(UnknownQR):
        await simulator.scan("nonsense", PHONE)
    client = await clients.start()
    code = (await client.wait("qr"))["code"]
    jid = await simulator.scan(code, PHONE)
    assert jid == f"{PHONE}:1@s.whatsapp.net"
    with pytest.raises(UnknownQR):
        await simulator.scan(code, PHONE)
    with trio.fail_after(10):
        await simulator.wait_connected(jid)
    waiting = await clients.start("second")
    code = (await waiting.wait("qr"))["code"]
    await waiting.kill()
    with trio.fail_after(5):
        await simulator.wait_for(lambda: not simulator.waiting)
    with pytest.raises(UnknownQR):
        await simulator.scan(code, PHONE)


async def test_a_deaf_session(simulator: Simulator, clients: Clients) -> None:
    client, [jid] = await clients.pair(PHONE)
    simulator.silent.add(jid)
    await simulator.drop(jid)
    await client.wait("disconnected")
    with trio.fail_after(10):
        await simulator.wait_for(lambda: simulator.logins[jid] == 2)
    with trio.move_on_after(0.5):
        await simulator.wait_connected(jid)
    assert not simulator.connected(jid)
    simulator.silent.clear()
    simulator.skip_offline.add(jid)
    await simulator.drop(jid)
    await client.wait("connected", count=2)
    assert len(client.said("offline_done")) == 1


async def _half_way(simulator: Simulator, folder: Path, stage: int) -> None:
    """Go so far as a client and vanish."""
    tcp = await trio.open_tcp_stream("127.0.0.1", simulator.port)
    async with tcp:
        if stage == 0:
            return
        host = "example.org" if stage == 1 else "web.whatsapp.com"
        await tcp.send_all(f"CONNECT {host}:443 HTTP/1.1\r\n\r\n".encode())
        assert (b" 200 " in await tcp.receive_some()) == (stage > 1)
        if stage < 3:
            return
        if stage == 3:
            await tcp.send_all(b"not TLS at all\r\n\r\n")
            await tcp.receive_some()
            return
        trusted = ssl.create_default_context(cafile=simulator.environment(folder)["SSL_CERT_FILE"])
        tls = trio.SSLStream(tcp, trusted, server_hostname="web.whatsapp.com", https_compatible=True)
        if stage == 4:
            await tls.do_handshake()
            return
        if stage == 5:
            await tls.send_all(b"GET /not-a-websocket HTTP/1.1\r\nHost: web.whatsapp.com\r\n\r\n")
            await tls.receive_some()
            return
        key = base64.b64encode(bytes(16)).decode()
        await tls.send_all(
            f"GET /ws/chat HTTP/1.1\r\nHost: web.whatsapp.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        assert b" 101 " in await tls.receive_some()
        if stage == 6:
            return
        # A masked binary frame (mask 0) whose content is WhatsApp's header and a hello, or nonsense.
        content = b"XX\x06\x03" if stage == 7 else b"WA\x06\x03\x00\x00\x04junk"
        await tls.send_all(bytes([0x82, 0x80 | len(content)]) + bytes(4) + content)
        with trio.move_on_after(0.2):
            await tls.receive_some()


@pytest.mark.parametrize("stage", range(9))
async def test_clients_that_vanish_half_way(simulator: Simulator, tmp_path: Path, stage: int) -> None:
    await _half_way(simulator, tmp_path, stage)
    with trio.fail_after(5):
        await simulator.wait_for(lambda: simulator.connections == 0)


async def test_refusing_and_stalling(simulator: Simulator, tmp_path: Path) -> None:
    simulator.stall_handshake = True
    await _half_way(simulator, tmp_path, 8)
    simulator.refusing = True
    async with await trio.open_tcp_stream("127.0.0.1", simulator.port) as tcp:
        assert await tcp.receive_some() == b""


async def test_leaving_cuts_everything(tmp_path: Path) -> None:
    async with open_simulator() as simulator:
        tcp = await trio.open_tcp_stream("127.0.0.1", simulator.port)
        with trio.fail_after(5):
            await simulator.wait_for(lambda: simulator.connections == 1)
    async with tcp:
        assert await tcp.receive_some() == b""
    assert simulator.connections == 0
