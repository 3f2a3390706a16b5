"""What the worker says of itself: the state of each instance, from its log, and the counts of its health endpoint.

The proxy knows three statuses; whether CONNECTING means a first login or a lost connection only the worker can tell.
No I/O: the log lines and the counts are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from wa_worker.states import State

_LET_GO = ("instance let go: the proxy does not know it", "instance released: the proxy no longer lists it")
_STATES = {state.value: state for state in State}


@attrs.frozen
class Told:
    """An instance as the worker sees it. `state` None: the worker does not run it. `why` is the worker's word.
    `logged_out`: by its phone, which has not linked it again yet."""

    state: State | None = None
    why: str = ""
    logged_out: bool = False


class WorkerState:
    """The worker by its own account: the last word on each instance. `on_change` is called when one is new."""

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self.port = 0
        """Of the health endpoint, 0 until it answers."""
        self.counts: Mapping[str, int] | None = None
        """Instances by health; None while it does not answer."""
        self._told: dict[str, Told] = {}
        self._on_change = on_change

    def of(self, instance: str) -> Told:
        return self._told.get(instance, Told())

    @property
    def hears(self) -> bool:
        """Whether the log says anything of instances: its level may be too high for that."""
        return bool(self._told)

    def take_log(self, event: Mapping[str, Any]) -> None:
        """A line of the worker's log."""
        words, instance = event.get("event"), event.get("instance")
        if words == "health answers":
            self.port = event["port"]
            self._on_change()
        elif isinstance(words, str) and isinstance(instance, str):
            before = self.of(instance)
            told = self._read(words, before, event)
            if told is not None:
                again = told.state is State.PAIRING and before.logged_out
                self._told[instance] = attrs.evolve(told, logged_out=told.state is State.LOGGED_OUT or again)
                self._on_change()

    def take_counts(self, counts: Mapping[str, int] | None) -> None:
        if counts != self.counts:
            self.counts = counts
            self._on_change()

    def _read(self, words: str, before: Told, event: Mapping[str, Any]) -> Told | None:
        reason = event.get("reason")
        if words in _LET_GO:
            return Told()
        if words == "next try later":
            return Told(State.HELD, f"{before.why}; next try in about {event.get('seconds')} s".lstrip("; "))
        if words == "held since before the start":
            return Told(State.HELD, f"{event.get('because')}; next try in about {event.get('seconds')} s")
        if words in _STATES:
            return Told(_STATES[words], f"{reason or event.get('because') or ''}")
        if event.get("state") in _STATES:  # a warning: its words say more than the state
            return Told(_STATES[event["state"]], words)
        return None
