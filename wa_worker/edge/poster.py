"""Tells the proxy events: as calls of `/events`, many in one, or one by one with the calls of version 1.

A call of `/events` is never waited for: what is there goes, and what comes meanwhile is the next one. Of those
who tell something the first makes the call for all who wait at that moment, so nothing runs while there is nothing to
tell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import attrs
import trio

from wa_worker.edge.events import STATUS, Event, Outcome
from wa_worker.edge.version import ContractVersion
from wa_worker.errors import EdgeError, EdgeUnavailable, NoSuchVersion

MOST_EVENTS = 100
"""Events in one call (docs/contract.md)."""

MOST_BYTES = 1024 * 1024
"""Bytes of JSON in one call, unless a single event is larger (docs/contract.md)."""

SINGLE_AT_ONCE = 32
"""Calls of version 1 under way, those for statuses aside: as many as the queues of version 1 make. Right after a proxy
has gone back to it there are hundreds of chats at work."""

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
    outcomes: list[Outcome] | None = None
    under_way: bool = False
    given_up: bool = False
    """Nobody waits for it any more: it is not told again."""
    woken: trio.Event = attrs.field(factory=trio.Event)


class EventPoster:
    """One per client. Trio thread only.

    at_once: calls of `/events` under way.
    """

    def __init__(self, calls: Calls, version: ContractVersion, at_once: int) -> None:
        self._calls = calls
        self._version = version
        self._at_once = at_once
        self._under_way = 0
        self._waiting: deque[_Entry] = deque()
        """The task of the first one makes the next call, which then has it."""
        self._single = trio.CapacityLimiter(SINGLE_AT_ONCE)

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
        if event.endpoint == STATUS:
            return await self._outcome(event)
        async with self._single:
            return await self._outcome(event)

    async def _outcome(self, event: Event) -> Outcome:
        try:
            return Outcome(answer=await self._calls.post_event(event))
        except EdgeError as error:
            return Outcome(error)

    async def _post_in_batch(self, events: Sequence[Event], alone: bool) -> list[Outcome]:
        entry = await _entry(events, alone)
        self._waiting.append(entry)
        try:
            await trio.lowlevel.checkpoint()  # others who have something to tell in this moment add theirs
            while entry.outcomes is None:
                if self._may_call(entry):
                    await self._call(self._next_batch())
                else:
                    await _woken(entry)
        finally:
            if entry.outcomes is None:
                # what is told next about the same must not overtake a call that has it
                with trio.move_on_after(WITHDRAWAL, shield=True):
                    while entry.under_way:
                        await _woken(entry)
                self._withdraw(entry)
        return entry.outcomes

    def _may_call(self, entry: _Entry) -> bool:
        return bool(self._waiting) and self._waiting[0] is entry and self._under_way < self._at_once

    def _wake_next(self) -> None:
        """Lets the first who waits make a call, if one more may be under way."""
        if self._waiting and self._may_call(self._waiting[0]):
            self._waiting[0].woken.set()

    def _withdraw(self, entry: _Entry) -> None:
        """Takes back what nobody waits for any more."""
        entry.given_up = True
        with suppress(ValueError):
            self._waiting.remove(entry)
        self._wake_next()

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
        for entry in batch:
            entry.under_way = True
        self._wake_next()
        try:
            outcomes = await self._outcomes(batch)
            for entry in batch:
                entry.outcomes = [outcomes.popleft() for _ in entry.events]
        finally:
            self._under_way -= 1
            for entry in reversed(batch):
                entry.under_way = False
                if entry.outcomes is None and not entry.given_up:
                    self._waiting.appendleft(entry)
                entry.woken.set()
            self._wake_next()

    async def _outcomes(self, batch: list[_Entry]) -> deque[Outcome]:
        events = [event for entry in batch for event in entry.events]
        if not self._version.events:  # the call before this one has shown it
            return await self._one_by_one(batch)
        try:
            return deque(await self._calls.post_events(events, [part for entry in batch for part in entry.parts]))
        except NoSuchVersion:
            self._version.no_events()
            return await self._one_by_one(batch)
        except EdgeError as error:
            if len(events) > 1 and not isinstance(error, EdgeUnavailable):  # said of the call, and of none of them
                error = EdgeUnavailable(error.endpoint, error.detail, error.status, error.retry_after, error.trace)
            return deque([Outcome(error)] * len(events))

    async def _one_by_one(self, batch: list[_Entry]) -> deque[Outcome]:
        """Tells with the calls of version 1 what was meant for a batch."""
        each: list[list[Outcome]] = [[] for _ in batch]

        async def tell(entry: _Entry, outcomes: list[Outcome]) -> None:
            outcome = Outcome()
            for event in entry.events:
                if outcome.error is None:  # else the rest stays behind it
                    outcome = await self._post_one(event)
                outcomes.append(outcome)

        async with trio.open_nursery() as nursery:
            for entry, outcomes in zip(batch, each, strict=True):
                nursery.start_soon(tell, entry, outcomes)
        return deque(outcome for outcomes in each for outcome in outcomes)


async def _woken(entry: _Entry) -> None:
    """Waits until something has happened to an entry, or it is its task's turn."""
    entry.woken = trio.Event()
    await entry.woken.wait()


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
    return _Entry(events[: len(parts)], parts, alone, size)
