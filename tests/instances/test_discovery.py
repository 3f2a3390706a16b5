"""What a list of instances means."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.instances.polls import Instances, run_polling
from tests.proxy_fixture import SHOP, open_proxy_fixture, until
from wa_worker.dev.proxy import Fault
from wa_worker.edge.wire import Rows
from wa_worker.instances.discovery import UNLISTED_POLLS, Discovery, Running, plan
from wa_worker.instances.status import StatusPublisher
from wa_worker.models import InstanceId, ProxyStatus, Status

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
    confirm: str = ""
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
    Case("unlisted once", running={"a": PAIRING}, confirm="a", then={"a": 1}),
    Case("unlisted twice", running={"a": PAIRING}, unlisted={"a": 1}, release="a"),
    Case("listed again in between", listed="a", running={"a": PAIRING}, unlisted={"a": 1}),
    Case("unlisted, but the proxy has not heard of it", running={"a": PAIRING_UNTOLD}),
    Case(
        "unlisted, and its status on its way once more", running={"a": PAIRING_UNTOLD}, unlisted={"a": 1}, then={"a": 1}
    ),
    Case("listed while its status is on its way", listed="a", running={"a": PAIRING_UNTOLD}, unlisted={"a": 1}),
    Case("connected before it was told", running={"a": CONNECTED_UNTOLD}, unlisted={"a": 1}),
    Case("a count of what has gone", unlisted={"a": 1}),
    Case(
        "all at once",
        listed="new shown",
        running={"shown": CONNECTED, "gone": PAIRING, "going": PAIRING, "kept": CONNECTED},
        unlisted={"gone": 1, "old": 1},
        start="new",
        release="gone",
        again="shown",
        confirm="going",
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
    assert decided.confirm == set(names(case.confirm))
    assert decided.unlisted == case.then


IDS = st.sampled_from(names("a b c d"))
FLEETS = st.dictionaries(IDS, st.builds(Running, connected=st.booleans(), announced=st.booleans()))


@given(st.lists(IDS), FLEETS, st.dictionaries(IDS, st.integers(1, UNLISTED_POLLS - 1)))
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
        unconnected = {i: now for i, now in running.items() if i not in listed and not now.connected}
        missed = {i: missed.get(i, 0) + now.announced for i, now in unconnected.items()}
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
        (
            Running(connected=True, announced=True, status=ProxyStatus.CONNECTED),
            PAIRING,
            Running(connected=True, announced=True, status=ProxyStatus.DISCONNECTED),
        ),
    ],
)
def test_what_was_so_throughout_a_poll(before: Running, after: Running | None, then: Running) -> None:
    assert before.throughout(after) == then


def test_a_status_that_is_on_its_way_at_every_other_poll_does_not_keep_an_instance_for_ever() -> None:
    """Each first poll that does not list it has its status told once more: the next may begin before that is done."""
    unlisted: Mapping[InstanceId, int] = {}
    released: frozenset[InstanceId] = frozenset()
    told, again = True, 0
    for _ in range(6):
        running = {InstanceId("a"): PAIRING if told else PAIRING_UNTOLD}
        decided = plan([], running, unlisted)
        unlisted, released, told = decided.unlisted, released | decided.release, not decided.confirm
        again += len(decided.confirm)
        if released:
            break
    assert released == {InstanceId("a")}
    assert again == 1


class Taken(Instances):
    """An instance that has lost its line, whose status the proxy takes for CONNECTED: something else took the last."""

    def __init__(self) -> None:
        super().__init__({InstanceId("a"): PAIRING})
        self.listed: list[InstanceId] = []

    def announce_again(self, instance: InstanceId) -> None:
        super().announce_again(instance)
        self.listed = [instance]  # the proxy itself hears it this time


def test_a_status_that_something_else_took_releases_nothing() -> None:
    fleet = Taken()
    discovery = Discovery(fleet)
    for _ in range(4):
        discovery.listed(Rows(tuple(fleet.listed), ()), fleet.running())
    assert not fleet.released
    assert fleet.again == [InstanceId("a")]


async def test_an_instance_that_the_proxy_takes_for_connected_is_not_released() -> None:
    """A portal took the status that its line is gone, and went away before the proxy was polled."""
    async with open_proxy_fixture(SHOP) as fixture, trio.open_nursery() as nursery:
        fixture.proxy.store.set_status(SHOP, "CONNECTED")
        publisher = StatusPublisher(SHOP, fixture.edge)
        fixture.proxy.faults.set("update-status", Fault(body=b'{"ok": true}', times=1))
        publisher.announce(Status(ProxyStatus.DISCONNECTED))
        nursery.start_soon(publisher.run)
        await publisher.wait_settled()
        assert fixture.proxy.store.instance(SHOP).status == "CONNECTED"  # type: ignore[union-attr]

        class One(Instances):
            def running(self) -> Mapping[InstanceId, Running]:
                return {SHOP: Running(connected=False, announced=publisher.settled)}

            def announce_again(self, instance: InstanceId) -> None:
                publisher.announce_again()

        fleet = One()
        nursery.start_soon(run_polling, fixture.edge, fleet, 0.1)
        await until(lambda: fixture.proxy.store.instance(SHOP).status == "DISCONNECTED")  # type: ignore[union-attr]
        lists = fixture.proxy.store.requests["disconnected-instances"]
        await until(lambda: fixture.proxy.store.requests["disconnected-instances"] >= lists + 4)
        assert not fleet.released
        nursery.cancel_scope.cancel()


def test_what_a_person_let_go_of_is_not_started_and_is_asked_for() -> None:
    """In version 2 the proxy answers at once while something is listed that it was not asked for."""
    let_go, other = names("let-go other")
    fleet = Instances(kept_off=frozenset({let_go, InstanceId("unlisted")}))
    discovery = Discovery(fleet)
    assert discovery.listed(Rows((let_go, other), ()), {})
    assert (fleet.started, set(discovery.refused)) == ([other], {let_go})
    assert not discovery.listed(Rows((let_go,), ()), {})
