"""Which addresses a link may lead to, and that the address that was judged is the one that is connected to."""

from __future__ import annotations

import threading

import httpcore
import pytest
import trio
import trio.testing

from tests.link_host import open_link_host
from tests.proxy_fixture import PATIENCE, until
from wa_worker.edge import public_address
from wa_worker.edge.public_address import PrivateAddress, PublicBackend, is_public, resolve

PUBLIC = (
    *("8.8.8.8", "1.1.1.1", "172.32.0.1", "100.63.255.255", "2606:4700::1111", "2a00:1450::1"),
    *("::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"),
)
PRIVATE = (
    *("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1", "fec0::1"),
    *("2001:db8::1", "3fff::1", "100::1", "::7f00:1", "4000::1", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::"),
    *("localhost", "127.1", "example.com", "0x7f.1", "2130706433", ""),
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_all_others(address: str) -> None:
    assert not is_public(address)


async def test_lookups_that_hang_take_nobody_s_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()

    def dead(*_arguments: object, **_options: object) -> list[object]:
        answers.wait(60)
        return []

    monkeypatch.setattr("socket.getaddrinfo", dead)
    try:
        async with trio.open_nursery() as nursery:
            for number in range(60):
                nursery.start_soon(resolve, f"{number}.example", 443)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        with trio.fail_after(PATIENCE):
            await trio.to_thread.run_sync(str)
        assert not trio.to_thread.current_default_thread_limiter().borrowed_tokens
    finally:
        answers.set()
        monkeypatch.undo()
        with trio.CancelScope(shield=True):  # a thread that outlives the run keeps its place for good
            await until(lambda: not public_address._LOOKUPS.borrowed_tokens)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "127.1", "2130706433", "0x7f000001", "0"])
async def test_no_way_of_writing_this_machine_leads_to_it(host: str) -> None:
    async with open_link_host() as at:
        with pytest.raises((PrivateAddress, httpcore.ConnectError)):
            await PublicBackend().connect_tcp(host, at.port, timeout=PATIENCE)
        assert not at.asked


async def test_a_name_is_resolved_once_and_the_judged_address_is_connected_to() -> None:
    """The next answer of a resolver that changes its mind is never asked for."""
    answers = [["127.0.0.1"], ["192.0.2.1"]]
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        await trio.lowlevel.checkpoint()
        asked.append(host)
        return answers.pop(0)

    async with open_link_host() as at:
        with trio.fail_after(PATIENCE):
            stream = await PublicBackend(allowed=lambda each: each == "127.0.0.1", resolve=rebinding).connect_tcp(
                "a.example", at.port
            )
            await stream.aclose()
    assert asked == ["a.example"]


async def test_of_several_addresses_the_public_ones_are_tried() -> None:
    async def mixed(host: str, port: int) -> list[str]:
        await trio.lowlevel.checkpoint()
        return ["127.0.0.1", "::1", "169.254.169.254"]

    async with open_link_host() as at:
        with pytest.raises(PrivateAddress) as error:
            await PublicBackend(resolve=mixed).connect_tcp("a.example", at.port)
        assert not error.value.literal
        assert not at.asked


async def test_a_literal_address_is_one() -> None:
    with pytest.raises(PrivateAddress) as error:
        await PublicBackend().connect_tcp("169.254.169.254", 80)
    assert error.value.literal


async def test_a_name_that_leads_nowhere_is_no_address() -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        await trio.lowlevel.checkpoint()
        raise OSError("no such host")

    with pytest.raises(httpcore.ConnectError):
        await PublicBackend(resolve=nowhere).connect_tcp("a.example", 80)


async def test_a_resolver_that_says_nothing_is_not_waited_for() -> None:
    async def silent(host: str, port: int) -> list[str]:
        await trio.sleep_forever()
        raise AssertionError

    with trio.fail_after(PATIENCE), pytest.raises(httpcore.ConnectTimeout):
        await PublicBackend(resolve=silent).connect_tcp("a.example", 80, timeout=0.1)


async def test_this_machine_s_own_resolver() -> None:
    assert set(await resolve("localhost", 80)) <= {"127.0.0.1", "::1"}
