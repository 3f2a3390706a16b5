"""The port and the connections: keep-alive, down and up, stopping at once, one port for one proxy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import trio

from wa_worker.dev.proxy import Fault, ReferenceProxy, open_proxy

from .conftest import SECRET


async def test_connections_are_kept_alive(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    for _ in range(1100):  # more than Hypercorn's own limit per connection
        assert (await client.get("/disconnected-instances")).status_code == 200
    assert proxy.connections_opened == 1
    assert proxy.store.requests["disconnected-instances"] == 1100


async def test_a_refused_post_whose_body_comes_late_leaves_its_connection_usable(proxy: ReferenceProxy) -> None:
    stream = await trio.open_tcp_stream("127.0.0.1", proxy.port)

    async def answer() -> bytes:
        got = b""
        with trio.fail_after(5):
            while not got.endswith((b"}", b"]")):
                got += await stream.receive_some()
        return got

    await stream.send_all(b"POST /inbound HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
    await trio.sleep(0.1)
    await stream.send_all(b"{}")
    assert (await answer()).startswith(b"HTTP/1.1 401")
    await stream.send_all(
        b"GET /disconnected-instances HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + SECRET.encode() + b"\r\n\r\n"
    )
    assert (await answer()).startswith(b"HTTP/1.1 200")
    await stream.aclose()


async def test_down_refuses_and_up_answers_on_the_same_port(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    await client.get("/disconnected-instances")
    for _ in range(3):
        await proxy.down()
        await proxy.down()
        with pytest.raises(httpx.TransportError):
            await client.get("/disconnected-instances")  # the connection it had
        with pytest.raises(httpx.ConnectError):
            await client.get("/disconnected-instances")
        await proxy.up()
        await proxy.up()
        assert (await client.get("/disconnected-instances")).json() == [{"id": "shop"}]
    assert proxy.connections_opened == 4


async def test_down_cuts_requests_in_flight(
    proxy: ReferenceProxy, client: httpx.AsyncClient, nursery: trio.Nursery
) -> None:
    proxy.faults.set("*", Fault(hang=True))
    cut = trio.Event()

    async def request() -> None:
        with pytest.raises(httpx.TransportError):
            await client.get("/disconnected-instances")
        cut.set()

    nursery.start_soon(request)
    with trio.fail_after(10):
        await proxy.wait_for(lambda store: store.requests.total())
        await proxy.down()
        await cut.wait()


async def test_down_waits_for_copies_of_the_listening_socket(proxy: ReferenceProxy, nursery: trio.Nursery) -> None:
    """A process that is being started has one until its exec."""
    copy = proxy._bound.dup()

    async def exec_() -> None:
        await trio.sleep(0.1)
        copy.close()

    nursery.start_soon(exec_)
    await proxy.down()
    with pytest.raises(OSError, match="failed"):
        await trio.open_tcp_stream("127.0.0.1", proxy.port)
    await proxy.up()
    await trio.aclose_forcefully(await trio.open_tcp_stream("127.0.0.1", proxy.port))


async def test_a_port_is_for_one_proxy(proxy: ReferenceProxy) -> None:
    with pytest.raises(OSError, match="in use"):
        async with open_proxy(secret=SECRET, port=proxy.port):
            raise AssertionError


@pytest.mark.parametrize(
    "fault",
    [None, Fault(hang=True), Fault(delay=60), Fault(trickle=1), Fault(body=b" " * 30_000_000)],
    ids=["idle", "hang", "delay", "trickle", "a client that does not read"],
)
async def test_it_stops_at_once_whatever_its_clients_do(fault: Fault | None) -> None:
    async with open_proxy(secret=SECRET) as proxy:
        stream = await trio.open_tcp_stream("127.0.0.1", proxy.port)
        request = b"GET /disconnected-instances HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        request += SECRET.encode() + b"\r\n\r\n"
        await stream.send_all(request)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
        if fault is not None:
            proxy.faults.set("*", fault)
            await stream.send_all(request)
            await proxy.wait_for(lambda store: store.requests.total() == 2)
            await trio.sleep(0.05)
        start = trio.current_time()
    assert trio.current_time() - start < 5
    await stream.aclose()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x00\xa5\x01\x00\x00",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        b"GET /%ff%fe%00?\xff HTTP/1.1\r\n\r\n",
        b"GET /%ff%fe%00?instanceId=%ff HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
        b"POST /inbound HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{",
        b"POST /inbound HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\n{",
        b"POST /inbound HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"x" * 100_000,
    ],
)
async def test_garbage_does_no_harm(proxy: ReferenceProxy, client: httpx.AsyncClient, garbage: bytes) -> None:
    stream = await trio.open_tcp_stream("127.0.0.1", proxy.port)
    await stream.send_all(garbage)
    with trio.move_on_after(0.05):
        answer = await stream.receive_some()
        assert not answer.startswith(b"HTTP/1.1 5")
    await stream.aclose()
    assert (await client.get("/disconnected-instances")).status_code == 200


async def test_state_survives_in_a_file(tmp_path: Path) -> None:
    database = tmp_path / "proxy.db"
    async with open_proxy(database, secret=SECRET) as proxy:
        proxy.store.add_instance("shop", "CONNECTED")
        first = proxy.store.queue("shop", "5511988887777", "Oi")
    async with open_proxy(database, secret=SECRET) as proxy:
        assert not proxy.store.add_instance("shop")
        second = proxy.store.queue("shop", "5511988887777", "Oi de novo")
        assert [row.id for row in proxy.store.messages("shop")] == [first, second]
        row = proxy.store.instance("shop")
        assert row is not None
        assert row.status == "CONNECTED"


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
async def test_as_a_process_it_prints_its_url_and_stops_on_a_signal(tmp_path: Path, sign: signal.Signals) -> None:
    process = await trio.lowlevel.open_process(
        [sys.executable, "-W", "error", "-m", "wa_worker.dev.proxy", "--database", str(tmp_path / "proxy.db")],
        env={**os.environ, "WORKER_SECRET": "s3cret"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with trio.fail_after(10):
        async with process.stdout, process.stderr:
            url = (await process.stdout.receive_some()).decode().strip()
            headers = {"Authorization": "Bearer s3cret"}
            async with httpx.AsyncClient(base_url=url, headers=headers) as client:
                assert (await client.get("/disconnected-instances")).json() == []
                process.send_signal(sign)
                assert await process.wait() == 0
            assert await process.stderr.receive_some() == b""


async def test_as_a_process_it_needs_a_secret() -> None:
    env = {key: os.environ[key] for key in os.environ if key != "WORKER_SECRET"}
    command = [sys.executable, "-m", "wa_worker.dev.proxy"]
    done = await trio.run_process(command, env=env, check=False, capture_stderr=True)
    assert done.returncode == 2
    assert b"WORKER_SECRET" in done.stderr
