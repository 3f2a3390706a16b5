"""Asks the worker-proxy what there is to do, for ever: `/poll` for everything, or in version 1 the list of instances.

The answers go to discovery.py and, in version 2, to the instances' senders. A failed poll changes nothing.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

import structlog
import trio

from wa_worker.backoff import PROXY_OUTAGE, jittered
from wa_worker.delivery.poll_timer import PollTimer
from wa_worker.delivery.polled import PolledMessages
from wa_worker.edge.client import EdgeClient
from wa_worker.edge.wire import InstanceRows, Polled
from wa_worker.errors import EdgeError, NoSuchVersion
from wa_worker.instances.discovery import Discovery, Fleet, Running
from wa_worker.models import InstanceId, ProxyStatus, Shard

log = structlog.get_logger(__name__)

WAIT = 20
"""Seconds for which the proxy may hold an answer. Hosts of functions end one that says nothing for longer."""

CUT_AFTER = 1.0
"""Seconds for which an answer may be held at the least, whatever happens here meanwhile: a call that is cut costs a
connection, and of many instances that connect at the same time each would cut one."""

CUTS = 2
"""Polls in a row that are cut before one is to be answered at once, and is not cut: a proxy that takes longer than
CUT_AFTER for each would never be heard while instances connect one after another."""

MARKS_WAIT = 1.0
"""Seconds for those who were given messages. Usually they are sent and marked by then, and the next poll asks for
everybody. Else it asks for the others, and is cut when they are done."""

GO_BACK_AFTER = 30.0
"""Seconds without an answer after which version 1 is asked, too: a proxy may have gone back to it."""

ELSEWHERE = "ELSEWHERE"
"""The state of an instance that the proxy listed last and that does not run here, where other workers have some: it is
no reason to answer. Any proxy of version 2 takes it for a word of later."""

SENDING = "SENDING"
"""The state of an instance that is connected and at work on what it was given: nothing is to be listed for it."""


class Polling:
    """Polls. One per process; `run()` once.

    interval: seconds between lists of instances in version 1.
    pace: when the next poll comes, in version 2, at a proxy that holds no answer.
    shard: what of all that is listed is for this worker, whatever the proxy makes of it; None: all of it.
    peers: others than this worker run instances of what is for it, and the fleet knows which to start.
    """

    def __init__(
        self,
        edge: EdgeClient,
        fleet: Fleet,
        polled: PolledMessages,
        *,
        interval: float,
        pace: PollTimer,
        shard: Shard | None = None,
        peers: bool = False,
    ) -> None:
        self._edge = edge
        self._fleet = fleet
        self._polled = polled
        self._interval = interval
        self._pace = pace
        self._shard = shard
        self._peers = peers
        self._others_told = False
        self._discovery = Discovery(fleet)
        self._worker = secrets.token_hex(8)
        self._outage_since: float | None = None
        self._last_answer = trio.current_time()
        self._hurried = False
        self._held: trio.CancelScope | None = None
        """Of the poll whose answer the proxy may hold."""
        self._held_since = 0.0
        self._cuts = 0
        """Polls in a row that were cut."""
        self._asked_for: frozenset[InstanceId] = frozenset()
        polled.on_ready.append(self._cut_for)
        fleet.on_connected.append(self._cut_for)
        fleet.on_end.append(self.cut)
        edge.version.on_change.append(self._version_changed)
        edge.evidence.on_wanted.append(self.hurry)

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            two_unanswered = False
            if self._edge.version.try_two:
                try:
                    await self._poll_two()
                    continue
                except NoSuchVersion as error:
                    log.debug("the proxy has no /poll", reason=error.detail, **error.traced)
                    self._edge.version.is_one()
                except EdgeError as error:
                    if self._edge.version.two and self._outage() < GO_BACK_AFTER:
                        await self._failed(error)
                        continue
                    # some proxies of version 1 answer so what they do not know
                    log.debug("/poll was not answered", reason=error.detail, **error.traced)
                    await trio.sleep(error.retry_after or 0.0)
                    two_unanswered = True
            await self._poll_one(two_unanswered)

    def hurry(self) -> None:
        """Has the next poll made soon, and answered at once."""
        self._hurried = True
        self.cut()

    def cut(self) -> None:
        """Ends a poll that the proxy holds, or the pause before the next one, soon: there is something new to ask."""
        if self._held is not None:
            self._held.deadline = max(self._held_since + CUT_AFTER, trio.current_time())

    def _cut_for(self, instance: InstanceId) -> None:
        if instance not in self._asked_for:
            self.cut()

    def _version_changed(self) -> None:
        if not self._edge.version.two:
            self._polled.end()

    async def _poll_one(self, two_unanswered: bool) -> None:
        """Lists the instances as version 1 does."""
        running = self._fleet.running()
        try:
            rows = await self._edge.disconnected_instances()
        except EdgeError as error:
            await self._failed(error)
            return
        back = self._answered()
        if two_unanswered:
            self._edge.version.says_nothing()
        await self._listed(rows, running)
        if not back or two_unanswered:  # else version 2 is tried at once
            await trio.sleep(jittered(self._interval, 0.1))

    async def _listed(self, rows: InstanceRows, running: Mapping[InstanceId, Running]) -> bool:
        """Acts on a list. True if there was an instance to start."""
        if self._shard is not None:
            rows = self._own(rows, self._shard)
        await self._fleet.go_out_by(rows)
        started = self._discovery.listed(rows, running)
        self._fleet.pair_by_code(rows)
        return started

    def _own(self, rows: InstanceRows, shard: Shard) -> InstanceRows:
        """Leaves out what is for other workers: it must leave no trace here, not even a folder."""
        own = rows.of(shard)
        others = len(rows.good) - len(own.good)
        if others and not self._others_told:
            self._others_told = True
            log.debug("instances of other shards are listed, and left to their workers", instances=others)
        return own

    async def _poll_two(self) -> None:
        """Polls as version 2 does. Raises EdgeError."""
        running = self._fleet.running()
        ready = self._ready(running)
        asked = dict.fromkeys(self._discovery.refused, ProxyStatus.DISCONNECTED.value)  # else no answer is held
        if self._peers:
            asked |= dict.fromkeys(self._discovery.elsewhere, ELSEWHERE)
        asked |= {instance: _state(now, ready=instance in ready) for instance, now in running.items()}
        held = self._edge.version.two and self._outage_since is None and self._cuts < CUTS and not self._hurried
        wait = WAIT if held else 0
        self._hurried = False
        began, began_at = trio.current_time(), time.time()
        polled = None
        with self._until_cut(ready) if wait else nullcontext():
            polled = await self._edge.poll(self._worker, asked, wait, self._shard, peers=self._peers)
        if polled is None:
            self._cuts += 1
            return
        self._cuts = 0
        self._answered()
        self._edge.version.is_two()
        started = await self._listed(polled.instances, running)
        given = self._hand_out(polled, began_at)
        self._polled.nothing_for(ready - polled.messages.keys())
        if given:
            with trio.move_on_after(MARKS_WAIT):
                await self._polled.done(given)
        elif wait and not started and trio.current_time() - began < self._pace.shortest:
            # the proxy holds no answers, or lists what is not wanted here: of another shard, say
            await self._wait_for_pace(ready)

    async def _wait_for_pace(self, asked_for: frozenset[InstanceId]) -> None:
        """Waits until the next poll is due, or there is something new to ask: it may have come before the answer."""
        if self._hurried or self._ready(self._fleet.running()) - asked_for:
            return
        with self._until_cut(asked_for):
            await self._pace.wait()

    def _ready(self, running: Mapping[InstanceId, Running]) -> frozenset[InstanceId]:
        """Names the instances that wait for messages and are connected."""
        return self._polled.ready & {instance for instance, now in running.items() if now.connected}

    @contextmanager
    def _until_cut(self, asked_for: frozenset[InstanceId]) -> Iterator[None]:
        """Ends the block when there is something new to ask: for instances that were not `asked_for`, or fewer."""
        self._asked_for = asked_for
        self._held_since = trio.current_time()
        scope = self._held = trio.CancelScope()
        try:
            with scope:
                yield
        finally:
            self._held = None

    def _hand_out(self, polled: Polled, at: float) -> frozenset[InstanceId]:
        """Gives messages to their instances, and returns which of them took theirs. `at`: when the poll began."""
        for bad in polled.stray:
            log.warning("a queued row is not a message", reason=bad.reason)
        given = self._polled.give(polled.messages, at)
        if given:
            self._pace.wake()
        return given

    async def _failed(self, error: EdgeError) -> None:
        log.warning("instances not listed", endpoint=error.endpoint, reason=error.detail, **error.traced)
        if self._outage_since is None:
            self._outage_since = trio.current_time()
        await trio.sleep(max(error.retry_after or 0.0, min(PROXY_OUTAGE.pause(self._outage()), self._interval)))

    def _outage(self) -> float:
        """Says for how many seconds the proxy has not answered."""
        return trio.current_time() - self._outage_since if self._outage_since is not None else 0.0

    def _answered(self) -> bool:
        """Notes a good answer. True if it is the first one after an outage."""
        back = self._outage_since is not None
        if back:
            self._outage_since = None
            self._edge.version.proxy_is_back()
            self._fleet.proxy_is_back(self._last_answer)
        self._last_answer = trio.current_time()
        return back


def _state(now: Running, *, ready: bool) -> str:
    if ready:
        return ProxyStatus.CONNECTED.value
    return SENDING if now.connected else now.status.value
