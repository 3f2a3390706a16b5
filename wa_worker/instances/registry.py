"""What each instance is doing, as frozen snapshots: written by the instances, read by health and discovery."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from wa_worker.models import InstanceId
from wa_worker.states import CONDITIONS, Health, State


@attrs.frozen
class Snapshot:
    """An instance at a moment. `since` is in unix seconds."""

    state: State
    since: float


class Registry:
    """Trio thread only."""

    def __init__(self) -> None:
        self._instances: dict[InstanceId, Snapshot] = {}

    def set(self, instance: InstanceId, state: State) -> None:
        self._instances[instance] = Snapshot(state, time.time())

    def remove(self, instance: InstanceId) -> None:
        self._instances.pop(instance, None)

    def all(self) -> Mapping[InstanceId, Snapshot]:
        return MappingProxyType(self._instances)

    def anyone_connected(self) -> bool:
        return any(snapshot.state is State.CONNECTED for snapshot in self._instances.values())

    def counts(self) -> dict[str, int]:
        """How many instances are connected, connecting and reconnecting (contract v1, `GET /health`)."""
        counted = Counter(CONDITIONS[snapshot.state].health for snapshot in self._instances.values())
        return {health.value: counted[health] for health in Health}
