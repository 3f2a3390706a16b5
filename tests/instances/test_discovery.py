"""What a successful poll for instances means, and when the polls are made."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.proxy_fixture import open_proxy_fixture, until
from wa_worker.dev.proxy import Fault
from wa_worker.instances.discovery import UNLISTED_POLLS, Running, plan, run_discovery
from wa_worker.models import InstanceId

CONNECTED = Running(connected=True, announced=True)
CONNECTED_UNTOLD = Running(connected=True, announced=False)
PAIRING = Running(connected=False, announced=True)
PAIRING_UNTOLD = Running(connected=False, announced=False)


@attrs.frozen
class Case:
    """Names are separated by spaces."""

    name: str
    listed: str = ""
    running: Mapping[str, Running] = attrs.field(factory=dict)
    unlisted: Mapping[str, int] = attrs.field(factory=dict)
    start: str = ""
    release: str = ""
    again: str = ""
    then: Mapping[str, int] = attrs.field(factory=dict)


CASES = [
    Case("nothing"),
    Case("listed, not running", listed="a b", start="a b"),
    Case("listed twice", listed="a a", start="a"),
    Case("listed and pairing", listed="a", running={"a": PAIRING}),
    Case("listed, our status not yet known there", listed="a", running={"a": PAIRING_UNTOLD}),
    Case("listed though connected", listed="a", running={"a": CONNECTED}, again="a"),
    Case("listed, CONNECTED is on its way", listed="a", running={"a": CONNECTED_UNTOLD}, again="a"),
    Case("unlisted and connected", running={"a": CONNECTED}),
    Case("unlisted and connected, counted before", running={"a": CONNECTED}, unlisted={"a": 1}),
    Case("unlisted once", running={"a": PAIRING}, then={"a": 1}),
    Case("unlisted twice", running={"a": PAIRING}, unlisted={"a": 1}, release="a"),
    Case("listed again in between", listed="a", running={"a": PAIRING}, unlisted={"a": 1}),
    Case("unlisted, but the proxy has not heard of it", running={"a": PAIRING_UNTOLD}, unlisted={"a": 1}),
    Case("a count of what has gone", unlisted={"a": 1}),
    Case(
        "all at once",
        listed="new shown",
        running={"shown": CONNECTED, "gone": PAIRING, "going": PAIRING, "kept": CONNECTED},
        unlisted={"gone": 1, "old": 1},
        start="new",
        release="gone",
        again="shown",
        then={"going": 1},
    ),
]


def names(text: str) -> list[InstanceId]:
    return [InstanceId(name) for name in text.split()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_plan(case: Case) -> None:
    running = {InstanceId(name): now for name, now in case.running.items()}
    unlisted = {InstanceId(name): polls for name, polls in case.unlisted.items()}
    decided = plan(names(case.listed), running, unlisted)
    assert decided.start == set(names(case.start))
    assert decided.release == set(names(case.release))
    assert decided.announce_again == set(names(case.again))
    assert decided.unlisted == case.then


IDS = st.sampled_from(names("a b c d"))
FLEETS = st.dictionaries(IDS, st.builds(Running, connected=st.booleans(), announced=st.booleans()))


@given(st.lists(IDS), FLEETS, st.dictionaries(IDS, st.integers(0, UNLISTED_POLLS)))
def test_no_plan_contradicts_itself(
    listed: list[InstanceId], running: dict[InstanceId, Running], unlisted: dict[InstanceId, int]
) -> None:
    decided = plan(listed, running, unlisted)
    assert decided.start == set(listed) - running.keys()
    assert decided.release <= running.keys() - set(listed)
    assert decided.announce_again <= running.keys() & set(listed)
    assert not any(running[instance].connected for instance in decided.release | decided.unlisted.keys())
    assert all(polls < UNLISTED_POLLS for polls in decided.unlisted.values())


@given(st.lists(st.tuples(st.sets(IDS), FLEETS), min_size=1, max_size=8))
def test_nothing_is_released_before_it_was_missed_in_a_row(
    polls: list[tuple[set[InstanceId], dict[InstanceId, Running]]],
) -> None:
    unlisted: Mapping[InstanceId, int] = {}
    missed: dict[InstanceId, int] = {}
    for listed, running in polls:
        decided = plan(listed, running, unlisted)
        unlisted = decided.unlisted
        missing = {i for i, now in running.items() if i not in listed and not now.connected and now.announced}
        missed = {instance: missed.get(instance, 0) + 1 for instance in missing}
        assert decided.release == {instance for instance, times in missed.items() if times >= UNLISTED_POLLS}
        missed = {instance: times for instance, times in missed.items() if instance not in decided.release}


@pytest.mark.parametrize(
    ("before", "after", "then"),
    [
        (CONNECTED, PAIRING, Running(connected=True, announced=True)),
        (PAIRING, CONNECTED, Running(connected=True, announced=True)),
        (PAIRING, PAIRING, PAIRING),
        (PAIRING, PAIRING_UNTOLD, PAIRING_UNTOLD),
        (PAIRING_UNTOLD, PAIRING, PAIRING_UNTOLD),
        (PAIRING, Running(connected=False, announced=True, changes=2), attrs.evolve(PAIRING_UNTOLD, changes=2)),
        (PAIRING, None, PAIRING),
    ],
)
def test_what_was_so_throughout_a_poll(before: Running, after: Running | None, then: Running) -> None:
    assert before.throughout(after) == then


@attrs.define
class Instances:
    """Stands for the fleet: one instance whose line breaks at the start of each poll."""

    released: list[InstanceId] = attrs.Factory(list)
    back: list[float] = attrs.Factory(list)
    looks: int = 0

    def running(self) -> Mapping[InstanceId, Running]:
        self.looks += 1
        before_the_poll = self.looks % 2 == 1
        return {InstanceId("a"): Running(connected=not before_the_poll, announced=True, changes=self.looks)}

    def start(self, instance: InstanceId) -> None: ...

    def release(self, instance: InstanceId) -> None:
        self.released.append(instance)

    def announce_again(self, instance: InstanceId) -> None: ...

    def proxy_is_back(self, last_seen: float) -> None:
        self.back.append(last_seen)


async def test_a_line_that_breaks_for_a_moment_at_each_poll_lets_nothing_go() -> None:
    async with open_proxy_fixture() as fixture, trio.open_nursery() as nursery:
        instances = Instances()
        nursery.start_soon(run_discovery, fixture.edge, instances, 0.02)
        await until(lambda: instances.looks > 4 * UNLISTED_POLLS)
        assert not instances.released
        nursery.cancel_scope.cancel()


async def test_the_fleet_hears_of_the_end_of_an_outage() -> None:
    async with open_proxy_fixture() as fixture, trio.open_nursery() as nursery:
        instances = Instances()
        began = trio.current_time()
        nursery.start_soon(run_discovery, fixture.edge, instances, 0.02)
        await until(lambda: fixture.proxy.store.requests["disconnected-instances"] >= 3)
        assert not instances.back
        fixture.proxy.faults.set("*", Fault(status=404))
        calls = fixture.proxy.store.requests["disconnected-instances"]
        await until(lambda: fixture.proxy.store.requests["disconnected-instances"] >= calls + 3)
        assert not instances.back
        outage = trio.current_time()
        fixture.proxy.faults.clear()
        await until(lambda: instances.back)
        await until(lambda: fixture.proxy.store.requests["disconnected-instances"] >= calls + 6)
        (last_seen,) = instances.back
        assert began < last_seen < outage
        nursery.cancel_scope.cancel()


async def test_discovery_waits_as_long_as_it_is_asked_to() -> None:
    async with open_proxy_fixture() as fixture, trio.open_nursery() as nursery:
        fixture.proxy.faults.set("*", Fault(status=503, headers={"Retry-After": "2"}, times=1))
        nursery.start_soon(run_discovery, fixture.edge, Instances(), 0.02)
        await until(lambda: fixture.proxy.store.requests["disconnected-instances"])
        await trio.sleep(1.5)
        assert fixture.proxy.store.requests["disconnected-instances"] == 1
        await until(lambda: fixture.proxy.store.requests["disconnected-instances"] >= 2)
        nursery.cancel_scope.cancel()
