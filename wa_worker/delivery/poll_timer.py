"""How often an instance polls for messages: every so often, or less while nothing happens (`MSG_POLL_MAX_MS`)."""

from __future__ import annotations

import time

import attrs
import trio

from wa_worker.backoff import jittered
from wa_worker.delivery.held_back import HeldBack
from wa_worker.wakeup import Wakeup

PATIENCE = 0.1
"""Share of the silence so far that a new message may wait: after ten minutes, a minute."""


GRID = 0.05
"""Share of the shortest interval to whose multiples polls are rounded: those of several instances then share a
wake-up, which costs a third less (docs/performance.md), and the jitter still spreads them over a score of places."""


def poll_interval(idle: float, shortest: float, longest: float) -> float:
    """Returns the seconds between polls after `idle` seconds without a message. With `longest` not above `shortest` it
    never changes."""
    return max(shortest, min(idle * PATIENCE, longest))


@attrs.define
class Activity:
    """When an instance last received and last sent a message, in unix seconds; None: not since the start."""

    last_in: float | None = None
    last_out: float | None = None
    held: HeldBack | None = attrs.field(default=None, kw_only=True)
    """What PACE holds back of it; None: nothing is paced, or nothing was asked yet."""

    def idle(self) -> float:
        """Returns seconds since the last message, 0 if there was none."""
        latest = max(self.last_in or 0.0, self.last_out or 0.0)
        return max(time.time() - latest, 0.0) if latest else 0.0


class PollTimer:
    """Says when one instance polls next. Made on the Trio thread; `received()` and `sent()` may come from any.

    shortest, longest: seconds between polls while something happens, and while nothing does.
    also: another timer that is to hear of it.
    """

    def __init__(
        self, shortest: float, longest: float, activity: Activity | None = None, *, also: PollTimer | None = None
    ) -> None:
        self._shortest = shortest
        self._also = also
        self._longest = longest
        self._activity = activity or Activity()
        self._active_at = time.monotonic() - self._activity.idle()
        self._slow = False
        self._bell = Wakeup()

    @property
    def shortest(self) -> float:
        """The seconds between polls while something happens."""
        return self._shortest

    def received(self) -> None:
        """A message came in."""
        self._activity.last_in = time.time()
        self.wake()

    def sent(self) -> None:
        """A message went out."""
        self._activity.last_out = time.time()
        self.wake()

    def paced(self, held: HeldBack) -> None:
        """Says where to look at what is held back."""
        self._activity.held = held

    def wake(self) -> None:
        """Something was tried or came in: the next poll comes soon, and those after it."""
        self._active_at = time.monotonic()
        if self._also is not None:
            self._also.wake()
        if self._slow:
            self._bell.ring()

    async def first(self) -> None:
        """Waits for half an interval, more or less: instances that start together spread their polls."""
        await self._sleep(jittered(self._shortest / 2, 1.0))

    async def wait(self) -> None:
        """Waits until it is time to poll."""
        self._bell.arm()
        self._slow = self._longest > self._shortest  # before the clock is read, so that no ring is lost
        interval = poll_interval(time.monotonic() - self._active_at, self._shortest, self._longest)
        if interval > self._shortest:
            with trio.move_on_after(jittered(interval - self._shortest)):
                await self._bell.wait()
        self._slow = False
        await self._sleep(jittered(self._shortest))

    async def _sleep(self, seconds: float) -> None:
        grid = self._shortest * GRID
        await trio.sleep_until(round((trio.current_time() + seconds) / grid) * grid)
