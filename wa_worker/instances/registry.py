"""What each instance is doing, as frozen snapshots: written by the instances, read by health and discovery."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import attrs

from wa_worker.delivery.held_back import HeldBack
from wa_worker.delivery.poll_timer import Activity
from wa_worker.models import InstanceId, Jid, Reason
from wa_worker.states import CONDITIONS, TROUBLE, Event, Health, State, held_for


@attrs.frozen
class InstanceSnapshot:
    """Describes the state of an instance at a moment. Times in unix seconds.

    because: what happened to it last; detail: what the log says of that.
    since: when this state began; until: when it ends by itself, if that is known.
    account: its own phone number JID, once it was connected.
    logged_out: its phone has logged it out, and has not linked it again yet.
    reason: why it is so, as the proxy hears it; None before it was announced.
    trouble: which of TROUBLE happened to it since it was last connected; STILL_HELD if it is held and nobody knows why.
    """

    state: State
    because: Event
    since: float
    detail: str = ""
    until: int | None = None
    account: Jid | None = attrs.field(default=None, repr=False)
    logged_out: bool = False
    reason: Reason | None = None
    trouble: Event | None = None


class Registry:
    """Says what all instances that run are doing. Trio thread only, but for what is said of Activity."""

    def __init__(self) -> None:
        self._instances: dict[InstanceId, InstanceSnapshot] = {}
        self._activities: dict[InstanceId, Activity] = {}
        self.on_connected: list[Callable[[InstanceId], None]] = []
        """Called when an instance has become CONNECTED."""
        self.on_changed: list[Callable[[InstanceId, InstanceSnapshot], None]] = []
        """Called when the state of an instance or its reason has become another one."""
        self._told: dict[InstanceId, tuple[State, Reason | None]] = {}

    def set(self, instance: InstanceId, state: State, *, because: Event, detail: str = "") -> None:
        """Notes an event, and the state it left the instance in. `since` is kept while the state stays."""
        known = self._instances.get(instance)
        stays = known is not None and known.state is state
        out = because is Event.LOGGED_OUT
        self._instances[instance] = InstanceSnapshot(
            state,
            because,
            known.since if known is not None and stays else time.time(),
            detail,
            until=known.until if known is not None and stays else None,
            reason=known.reason if known is not None and stays else None,
            account=known.account if known is not None and not out else None,
            logged_out=out or (state is State.PAIRING and known is not None and known.logged_out),
            trouble=_trouble(known, state, because, detail),
        )
        if state is State.CONNECTED and not stays:
            for listener in self.on_connected:
                listener(instance)

    def set_reason(self, instance: InstanceId, reason: Reason, until: int | None) -> None:
        """Notes why the current state is so, and when it ends by itself (whole unix seconds) if that is known."""
        if known := self._instances.get(instance):
            now = self._instances[instance] = attrs.evolve(known, reason=reason, until=until)
            if self._told.get(instance) != (now.state, reason):
                self._told[instance] = (now.state, reason)
                for listener in self.on_changed:
                    listener(instance, now)

    def set_account(self, instance: InstanceId, account: Jid) -> None:
        """Notes whose session it is."""
        if known := self._instances.get(instance):
            self._instances[instance] = attrs.evolve(known, account=account)

    def activity(self, instance: InstanceId) -> Activity:
        """Says where to note when an instance received and sent."""
        return self._activities.setdefault(instance, Activity())

    def paced(self) -> Sequence[HeldBack]:
        """Returns what PACE holds back, of each instance that it paces."""
        return [activity.held for activity in self._activities.values() if activity.held is not None]

    def remove(self, instance: InstanceId) -> None:
        """Forgets what an instance that has ended was doing."""
        self._instances.pop(instance, None)
        self._activities.pop(instance, None)
        self._told.pop(instance, None)

    def all(self) -> Mapping[InstanceId, InstanceSnapshot]:
        """Shows every instance; the view changes with them."""
        return MappingProxyType(self._instances)

    def anyone_connected(self) -> bool:
        """Says whether any instance is CONNECTED."""
        return any(snapshot.state is State.CONNECTED for snapshot in self._instances.values())

    def attention(self) -> Mapping[Event, int]:
        """Counts the instances that a person may have to help, by why: one of TROUBLE, STILL_HELD, or UNPAIRED for
        those that wait for their first scan."""
        found = (
            snapshot.trouble or (Event.UNPAIRED if snapshot.state is State.PAIRING else None)
            for snapshot in self._instances.values()
        )
        return Counter(event for event in found if event is not None)

    def counts(self) -> dict[str, int]:
        """Counts the instances that are connected, connecting and reconnecting (contract v1, `GET /health`)."""
        counted = Counter(CONDITIONS[snapshot.state].health for snapshot in self._instances.values())
        return {health.value: counted[health] for health in Health}


def _trouble(known: InstanceSnapshot | None, state: State, because: Event, detail: str) -> Event | None:
    """Returns what an event leaves of an instance's trouble. A try in between that fails does not end it."""
    if state is State.CONNECTED:
        return None
    if because is Event.STILL_HELD:  # the reason, as the run before this one wrote it
        return held_for(detail) or because
    if because in TROUBLE:
        return because
    return known.trouble if known is not None else None
