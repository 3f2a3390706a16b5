"""Tells the proxy events: as calls of `/events`, many in one, or one by one with the calls of version 1.

A call of `/events` is never waited for: what is there goes, and what comes meanwhile is the next one. Who tells
something makes the call himself, for all who wait at that moment, so nothing runs while there is nothing to tell.

Marks alone are a call MARKS_APART after the last one, not sooner: an instance sends one message after another, and each
would be a call by itself. Nobody waits for them but the next poll.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import attrs
import trio

from wa_worker.edge.events import FAILED, SENT, Event, Outcome
from wa_worker.edge.version import ContractVersion
from wa_worker.errors import EdgeError, EdgeUnavailable, NoSuchVersion

MOST_EVENTS = 100
"""Events in one call (docs/contract.md)."""

MOST_BYTES = 1024 * 1024
"""Bytes of JSON in one call, unless a single event is larger (docs/contract.md)."""

SINGLE_AT_ONCE = 16
"""Calls of version 1 under way for a batch that the proxy had no call for."""

MARKS_APART = 0.05
"""Seconds between the beginnings of calls that hold nothing but marks. Some twenty messages are sent in this time."""

WITHDRAWAL = 1.0
"""Seconds for which the end of a call is waited for by who is cancelled while it is under way."""


class Calls(Protocol):
    """Says what of the client is used here."""

    async def post_event(self, event: Event) -> int: ...
    async def post_events(self, events: Sequence[Event], parts: Sequence[bytes]) -> list[Outcome]: ...


@attrs.define(eq=False)
class _Entry:
    """What one task tells: events that must keep their order. `outcomes` None: not yet."""

    events: Sequence[Event]
    parts: list[bytes]
    alone: bool
    size: int
    patient: bool
    """Whether it goes with another call that comes soon, if there is one: see MARKS_APART."""
    outcomes: list[Outcome] | None = None
    under_way: bool = False


class EventPoster:
    """One per client. Trio thread only.

    at_once: calls of `/events` under way. marks_apart: see MARKS_APART, seconds.
    """

    def __init__(
        self, calls: Calls, version: ContractVersion, at_once: int, *, marks_apart: float = MARKS_APART
    ) -> None:
        self._calls = calls
        self._version = version
        self._at_once = at_once
        self._under_way = 0
        self._marks_apart = marks_apart
        self._timed = False
        """Whether one of those that wait for MARKS_APART has the timer, for all of them."""
        self._last_began = -math.inf
        self._waiting: deque[_Entry] = deque()
        self._progress = trio.lowlevel.ParkingLot()

    @property
    def batches(self) -> bool:
        """Says whether several events go in one call now."""
        return self._version.events

    async def tell(self, event: Event, *, alone: bool = False) -> None:
        """Tells one event. Raises EdgeUnavailable or EdgeRejected. See post()."""
        (outcome,) = await self.post([event], alone=alone)
        if outcome.error is not None:
            raise outcome.error

    async def post(self, events: Sequence[Event], *, alone: bool = False) -> list[Outcome]:
        """Tells events in their order, and returns what became of the first ones: of one at least.

        alone: no other event is in the call. For what has failed while others succeeded: it may be why.
        Cancelled: what is under way may have been told.
        """
        if self._version.events:
            return await self._post_in_batch(events, alone)
        return [await self._post_one(events[0])]

    async def _post_one(self, event: Event) -> Outcome:
        try:
            return Outcome(answer=await self._calls.post_event(event))
        except EdgeError as error:
            return Outcome(error)

    async def _post_in_batch(self, events: Sequence[Event], alone: bool) -> list[Outcome]:
        entry = await _entry(events, alone)
        self._waiting.append(entry)
        await trio.lowlevel.checkpoint()  # others who have something to tell in this moment add theirs
        try:
            while entry.outcomes is None:
                if entry.under_way or self._under_way >= self._at_once:
                    await self._progress.park()
                elif entry.patient and self._marks_at > trio.current_time():
                    await self._until_marks_may_go()
                else:
                    await self._call(self._next_batch())
        except trio.Cancelled:
            await self._withdraw(entry)
            raise
        return entry.outcomes

    @property
    def _marks_at(self) -> float:
        """When a call may begin that holds nothing but marks: at once if they are enough for a whole one."""
        return self._last_began + self._marks_apart if len(self._waiting) < MOST_EVENTS else -math.inf

    async def _until_marks_may_go(self) -> None:
        """Returns when it is time, or something has changed."""
        if self._timed:
            await self._progress.park()
            return
        self._timed = True
        try:
            with trio.move_on_at(self._marks_at):
                await self._progress.park()
        except trio.Cancelled:
            self._progress.unpark_all()  # one of them takes the timer over
            raise
        finally:
            self._timed = False

    async def _withdraw(self, entry: _Entry) -> None:
        """Takes back what nobody waits for. A call under way that has it is waited for: what is told next about the
        same must not overtake it."""
        with trio.move_on_after(WITHDRAWAL, shield=True):
            while entry.under_way:
                await self._progress.park()
        with suppress(ValueError):
            self._waiting.remove(entry)

    def _next_batch(self) -> list[_Entry]:
        batch = [self._waiting.popleft()]
        count, size = len(batch[0].events), batch[0].size
        while self._waiting and not batch[0].alone and not self._waiting[0].alone:
            count, size = count + len(self._waiting[0].events), size + self._waiting[0].size
            if count > MOST_EVENTS or size > MOST_BYTES:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _call(self, batch: list[_Entry]) -> None:
        """Makes a call for these. Cancelled: those of other tasks are told by one of them."""
        self._under_way += 1
        self._last_began = trio.current_time()
        for entry in batch:
            entry.under_way = True
        try:
            outcomes = await self._outcomes(batch)
            for entry in batch:
                entry.outcomes = [outcomes.popleft() for _ in entry.events]
        finally:
            self._under_way -= 1
            for entry in reversed(batch):
                entry.under_way = False
                if entry.outcomes is None:
                    self._waiting.appendleft(entry)
            self._progress.unpark_all()

    async def _outcomes(self, batch: list[_Entry]) -> deque[Outcome]:
        events = [event for entry in batch for event in entry.events]
        try:
            return deque(await self._calls.post_events(events, [part for entry in batch for part in entry.parts]))
        except NoSuchVersion:
            self._version.no_events()
            return await self._one_by_one(batch)
        except EdgeError as error:
            if len(events) > 1 and not isinstance(error, EdgeUnavailable):  # said of the call, and of none of them
                error = EdgeUnavailable(error.endpoint, error.detail, error.status, error.retry_after)
            return deque([Outcome(error)] * len(events))

    async def _one_by_one(self, batch: list[_Entry]) -> deque[Outcome]:
        """Tells with the calls of version 1 what was meant for a batch."""
        each: list[list[Outcome]] = [[] for _ in batch]
        places = trio.CapacityLimiter(SINGLE_AT_ONCE)

        async def tell(entry: _Entry, outcomes: list[Outcome]) -> None:
            async with places:
                outcome = Outcome()
                for event in entry.events:
                    if outcome.error is None:  # else the rest stays behind it
                        outcome = await self._post_one(event)
                    outcomes.append(outcome)

        async with trio.open_nursery() as nursery:
            for entry, outcomes in zip(batch, each, strict=True):
                nursery.start_soon(tell, entry, outcomes)
        return deque(outcome for outcomes in each for outcome in outcomes)


async def _entry(events: Sequence[Event], alone: bool) -> _Entry:
    """Takes as many of the events as a call may hold."""
    parts: list[bytes] = []
    size = 0
    for event in events[:MOST_EVENTS]:
        part = await event.in_a_batch()
        if parts and size + len(part) > MOST_BYTES:
            break
        parts.append(part)
        size += len(part)
    patient = not alone and all(event.endpoint in (SENT, FAILED) for event in events)
    return _Entry(events[: len(parts)], parts, alone, size, patient)
