"""What the client makes of the answers to `/poll`: which of them say that a proxy is one of version 1."""

from __future__ import annotations

import pytest
import trio
from trio.abc import Clock
from trio.testing import MockClock

from tests.proxy_fixture import SHOP, open_proxy_fixture
from wa_worker.dev.proxy import Fault
from wa_worker.edge.call import CALL_DEADLINE
from wa_worker.edge.evidence import LIST
from wa_worker.errors import EdgeError, EdgeUnavailable, NoSuchVersion

ASKED = {"shop": "DISCONNECTED"}


@pytest.fixture
def twenty() -> Clock:
    """A clock on which a second takes 50 ms."""
    return MockClock(rate=20.0)


async def test_what_is_listed() -> None:
    async with open_proxy_fixture(SHOP, contract=2) as fixture:
        polled = await fixture.edge.poll("w", {}, 0)
        assert polled.instances.good == (SHOP,)
        assert fixture.edge.evidence.since(LIST, 0.0), "it counts as a list of instances"


OF_VERSION_1 = [Fault(status=status) for status in (400, 404, 405, 501)] + [
    Fault(body=body) for body in (b"", b"OK", b"[]", b'{"ok":true}', b'{"instances":[]}', b'{"instances": [', b"5")
]


@pytest.mark.parametrize("fault", OF_VERSION_1, ids=lambda fault: f"{fault.status} {fault.body!r}")
async def test_an_answer_of_a_proxy_of_version_1(fault: Fault) -> None:
    async with open_proxy_fixture(SHOP, contract=2) as fixture:
        fixture.proxy.faults.set("poll", fault)
        with pytest.raises(NoSuchVersion) as caught:
            await fixture.edge.poll("w", ASKED, 0)
        assert caught.value.endpoint == "poll"
        assert not fixture.edge.evidence.fails(LIST), "version 1 is asked next, and tells"
        assert not fixture.edge.evidence.since(LIST, 0.0)


OF_THE_MOMENT = [Fault(status=status) for status in (301, 401, 403, 408, 413, 422, 429, 500, 502, 503)] + [
    Fault(body=b"<html>sign in</html>"),
    Fault(status=404, body=b"<html>no such app</html>"),
    Fault(status=400, body=b"x", content_type="image/png"),
    Fault(cut=True),
    Fault(body=b'{"instances": [', cut=True),
]


@pytest.mark.parametrize("fault", OF_THE_MOMENT, ids=lambda fault: f"{fault.status} {fault.body!r} {fault.cut}")
async def test_an_answer_that_says_nothing_of_the_version(fault: Fault) -> None:
    async with open_proxy_fixture(SHOP, contract=2) as fixture:
        await fixture.edge.poll("w", ASKED, 0)
        fixture.proxy.faults.set("poll", fault)
        with pytest.raises(EdgeError) as caught:
            await fixture.edge.poll("w", ASKED, 0)
        assert not isinstance(caught.value, NoSuchVersion)
        assert fixture.edge.evidence.fails(LIST)
        fixture.proxy.faults.clear()
        await fixture.edge.poll("w", ASKED, 0)
        assert not fixture.edge.evidence.fails(LIST)


async def test_an_answer_that_is_held_has_its_deadline_after_that(twenty: Clock) -> None:
    async with open_proxy_fixture(SHOP, contract=2) as fixture:
        fixture.proxy.faults.set("poll", Fault(delay=CALL_DEADLINE + 5, times=1))
        assert (await fixture.edge.poll("w", {}, 20)).instances.good == (SHOP,)
        fixture.proxy.faults.set("poll", Fault(hang=True))
        began = trio.current_time()
        with pytest.raises(EdgeUnavailable):
            await fixture.edge.poll("w", {}, 20)
        assert CALL_DEADLINE + 15 < trio.current_time() - began < CALL_DEADLINE + 60
