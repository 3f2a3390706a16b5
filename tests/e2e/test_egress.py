"""Instances that go out to WhatsApp through proxies of their own, through the real process and the real library."""

from __future__ import annotations

import random
import signal
from typing import Any

import pytest
import trio

from tests.e2e.world import World
from tests.egress_proxy import PASSWORD, USER, open_egress_proxy
from tests.link_host import open_link_host

PHONE, OTHER, ANA = "5511999990001", "5511999990002", "5511988880002"
NOWHERE = "http://127.0.0.1:1"
"""What goes out without the proxy of its instance does not arrive."""

SOCKET, MEDIA = "web.whatsapp.com:443", "mmg.whatsapp.net:443"
DATA = random.Random(13).randbytes(100_000)


def listed_with(world: World, proxy: object, instance: str = "shop") -> None:
    world.proxy.store.add_instance(instance)
    world.proxy.store.set_proxy(instance, proxy)  # type: ignore[arg-type]  # what is no text is tried, too


async def reason(world: World, wanted: str) -> Any:
    def has_reason(store: Any) -> Any:
        row = store.instance("shop")
        return row if row is not None and row.reason == wanted else None

    return await world.until(has_reason)


def nothing_is_told(world: World) -> None:
    told = "".join(line for worker in world.workers for line in worker.raw)
    assert told
    for secret in (PASSWORD, "p%40ss", USER):
        assert secret not in told


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_all_of_an_instance_goes_out_through_its_proxy(world: World, scheme: str) -> None:
    async with open_egress_proxy(world.simulator.port, scheme) as proxy, open_link_host() as host:
        listed_with(world, proxy.url)
        around = {"HTTPS_PROXY": NOWHERE if scheme == "http" else "", "MEDIA_ALLOW_PRIVATE": "1"}
        worker = await world.start_worker(**around)
        jid = await world.pair("shop", PHONE)
        assert set(proxy.asked) == {SOCKET}
        contact = world.simulator.contact(ANA)
        await contact.send(jid, contact.files.image(DATA))
        await world.until(lambda store: store.inbound("shop"))
        assert proxy.asked.count(MEDIA) == 1, "the download"
        link = host.serve("/a.txt", DATA)
        world.proxy.store.queue_row("shop", ANA, type="document", media={"link": link, "filename": "a.txt"})
        with trio.fail_after(world.patience):
            await contact.wait_received(1)
        assert proxy.asked.count(MEDIA) == 2, "the upload, by the library"
        for pid in (worker.pid, *worker.descendants()):
            assert USER.encode() not in await trio.Path(f"/proc/{pid}/cmdline").read_bytes()
    nothing_is_told(world)


async def test_another_proxy_is_gone_over_to_and_remembered(world: World) -> None:
    async with open_egress_proxy(world.simulator.port) as one, open_egress_proxy(world.simulator.port) as two:
        listed_with(world, one.url)
        listed_with(world, two.url, "other")
        worker = await world.start_worker(HTTPS_PROXY=NOWHERE)
        jid = await world.pair("shop", PHONE)
        await world.pair("other", OTHER)
        before, sessions = len(one.asked), len(world.proxy.store.statuses("other"))
        world.proxy.store.set_proxy("shop", two.url)
        await world.until(lambda _store: not one.open)
        await world.status("shop", "CONNECTED")
        await world.simulator.wait_connected(jid)
        assert len(one.asked) == before
        assert len(world.proxy.store.statuses("other")) == sessions, "the other one notices nothing"
        await worker.stop(signal.SIGKILL)
        asked = len(two.asked)
        again = await world.start_worker(HTTPS_PROXY=NOWHERE)
        await world.until(lambda _store: len(two.asked) > asked)
        await again.logged("connected", instance="shop")
        assert len(one.asked) == before
        assert "an instance goes out through a proxy" not in {line.get("event") for line in again.lines}, "it knew"
    nothing_is_told(world)


async def test_one_whose_proxy_is_none_does_not_go_out_without(world: World) -> None:
    listed_with(world, f"ftp://{USER}:secret@proxy")
    listed_with(world, None, "other")
    worker = await world.start_worker()
    row = await reason(world, "proxy_failed")
    assert (row.status, row.action) == ("CONNECTING", "check_proxy")
    await world.qr("other")
    line = await worker.logged("the proxy of an instance cannot be used: it does not connect", instance="shop")
    assert line["reason"] == "it does not begin with http://, https:// or socks5://"
    assert world.proxy.store.instance("shop").qr_code is None  # type: ignore[union-attr]
    world.proxy.store.set_proxy("shop", None)
    await world.qr("shop")
    nothing_is_told(world)


async def test_a_proxy_that_refuses_says_nothing_of_the_number(world: World) -> None:
    async with open_egress_proxy(world.simulator.port) as proxy:
        listed_with(world, proxy.url)
        worker = await world.start_worker()
        jid = await world.pair("shop", PHONE)
        await worker.stop()
        proxy.refuses = 403
        worker = await world.start_worker()
        row = await reason(world, "proxy_failed")
        assert (row.status, row.action) == ("CONNECTING", "check_proxy")
        for status in (403, 407):
            proxy.refuses = status
            await worker.logged(
                "the proxy of this instance cannot be used: it is tried again, and nothing else instead",
                reason=f"its proxy 127.0.0.1:{proxy.port} answers {status} when asked for {SOCKET}",
            )
        proxy.refuses = None
        await world.status("shop", "CONNECTED")
        await world.simulator.wait_connected(jid)
    nothing_is_told(world)
