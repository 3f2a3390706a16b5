"""What the worker says of itself at `GET /instances`: the state of each instance, and why.

The proxy knows three statuses; whether CONNECTING means a first login or a lost connection only the worker can tell.
No I/O: the answers are handed in.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from wa_worker.states import CONDITIONS, Event, Health, State


@attrs.frozen
class Told:
    """Describes an instance as the worker sees it. `state` None: the worker does not run it.

    why: what happened to it last, in words. logged_out: by its phone, which has not linked it again yet.
    """

    state: State | None = None
    why: str = ""
    logged_out: bool = False


class WorkerState:
    """Keeps the worker's own account of itself. `on_change` is called when it says something new."""

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self.answers = False
        """Whether it answered when it was asked last."""
        self._told: dict[str, Told] = {}
        self._on_change = on_change

    @property
    def counts(self) -> Mapping[str, int] | None:
        """Returns the number of instances by health; None while the worker does not answer."""
        if not self.answers:
            return None
        counted = Counter(CONDITIONS[told.state].health for told in self._told.values() if told.state is not None)
        return {health.value: counted[health] for health in Health}

    def of(self, instance: str) -> Told:
        """Says what the worker says of an instance."""
        return self._told.get(instance, Told())

    def take(self, answer: Mapping[str, Any] | None) -> None:
        """Takes an answer to `GET /instances`, None if there was none."""
        told = {} if answer is None else {each["id"]: _read(each) for each in answer["instances"]}
        if (answer is not None, told) != (self.answers, self._told):
            self.answers, self._told = answer is not None, told
            self._on_change()


def _read(instance: Mapping[str, Any]) -> Told:
    state = State[instance["state"].upper()]
    why = Event[instance["because"].upper()].value
    if instance["detail"]:
        why = f"{why}: {instance['detail']}"
    if instance["until"] is not None:
        why = f"{why}; next try in about {max(round(instance['until'] - time.time()), 0)} s"
    return Told(state, why, instance["logged_out"])
