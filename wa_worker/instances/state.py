"""Where one instance is in the state table: the only door from one state to another.

`apply()` is one step of states.TABLE, made known to everyone who looks: the registry, the metrics, the log and the
worker-proxy. It is synchronous; the I/O that follows from the returned move is the lifecycle's. It also owns what the
table says of pauses: they grow with each use, and start anew after proven success.
"""

from __future__ import annotations

from collections.abc import Iterator

import structlog
import trio

from wa_worker.backoff import Backoff
from wa_worker.instances.registry import Registry
from wa_worker.instances.status import StatusPublisher
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, Status
from wa_worker.states import CONDITIONS, PROVEN, Event, Move, State, step

log = structlog.get_logger(__name__)

_WARNINGS = {
    Event.LOGGED_OUT: "the phone removed this device: pairing anew",
    Event.REPLACED: "another client uses this session: is a second worker running, or an old one not stopped?",
    Event.BANNED: "WhatsApp has banned this account for a while",
    Event.OUTDATED: "WhatsApp refuses this client version: upgrade wa-worker (neonize)",
    Event.REFUSED: "WhatsApp refuses the login",
    Event.LOOP_ENDED: "the library stopped in the middle: the messages that it had taken may be lost",
}
"""What the log says of an event that a person should know of."""

_SAID_ELSEWHERE = frozenset({Event.STILL_HELD, Event.CRASHED})
"""Events of which another line of the log says more."""


class InstanceState:
    """Keeps an instance's state. Trio thread only. It starts as RETRYING: nothing is open, and something will be."""

    def __init__(self, instance: InstanceId, publisher: StatusPublisher, registry: Registry, metrics: Metrics) -> None:
        self.instance = instance
        self.current = State.RETRYING
        self.entered = trio.current_time()
        """When the current state began, or its last QR code was shown (`trio.current_time()`)."""
        self.proven = False
        """Whether the instance was CONNECTED for PROVEN seconds since its last hold."""
        self.publisher = publisher
        self._registry = registry
        self._metrics = metrics
        self._pauses: dict[Backoff, Iterator[float]] = {}
        self._connected = trio.Event()

    def apply(self, event: Event, detail: str = "", *, qr_code: str | None = None) -> Move:
        """Makes the move that the table has for `event`. Raises IllegalMove if it has none."""
        move = step(self.current, event)
        before, self.current = self.current, move.to
        if before is State.CONNECTED and move.to is not State.CONNECTED:
            if trio.current_time() - self.entered >= PROVEN:
                self.proven = True
                self.reset_pauses()
            self._connected = trio.Event()
        if move.to is not before or event is Event.QR:
            self.entered = trio.current_time()
        if move.to is State.CONNECTED:
            self._connected.set()
        self._registry.set(self.instance, move.to, because=event, detail=detail)
        self._metrics.moved(before, event, move)
        self.publisher.announce(Status(CONDITIONS[move.to].status, qr_code))
        self._log(before, event, move, detail)
        return move

    def started(self) -> None:
        """The session's start has had its turn: the time of the current state counts from now."""
        self.entered = trio.current_time()

    def pause(self, move: Move) -> float:
        """Returns the next delay of the move's policy, in seconds."""
        assert move.pause is not None
        return next(self._pauses.setdefault(move.pause, move.pause.delays()))

    def reset_pauses(self) -> None:
        """All pauses start anew."""
        self._pauses.clear()

    async def wait_connected(self) -> None:
        """Returns once the instance is CONNECTED."""
        while not self._connected.is_set():
            await self._connected.wait()

    def _log(self, before: State, event: Event, move: Move, detail: str) -> None:
        if event in _SAID_ELSEWHERE:
            return
        if event in _WARNINGS:
            log.warning(_WARNINGS[event], instance=self.instance, state=move.to.value, reason=detail or None)
        elif move.to is not before:
            log.info(move.to.value, instance=self.instance, because=event.value, reason=detail or None)
