"""The gate over real sockets: who may pass, until when, and what is cut."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
import trio

from tests.proxy_fixture import SHOP, until
from tests.whatsapp.socket_gate.plain import Host, Lease, ask, ends, open_gate, open_host, say
from wa_worker.models import InstanceId
from wa_worker.ownership.deadline import boottime
from wa_worker.whatsapp.socket_gate import SocketGate

OTHER = InstanceId("other")
pytestmark = pytest.mark.filterwarnings("error")


async def tunnel(gate: SocketGate, host: Host, url: object) -> tuple[trio.SocketStream, trio.SocketStream]:
    """Returns both ends of a tunnel."""
    before = len(host.accepted)
    status, near = await ask(url, host.target)  # type: ignore[arg-type]
    assert status == 200
    await until(lambda: len(host.accepted) > before)
    return near, host.accepted[-1]


async def test_both_directions_pass_and_each_ends_by_itself() -> None:
    async with open_gate(Lease()) as gate, open_host() as host:
        with gate.passage(SHOP, None) as url:
            near, far = await tunnel(gate, host, url)
            async with near:
                await near.send_all(b"to WhatsApp")
                await near.send_eof()
                assert await ends(far) == b"to WhatsApp"
                await far.send_all(b"and back")
                await far.send_eof()
                assert await ends(near) == b"and back"


async def test_nobody_else_uses_it() -> None:
    async with open_gate(Lease()) as gate, open_host() as host:
        with gate.passage(SHOP, None) as url, gate.passage(OTHER, None) as others:
            password = others.reveal().split(":")[2].partition("@")[0]
            for wrong in ({"password": "wrong"}, {"password": password}, {"user": "x"}, {"user": None}):
                status, stream = await ask(url, host.target, **wrong)
                assert status == 407
                assert await ends(stream) == b""
                await stream.aclose()
            assert password not in url.reveal()
        status, stream = await ask(url, host.target)
        assert status == 407, "its session is over"
        await stream.aclose()
        assert host.accepted == []


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET http://web.whatsapp.com/ HTTP/1.1\r\nHost: web.whatsapp.com\r\n\r\n", 405),
        (b"CONNECT web.whatsapp.com HTTP/1.1\r\nHost: web.whatsapp.com\r\n\r\n", 400),
        (b"CONNECT web.whatsapp.com:99999 HTTP/1.1\r\nHost: web.whatsapp.com\r\n\r\n", 400),
        (b"\x16\x03\x01 no HTTP\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic !\r\n\r\n", 407),
    ],
)
async def test_what_is_no_request_is_answered(head: bytes, status: int) -> None:
    async with open_gate(Lease()) as gate:
        with gate.passage(SHOP, None) as url:
            got, stream = await say(url, head)
            assert got == status
            await stream.aclose()


async def test_where_nothing_is_there_is_no_way() -> None:
    async with open_gate(Lease()) as gate:
        with gate.passage(SHOP, None) as url:
            for target in ("127.0.0.1:1", "nowhere.invalid:443", "a..b:443"):
                status, stream = await ask(url, target)
                assert status == 502
                await stream.aclose()


async def test_an_idle_tunnel_is_cut_at_the_deadline_and_there_is_no_other() -> None:
    lease = Lease(boottime() + 0.5)
    async with open_gate(lease) as gate, open_host() as host:
        with gate.passage(SHOP, None) as url:
            status, near = await ask(url, host.target)
            assert status == 200
            lease.until += 0.5  # it was renewed
            with trio.fail_after(6):
                assert await ends(near) == b""
            assert boottime() >= lease.until
            await near.aclose()
            status, near = await ask(url, host.target)
            assert status == 503
            await near.aclose()
            lease.until = boottime() + 600
            status, near = await ask(url, host.target)
            assert status == 503, "what was cut stays so"
            await near.aclose()
        with gate.passage(SHOP, None) as url:
            status, near = await ask(url, host.target)
            assert status == 200
            await near.aclose()


@pytest.mark.parametrize("outward", [True, False])
async def test_nothing_is_passed_on_after_the_deadline(outward: bool) -> None:
    """Though nobody has cut the tunnel yet."""
    lease = Lease()
    async with open_gate(lease) as gate, open_host() as host:
        with gate.passage(SHOP, None) as url:
            near, far = await tunnel(gate, host, url)
            lease.until = boottime()
            source, to = (near, far) if outward else (far, near)
            await source.send_all(b"too late")
            assert await ends(to) == b""
            await near.aclose()


async def test_one_instance_is_cut_and_no_other() -> None:
    async with open_gate(Lease()) as gate, open_host() as host:
        with gate.passage(SHOP, None) as one, gate.passage(OTHER, None) as two:
            near, far = await tunnel(gate, host, one)
            other, others = await tunnel(gate, host, two)
            assert gate.cut(SHOP) == 2
            assert (await ends(near), await ends(far)) == (b"", b"")
            await other.send_all(b"Oi")
            assert await others.receive_some() == b"Oi"
            status, again = await ask(one, host.target)
            assert status == 503
            for stream in (near, other, again):
                await stream.aclose()


async def test_a_thread_cuts_while_the_loop_stands_still() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with open_gate(Lease()) as gate:
            with gate.passage(SHOP, None) as url:
                status, near = await ask(url, f"127.0.0.1:{server.getsockname()[1]}")
                assert status == 200
                far, _ = server.accept()
                gone = threading.Event()

                def read() -> None:
                    with far:
                        with contextlib.suppress(ConnectionResetError):
                            assert far.recv(1) == b""
                        gone.set()

                threading.Thread(target=read).start()
                assert not gone.wait(0.1)
                threading.Thread(target=gate.cut_all).start()
                assert gone.wait(20), "on Trio's thread: nothing of the gate runs meanwhile"
                await near.aclose()


async def test_a_slow_reader_slows_the_writer() -> None:
    piece, sent, offered = bytes(2**20), 0, 400
    async with open_gate(Lease()) as gate, open_host() as host:
        with gate.passage(SHOP, None) as url:
            near, far = await tunnel(gate, host, url)
            for _ in range(offered):
                with trio.move_on_after(0.5) as full:
                    await near.send_all(piece)
                if full.cancelled_caught:
                    break
                sent += 1
            assert sent < offered / 4, "MiB that the buffers of the system hold, and the gate none"
            await near.aclose()
            await far.aclose()


async def test_what_a_closed_session_has_left_is_passed_on() -> None:
    data = bytes(3 * 2**20)
    async with open_gate(Lease()) as gate, open_host() as host, trio.open_nursery() as nursery:
        with gate.passage(SHOP, None) as url:
            near, far = await tunnel(gate, host, url)

            async def close_behind() -> None:
                await near.send_all(data)
                await near.aclose()

            nursery.start_soon(close_behind)
            await until(lambda: near.socket.fileno() != -1)
        assert len(await ends(far)) == len(data)
        await far.aclose()


async def test_one_that_holds_on_after_its_end_is_cut() -> None:
    async with open_gate(Lease()) as gate, open_host() as host:
        with gate.passage(SHOP, None) as url:
            near, _ = await tunnel(gate, host, url)
        status, late = await ask(url, host.target)
        assert status == 407
        await late.aclose()
        with trio.fail_after(20):
            assert await ends(near) == b""
        await near.aclose()
