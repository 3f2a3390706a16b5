"""`/queued-messages` to WhatsApp, for one connected instance at a time (P1, P2).

Polls of an instance never overlap, and its sends run one after another: a batch is one thread hop (batch.py).
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Protocol

import structlog
import trio

from wa_worker.backoff import PROXY_OUTAGE
from wa_worker.delivery.batch import DEFAULT_POLICY, BatchResult, SendBatch, Sender, SendPolicy, SendRecord
from wa_worker.delivery.marks import MarkReporter
from wa_worker.delivery.pacing import Pacing
from wa_worker.delivery.poll_timer import PollTimer
from wa_worker.delivery.polled import Listed, PolledMessages
from wa_worker.delivery.preparing import Preparer, Preparing
from wa_worker.delivery.uncertain import Line, UncertainSends
from wa_worker.edge.client import EdgeClient
from wa_worker.edge.wire import Rows
from wa_worker.errors import EdgeError, JournalError
from wa_worker.journal import Journal, Settled
from wa_worker.messages import QueuedMessage
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId
from wa_worker.wakeup import Wakeup

log = structlog.get_logger(__name__)

SHUTDOWN_GRACE = 3.0
"""Seconds for a send under way when the worker stops or the instance goes; then its thread finishes alone."""

RECOVERY_SPREAD = 1.5
"""Seconds over which the instances spread their polls when the proxy is back."""

MARKS_GRACE = 5.0
"""Seconds to wait for a batch's marks before the next poll: the proxy would only list the same messages again."""


class Session(Sender, Line, Preparer, Protocol):
    """Says what a session does here."""


