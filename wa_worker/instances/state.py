"""Where one instance is in the state table: the only door from one state to another.

`apply()` is one step of states.TABLE, made known to everyone who looks: the registry, the metrics, the log and the
worker-proxy. It is synchronous; the I/O that follows from the returned move is the lifecycle's. The pause that a move
begins is drawn here, so that one status says all: why, and until when.
"""

from __future__ import annotations

import math
import time

import attrs
import structlog
import trio

from wa_worker.instances.pauses import Pauses
from wa_worker.instances.registry import Registry
from wa_worker.instances.status import StatusPublisher
from wa_worker.metrics import Metrics
from wa_worker.models import Account, InstanceId, PairingCode, Status, Why
from wa_worker.states import CONDITIONS, PROVEN, RESTRICTED, Event, Move, State, step, why

log = structlog.get_logger(__name__)

_WARNINGS = {
    Event.LOGGED_OUT: "the phone removed this device: pairing anew",
    Event.REPLACED: "another client uses this session: is a second worker running, or an old one not stopped?",
    Event.BANNED: "WhatsApp has banned this account for a while",
    Event.OUTDATED: "WhatsApp refuses this client version: upgrade wa-worker (neonize)",
    Event.REFUSED: "WhatsApp refuses the login",
    Event.PASSKEY: "WhatsApp asks for a passkey, which neonize cannot give: see docs/troubleshooting.md",
    Event.PROXY_FAILED: "the proxy of this instance cannot be used: it is tried again, and nothing else instead",
    Event.STORE_LOST: "another worker has taken this instance: closed, and nobody is told",
    Event.OVERTAKEN: "another client uses this session, which is ours by the lease: opened again at once, this time",
    Event.LOOP_ENDED: "the library stopped in the middle: the messages that it had taken may be lost",
}
"""What the log says of an event that a person should know of."""

_SAID_ELSEWHERE = frozenset({Event.STILL_HELD, Event.CRASHED})
"""Events of which another line of the log says more."""

RESTRICTION = 3600.0
"""Seconds after the last refused message for which an account counts as restricted: one that was refused is tried again
after a quarter of an hour at the most, so by then nothing speaks for it any more."""


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
        self.pauses = Pauses()
        self.away_until = -math.inf
        """When the pause of the last move ends (`trio.current_time()`); in the past if it has none."""
        self.restricted_until = -math.inf
        """Until when the account counts as restricted (`trio.current_time()`)."""
        self.overtaken_at = -math.inf
        """When it was last opened again at once after another login (`trio.current_time()`)."""
        self.account: Account | None = None
        """Whose session it is, as far as is known: the next move tells the proxy."""
        self._pairing: PairingCode | None = None
        self._status: Status | None = None
        self._registry = registry
        self._metrics = metrics
        self._connected = trio.Event()

    def apply(self, event: Event, detail: str = "", *, qr_code: str | None = None, lasts: float | None = None) -> Move:
        """Makes the move that the table has for `event`. Raises IllegalMove if it has none.

        lasts: the seconds that a ban lasts, or that are left of a hold of before the start, if that is known.
        """
        move = step(self.current, event)
        before, self.current = self.current, move.to
        now = trio.current_time()
        if before is State.CONNECTED and move.to is not State.CONNECTED:
            if now - self.entered >= PROVEN:
                self.proven = True
                self.pauses.reset()
            self._connected = trio.Event()
        if move.to is not before or event is Event.QR:
            self.entered = now
        if move.to is State.CONNECTED:
            self._connected.set()
        self._note_restriction(event)
        pause = self.pauses.draw(event, move, lasts, anew=self.proven)
        self.away_until = -math.inf if pause is None else now + pause
        self._registry.set(self.instance, move.to, because=event, detail=detail)
        self._metrics.moved(before, event, move)
        if event is Event.STORE_LOST:
            self._status = None
            self.publisher.fall_silent()
        else:
            self._announce(event, detail, qr_code)
        self._log(before, event, move, detail)
        return move

    @property
    def restricted(self) -> bool:
        """Says whether the instance is connected and its account counts as restricted."""
        return self.current is State.CONNECTED and trio.current_time() < self.restricted_until

    def show_code(self, pairing: PairingCode | None) -> None:
        """Tells the proxy what is to be typed on the phone, beside the QR code; None: nobody asks for a code."""
        self._pairing = pairing
        if self._status is not None:
            self._tell(attrs.evolve(self._status, pairing=pairing))

    def end_unknown(self) -> None:
        """The pause of the last move is over, and still nothing can be tried: nobody knows when."""
        self.away_until = -math.inf
        if self._status is not None:
            self._tell(attrs.evolve(self._status, until=None))

    def started(self) -> None:
        """The session's start has had its turn: the time of the current state counts from now."""
        self.entered = trio.current_time()

    def pause(self, move: Move) -> float:
        """Returns the seconds that are left of the pause that `move`, the last one, has begun."""
        assert move.pause is not None
        return max(self.away_until - trio.current_time(), 0.0)

    async def wait_connected(self) -> None:
        """Returns once the instance is CONNECTED."""
        while not self._connected.is_set():
            await self._connected.wait()

    def _note_restriction(self, event: Event) -> None:
        if event is Event.RESTRICTED:
            self.restricted_until = trio.current_time() + RESTRICTION
        elif event in (Event.UNRESTRICTED, Event.UNPAIRED):
            self.restricted_until = -math.inf

    def _until(self) -> int | None:
        """Returns when the current state ends by itself, in unix seconds, None if that is not known."""
        end = self.restricted_until if self.restricted else self.away_until
        return None if end == -math.inf else math.ceil(time.time() + end - trio.current_time())

    def _announce(self, event: Event, detail: str, qr_code: str | None) -> None:
        reason = RESTRICTED if self.restricted else why(self.current, event, detail)
        status = Status(
            CONDITIONS[self.current].status,
            qr_code,
            reason,
            self._since(reason, event),
            self._until(),
            self.account,
            self._pairing,
        )
        self._tell(status)

    def _tell(self, status: Status) -> None:
        self._status = status
        self._registry.set_reason(self.instance, status.why.reason, status.until)
        self.publisher.announce(status)

    def _since(self, reason: Why, event: Event) -> int:
        """Returns since when this has been the reason: over a restart too, if it is held."""
        if self._status is not None and self._status.why.reason is reason.reason:
            return self._status.since
        now, held = time.time(), self.pauses.held
        if event is Event.STILL_HELD and held is not None and held.written_at is not None:
            now = min(now, held.written_at)
        return int(now)

    def _log(self, before: State, event: Event, move: Move, detail: str) -> None:
        if event in _SAID_ELSEWHERE:
            return
        if event in _WARNINGS:
            log.warning(_WARNINGS[event], instance=self.instance, state=move.to.value, reason=detail or None)
        elif move.to is not before:
            log.info(move.to.value, instance=self.instance, because=event.value, reason=detail or None)
