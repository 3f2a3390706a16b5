"""What each instance is doing, as frozen snapshots: written by the instances, read by health and discovery."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from wa_worker.models import InstanceId
from wa_worker.states import CONDITIONS, Event, Health, State


@attrs.frozen
class InstanceSnapshot:
    """An instance at a moment. Times in unix seconds.

    because: the event that led to this state; detail: what the log says of it.
    since: when this state began; until: when it ends by itself, if that is known.
    """

    state: State
    because: Event
    since: float
    detail: str = ""
    until: float | None = None


class Registry:
    """The snapshots of all instances that run. Trio thread only."""

    def __init__(self) -> None:
        self._instances: dict[InstanceId, InstanceSnapshot] = {}

    def set(self, instance: InstanceId, state: State, *, because: Event, detail: str = "") -> None:
        """Notes what an instance does now. `since` is kept while the state stays."""
        known = self._instances.get(instance)
        since = known.since if known is not None and known.state is state else time.time()
        self._instances[instance] = InstanceSnapshot(state, because, since, detail)

    def set_until(self, instance: InstanceId, until: float) -> None:
        """Notes when the current state ends by itself (unix seconds)."""
        if known := self._instances.get(instance):
            self._instances[instance] = attrs.evolve(known, until=until)

    def remove(self, instance: InstanceId) -> None:
        """Forgets an instance that has ended."""
        self._instances.pop(instance, None)

    def all(self) -> Mapping[InstanceId, InstanceSnapshot]:
        """Shows every instance; the view changes with them."""
        return MappingProxyType(self._instances)

    def anyone_connected(self) -> bool:
        """Says whether any instance is CONNECTED."""
        return any(snapshot.state is State.CONNECTED for snapshot in self._instances.values())

    def counts(self) -> dict[str, int]:
        """Counts the instances that are connected, connecting and reconnecting (contract v1, `GET /health`)."""
        counted = Counter(CONDITIONS[snapshot.state].health for snapshot in self._instances.values())
        return {health.value: counted[health] for health in Health}
