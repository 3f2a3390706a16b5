"""Whether the proxy takes files, and how often it is asked."""

from __future__ import annotations

import pytest
import trio

from tests.journal.rows import OTHER, SHOP
from wa_worker.delivery.media_endpoint import ASK_AGAIN, DOUBT, NO_WORD, SURELY_GONE, UploadEndpoint
from wa_worker.delivery.waiting_keys import NotBefore
from wa_worker.edge.evidence import LIST, Evidence
from wa_worker.edge.media_upload import ENDPOINT
from wa_worker.errors import EdgeError, EdgeUnavailable, NoUploads
from wa_worker.models import InstanceId


class Proxy:
    """Answers whether it takes files, and lists instances."""

    def __init__(self) -> None:
        self.evidence = Evidence()
        self.endpoint = UploadEndpoint(self.evidence)
        self.error: EdgeError | None = NoUploads(ENDPOINT, "answered 404", 404)
        self.asked = 0

    async def answer(self) -> None:
        self.asked += 1
        await trio.sleep(0.1)
        if self.error is not None:
            raise self.error
        self.evidence.accepted(ENDPOINT, self.asked)

    async def ask(self, instance: InstanceId = SHOP) -> None:
        await self.endpoint.ask(instance, self.answer)

    def absent(self, instance: InstanceId = SHOP) -> bool:
        return self.endpoint.is_absent(instance)

    def lists(self) -> None:
        self.evidence.accepted(LIST, "")


@pytest.fixture
def proxy() -> Proxy:
    return Proxy()


async def absent(proxy: Proxy) -> None:
    with pytest.raises(NotBefore):
        await proxy.ask()
    await trio.sleep(DOUBT)
    proxy.lists()
    await proxy.ask()
    assert proxy.absent()


async def test_it_is_asked_until_it_has_taken_one(proxy: Proxy, autojump_clock: object) -> None:
    proxy.error = None
    await proxy.ask()
    await proxy.ask()
    assert (proxy.asked, proxy.absent()) == (1, False)


async def test_its_first_word_is_not_believed_and_not_asked_for_again_in_vain(
    proxy: Proxy, autojump_clock: object
) -> None:
    for _ in range(3):
        with pytest.raises(NotBefore) as pause:
            await proxy.ask()
        assert pause.value.moment == trio.current_time() + DOUBT
        await trio.sleep(DOUBT)
    assert (proxy.asked, proxy.absent()) == (1, False)
    proxy.lists()
    await proxy.ask()
    assert (proxy.asked, proxy.absent()) == (2, True)


async def test_several_at_once_ask_once(proxy: Proxy, autojump_clock: object) -> None:
    proxy.error = None
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(proxy.ask)
    assert proxy.asked == 1


async def test_one_that_takes_none_is_asked_once_in_ten_minutes_and_believed_at_once(
    proxy: Proxy, autojump_clock: object
) -> None:
    await absent(proxy)
    for _ in range(3):
        await trio.sleep(ASK_AGAIN - 1)
        await proxy.ask()
        assert proxy.absent()
        await trio.sleep(1)
        asked = proxy.asked
        await proxy.ask()
        assert (proxy.asked, proxy.absent()) == (asked + 1, True)
    await trio.sleep(ASK_AGAIN)
    proxy.error = None
    await proxy.ask()
    assert not proxy.absent()


async def test_one_that_takes_files_again_is_not_believed_at_once_any_more(
    proxy: Proxy, autojump_clock: object
) -> None:
    await absent(proxy)
    await trio.sleep(ASK_AGAIN)
    proxy.error = None
    await proxy.ask()
    await trio.sleep(ASK_AGAIN)
    assert not proxy.endpoint.believes(SHOP)
    proxy.lists()
    assert not proxy.endpoint.believes(SHOP)
    await trio.sleep(SURELY_GONE)
    proxy.lists()
    assert proxy.endpoint.believes(SHOP)


async def test_one_that_says_nothing_does_not_hold_files_up(proxy: Proxy, autojump_clock: object) -> None:
    proxy.error = EdgeUnavailable(ENDPOINT, "answered 500", 500)
    await proxy.ask()
    await proxy.ask()
    assert (proxy.asked, proxy.absent()) == (1, False)
    await trio.sleep(NO_WORD)
    await proxy.ask()
    assert proxy.asked == 2


@pytest.mark.parametrize("took_one", [False, True])
async def test_what_it_says_of_one_instance_is_not_said_of_others(
    proxy: Proxy, autojump_clock: object, took_one: bool
) -> None:
    """It may say it of an instance that it has removed, whose files are still on their way."""
    if took_one:
        proxy.evidence.accepted(ENDPOINT, "of the other")
        while not proxy.endpoint.believes(SHOP):
            proxy.lists()
            await trio.sleep(DOUBT)
    else:
        await absent(proxy)
    assert (proxy.absent(), proxy.absent(OTHER)) == (True, False)
    proxy.error = None
    await proxy.ask(OTHER)
    assert (proxy.absent(), proxy.absent(OTHER)) == (True, False)


async def test_one_that_never_took_any_is_believed_at_once_by_the_second_instance(
    proxy: Proxy, autojump_clock: object
) -> None:
    await absent(proxy)
    asked = proxy.asked
    await proxy.ask(OTHER)
    assert (proxy.asked, proxy.absent(OTHER)) == (asked + 1, True)


async def test_it_keeps_nothing_of_instances_whose_files_it_takes(proxy: Proxy, autojump_clock: object) -> None:
    await absent(proxy)
    proxy.endpoint.is_there(SHOP)
    assert not proxy.endpoint._words