class MessageSender:
    """Sends what the proxy has queued. One per process.

    threads: a nursery that outlives the instances; the tasks of the batches' threads live there.
    preparing: what holds the messages that take time before they are sent.
    """

    def __init__(
        self,
        edge: EdgeClient,
        journal: Journal,
        marks: MarkReporter,
        metrics: Metrics,
        threads: trio.Nursery,
        preparing: Preparing,
        policy: SendPolicy = DEFAULT_POLICY,
    ) -> None:
        self._edge = edge
        self.polled = PolledMessages()
        """Where what `/poll` lists for the instances goes."""
        self._marks = marks
        self._threads = threads
        self._metrics = metrics
        self._preparing = preparing
        self.restored = journal.restored
        """What says whether the ledger came from a backup."""
        self.polled.on_nothing.append(self._nothing_polled)
        self._record = SendRecord(journal.ledger, preparing, self._settled, marks.wakeup.ring, policy, journal.restored)
        self.pacing = Pacing(policy.pace, journal.contacts, edge, metrics)
        self.uncertain = UncertainSends(journal.doubts, metrics.sent, marks.wakeup.ring, resend=policy.resend_uncertain)

    async def run(
        self, instance: InstanceId, session: Session, timer: PollTimer, connected: Callable[[], Awaitable[None]]
    ) -> None:
        """Polls and sends until cancelled, and follows what is uncertain; `connected()` returns once the instance is.

        Cancelled in the middle of a send: gives it SHUTDOWN_GRACE seconds, then leaves it to its thread.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.uncertain.run, instance, session, timer.wake)
            if (paced := self.pacing.of(instance)) is not None:
                timer.paced(paced.held)
                nursery.start_soon(self.pacing.tell, paced)
            await self._poll(instance, session, timer, connected, nursery)

    async def _poll(
        self,
        instance: InstanceId,
        session: Session,
        timer: PollTimer,
        connected: Callable[[], Awaitable[None]],
        nursery: trio.Nursery,
    ) -> None:
        ready = Wakeup()
        if not self._edge.version.two:
            await timer.first()
        try:
            while True:
                listed = await self._listed(instance, timer, connected)
                ready.arm()
                result = await self._send(instance, session, listed.rows, listed.at)
                for row, chat in result.unprepared:
                    if self._preparing.begin(instance, row):
                        nursery.start_soon(self._preparing.run, instance, session, row, chat, ready.ring)
                if result.tried or result.unprepared:
                    timer.wake()
                if result.sent:
                    timer.sent()
                    with trio.move_on_after(MARKS_GRACE):
                        # not older ones, which the proxy may refuse for ever
                        await self._marks.settled(instance, listed.at)
                elif result.unprepared or result.held is not None:
                    ready_again = [ready.wait] if result.unprepared else []
                    held = [] if result.held is None else [partial(trio.sleep, result.held)]
                    await _first_of(*ready_again, *held, timer.wait)
                else:
                    await timer.wait()
        finally:
            self.polled.leave(instance)

    async def _listed(self, instance: InstanceId, timer: PollTimer, connected: Callable[[], Awaitable[None]]) -> Listed:
        """Returns the next messages listed for an instance. In version 2 of the contract it waits until there are some;
        in version 1 it asks, and there may be none."""
        pauses: Iterator[float] | None = None
        while True:
            await connected()
            if self._edge.version.two:
                listed = await self.polled.take(instance)
                if listed is not None:
                    return listed
                await timer.first()  # not all in one instant
                continue
            began = time.time()
            try:
                return Listed(await self._edge.queued_messages(instance), began)
            except EdgeError as error:
                log.warning(
                    "queued messages not listed",
                    instance=instance,
                    endpoint=error.endpoint,
                    reason=error.detail,
                    **error.traced,
                )
                pauses = pauses or PROXY_OUTAGE.delays(trio.current_time)
                await self._rest(next(pauses), error.retry_after or 0.0)

    async def _rest(self, pause: float, asked: float) -> None:
        """Waits for `pause` seconds, or until the proxy is back, but for as long as it has `asked` in any case."""
        await trio.sleep(asked)
        with trio.move_on_after(max(pause - asked, 0.0)) as rest:
            await self._edge.evidence.recovery()
        if not rest.cancelled_caught:
            await trio.sleep(random.uniform(0, RECOVERY_SPREAD))  # noqa: S311 - not all in one instant

    def _settled(self, instance: InstanceId, outcome: Settled) -> None:
        self._metrics.sent(outcome)
        self.uncertain.settled(instance, outcome)

    async def _send(
        self, instance: InstanceId, session: Sender, rows: Rows[QueuedMessage], listed_at: float
    ) -> BatchResult:
        pace = self.pacing.of(instance)
        if rows.good or rows.bad:
            try:
                return await self._on_thread(SendBatch(instance, session, self._record, rows, listed_at, pace))
            except JournalError as error:
                log.error("nothing is sent while the journal cannot commit", instance=instance, reason=str(error))
        else:
            await self._nothing_listed(instance)
        return BatchResult(0, 0)

    def _nothing_polled(self, instances: Iterable[InstanceId]) -> None:
        for instance in instances:
            if self.restored.wants_nothing(instance):
                self._threads.start_soon(self._nothing_listed, instance)

    async def _nothing_listed(self, instance: InstanceId) -> None:
        """Takes note that the proxy lists nothing. That is news only after a restore, and proves little even then."""
        if self.restored.wants_nothing(instance):
            try:
                await trio.to_thread.run_sync(self.restored.nothing_listed, instance)
            except JournalError as problem:
                log.error("the end of a restore cannot be written", instance=instance, reason=str(problem))

    async def _on_thread(self, batch: SendBatch) -> BatchResult:
        """Runs the batch on a thread whose task lives in `threads`. On cancel it stops after the send under way, which
        gets SHUTDOWN_GRACE seconds. Raises what the batch raised."""
        finished = trio.Event()
        result: BatchResult | Exception = BatchResult(0, 0)

        async def run() -> None:
            nonlocal result
            try:
                result = await trio.to_thread.run_sync(
                    batch.run, limiter=trio.CapacityLimiter(1), abandon_on_cancel=True
                )
            except Exception as error:  # noqa: BLE001 - goes on to who waits: this nursery is everybody's
                result = error
            finally:
                finished.set()

        self._threads.start_soon(run)
        try:
            await finished.wait()
        except trio.Cancelled:
            batch.stop = True
            with trio.move_on_after(SHUTDOWN_GRACE, shield=True):
                await finished.wait()
            raise
        if isinstance(result, Exception):
            raise result
        return result


async def _first_of(*waits: Callable[[], Awaitable[None]]) -> None:
    """Returns when one of these does."""
    async with trio.open_nursery() as nursery:

        async def wait(for_it: Callable[[], Awaitable[None]]) -> None:
            await for_it()
            nursery.cancel_scope.cancel()

        for each in waits:
            nursery.start_soon(wait, each)
