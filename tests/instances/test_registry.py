"""What each instance is doing: what is noted, what is forgotten, and how it adds up."""

from __future__ import annotations

import time

import pytest

from tests.proxy_fixture import SHOP
from wa_worker.instances.registry import Registry
from wa_worker.models import InstanceId, Reason
from wa_worker.states import TROUBLE, Event, State

OTHER = InstanceId("other")


def test_what_is_noted() -> None:
    registry, before = Registry(), time.time()
    registry.set(SHOP, State.OPENING, because=Event.PAIRED, detail="the detail")
    snapshot = registry.all()[SHOP]
    assert (snapshot.state, snapshot.because, snapshot.detail) == (State.OPENING, Event.PAIRED, "the detail")
    assert before <= snapshot.since <= time.time()
    assert snapshot.until is None


def test_since_is_kept_while_the_state_stays() -> None:
    registry = Registry()
    registry.set(SHOP, State.PAIRING, because=Event.UNPAIRED)
    since = registry.all()[SHOP].since
    time.sleep(0.01)
    registry.set(SHOP, State.PAIRING, because=Event.QR)
    assert registry.all()[SHOP].since == since
    assert registry.all()[SHOP].because is Event.QR
    registry.set(SHOP, State.OPENING, because=Event.PAIRED)
    assert registry.all()[SHOP].since > since


def test_an_end_that_is_known_goes_with_its_state() -> None:
    registry = Registry()
    registry.set_reason(SHOP, Reason.BANNED, 5)
    assert SHOP not in registry.all(), "nothing is made of an end alone"
    registry.set(SHOP, State.HELD, because=Event.BANNED)
    registry.set_reason(SHOP, Reason.BANNED, 5)
    now = registry.all()[SHOP]
    assert (now.state, now.reason, now.until) == (State.HELD, Reason.BANNED, 5)
    registry.set(SHOP, State.OPENING, because=Event.PAIRED)
    assert (registry.all()[SHOP].reason, registry.all()[SHOP].until) == (None, None)


def test_removed_is_forgotten_and_twice_is_no_error() -> None:
    registry = Registry()
    registry.set(SHOP, State.HELD, because=Event.BANNED)
    registry.remove(SHOP)
    registry.remove(SHOP)
    assert not registry.all()


def test_nobody_changes_it_by_the_view() -> None:
    registry = Registry()
    view = registry.all()
    registry.set(SHOP, State.HELD, because=Event.BANNED)
    assert list(view) == [SHOP], "but it is no copy"
    with pytest.raises(TypeError):
        del view[SHOP]  # type: ignore[attr-defined]  # that is the point


def test_each_instance_counts_in_one_bucket() -> None:
    registry = Registry()
    assert registry.counts() == {"connected": 0, "connecting": 0, "reconnecting": 0}
    for number, state in enumerate(State):
        registry.set(InstanceId(str(number)), state, because=Event.CRASHED)
    assert registry.counts() == {"connected": 1, "connecting": 2, "reconnecting": 4}


def test_whether_anyone_is_connected() -> None:
    registry = Registry()
    registry.set(SHOP, State.RECONNECTING, because=Event.DISCONNECTED)
    assert not registry.anyone_connected()
    registry.set(OTHER, State.CONNECTED, because=Event.CONNECTED)
    assert registry.anyone_connected()
    registry.remove(OTHER)
    assert not registry.anyone_connected()


def test_trouble_lasts_through_tries_that_fail_until_it_is_connected() -> None:
    registry = Registry()
    for event in TROUBLE:
        registry.set(SHOP, State.CONNECTED, because=Event.CONNECTED)
        assert registry.attention() == {}
        for state, because in (
            (State.HELD, event),
            (State.OPENING, Event.PAIRED),
            (State.RECONNECTING, Event.DISCONNECTED),
            (State.RETRYING, Event.DEADLINE),
            (State.PAIRING, Event.UNPAIRED),
            (State.PAIRING, Event.QR),
        ):
            registry.set(SHOP, state, because=because)
            assert registry.attention() == {event: 1}, state
    registry.remove(SHOP)
    assert registry.attention() == {}


def test_a_hold_from_before_the_start_has_the_reason_it_had() -> None:
    registry = Registry()
    registry.set(SHOP, State.HELD, because=Event.STILL_HELD, detail="BANNED")
    registry.set(OTHER, State.HELD, because=Event.STILL_HELD, detail="a reason of a later version")
    assert registry.attention() == {Event.BANNED: 1, Event.STILL_HELD: 1}


def test_who_never_scanned_waits_for_a_scan_and_who_reconnects_for_nobody() -> None:
    registry = Registry()
    registry.set(SHOP, State.PAIRING, because=Event.QR)
    registry.set(OTHER, State.RETRYING, because=Event.DEADLINE)
    assert registry.attention() == {Event.UNPAIRED: 1}
