"""The status publisher of one instance: a slot, not a queue (P5).

The latest status wins; one that was overtaken while the proxy was away, such as an old QR code, is never posted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import structlog
import trio

from wa_worker.backoff import PROXY_OUTAGE
from wa_worker.edge.answers import UNKNOWN
from wa_worker.edge.client import EdgeClient
from wa_worker.edge.events import STATUS, Event, status_event
from wa_worker.edge.evidence import LIST
from wa_worker.errors import EdgeError, EdgeForeign
from wa_worker.models import InstanceId, NextStep, ProxyStatus, Reason, Status, Why
from wa_worker.wakeup import Wakeup

log = structlog.get_logger(__name__)

HEARTBEAT = 600.0
"""Seconds after which an unchanged status is posted again: an instance that was deleted at the proxy while connected is
noticed by the 404, and a status that was lost there comes back."""

SETTLING = 1.0
"""Seconds in which a status that differs from the posted one in its reason alone is waited with: while a session is
tried again and again, its reasons change several times a second, and each post is a call that is billed."""

PARTINGS = {
    Reason.WORKER_STOPPING: Why(Reason.WORKER_STOPPING, NextStep.WAIT),
    Reason.RELEASED: Why(Reason.RELEASED, None),
}
"""What is said of an instance last: by a worker that stops, and of one that was let go of."""

GONE_AFTER = 3
"""Answers that it is unknown before an instance counts as gone, each followed by a list of instances that the proxy
answered well."""


class InstanceGone(Exception):
    """The proxy does not know this instance. Do: let go of it, keep its data."""


class StatusPublisher:
    """Posts one instance's status.

    heartbeat: seconds after which an unchanged one is posted again.
    ask_others: asks another instance to post its status again, as a witness that the proxy takes any; False if there is
    no other.
    """

    def __init__(
        self,
        instance: InstanceId,
        edge: EdgeClient,
        *,
        heartbeat: float = HEARTBEAT,
        ask_others: Callable[[InstanceId], bool] = lambda _instance: False,
    ) -> None:
        self._instance = instance
        self._edge = edge
        self._heartbeat = heartbeat
        self._ask_others = ask_others
        self._wanted: Status | None = None
        self._posted: Status | None = None
        self._posted_at = 0.0
        self._changed = Wakeup()
        self._acknowledged = Wakeup()
        self._unknown: list[float] = []
        self._failed = False
        """Whether the last try failed, and no outage has ended since."""
        self.silent = False
        """Whether another worker speaks of the instance by now."""
        self.changes = 0
        """How often the status to post has become another one."""
        self.may_have_heard: set[ProxyStatus] = set()
        """What the proxy may take for the status: the one it acknowledged last, and those it was told since."""

    @property
    def status(self) -> ProxyStatus:
        """What the proxy is told of the instance."""
        return self._wanted.status if self._wanted is not None else ProxyStatus.DISCONNECTED

    @property
    def qr_code(self) -> str | None:
        """The QR code that is to be shown now, as a PNG data URL."""
        return self._wanted.qr_code if self._wanted is not None else None

    @property
    def unknown(self) -> bool:
        """Says whether the proxy has last answered that it does not know the instance."""
        return bool(self._unknown)

    @property
    def settled(self) -> bool:
        """Says whether the proxy has acknowledged the current status; its reason may be on its way."""
        return self._wanted is not None and self._wanted.shows_as(self._posted)

    def announce(self, status: Status) -> None:
        """Makes `status` the one to post. Sync: it only fills the slot."""
        self.silent = False
        if status != self._wanted:
            self.changes += status.status is not self.status
            self._wanted = status
            self._changed.ring()

    def fall_silent(self) -> None:
        """Says no more of the instance, until the next `announce()`: another worker does. What was not posted yet never
        is, but for a call under way."""
        self.silent, self._wanted = True, None
        self._changed.ring()

    def parting(self, reason: Reason) -> Status:
        """Returns what to say of the instance last: one of PARTINGS, from now on."""
        account = self._wanted.account if self._wanted is not None else None
        return Status(ProxyStatus.DISCONNECTED, why=PARTINGS[reason], since=int(time.time()), account=account)

    def try_again(self, *, doubt_since: float) -> None:
        """Posts what waits without a further pause, for the proxy is back from an outage.

        doubt_since: what was acknowledged after it (`trio.current_time()`) is posted again. It may have been taken by
        what stood in the proxy's place.
        """
        if self._posted is not None and self._posted_at > doubt_since:
            self._posted = None
        self._failed = False
        self._changed.ring()

    def announce_again(self) -> None:
        """The proxy seems to have lost the status: post it once more."""
        if self.settled:
            self._posted = None
            self._changed.ring()

    async def wait_settled(self) -> None:
        """Returns once the proxy has acknowledged the current status."""
        while not self.settled:
            self._acknowledged.arm()
            await self._acknowledged.wait()

    async def run(self) -> None:
        """Posts until cancelled; a status whose call was under way then is posted by the next run.

        Raises InstanceGone when the proxy says again and again that it does not know the instance, while it lists
        instances well and takes the statuses of others.
        """
        pauses: Iterator[float] | None = None
        event: Event | None = None
        told: Status | None = None
        while True:
            self._changed.arm()
            status = self._wanted
            if status is None or status == self._posted:
                with trio.move_on_at(self._next_heartbeat()) as quiet:
                    await self._changed.wait()
                if quiet.cancelled_caught:
                    self._posted = None
                continue
            if status.shows_as(self._posted):
                status = await self._settled_reason()
                if status == self._posted:
                    continue
            self._posted = None  # a call that fails or is cancelled may have been carried out all the same
            self.may_have_heard.add(status.status)
            if event is None or told != status:
                event, told = status_event(self._instance, status), status  # the same id in each try
            try:
                await self._edge.poster.tell(event, alone=self._failed and not self._edge.evidence.fails(LIST))
            except EdgeError as error:
                if error.status == UNKNOWN and not isinstance(error, EdgeForeign) and self._is_gone():
                    raise InstanceGone(str(error)) from error
                log.warning("status not announced", instance=self._instance, reason=str(error), **error.traced)
                self._failed = True
                pauses = pauses or PROXY_OUTAGE.delays(trio.current_time)
                await trio.sleep(error.retry_after or 0)
                with trio.move_on_after(next(pauses)):
                    await self._changed.wait()
            else:
                self._posted, self._posted_at, event = status, trio.current_time(), None
                self.may_have_heard = {status.status}
                self._acknowledged.ring()
                self._unknown.clear()
                pauses, self._failed = None, False

    def _next_heartbeat(self) -> float:
        """Says when an unchanged status is posted again: if many go in one call, at the same time as all others."""
        now = trio.current_time()
        if not self._edge.poster.batches:
            return now + self._heartbeat
        return (now // self._heartbeat + 1) * self._heartbeat

    async def _settled_reason(self) -> Status:
        """Returns the status to post after a moment in which its reason may change; sooner if more than that does."""
        assert self._wanted is not None
        with trio.move_on_after(SETTLING):
            while True:
                self._changed.arm()
                if not self._wanted.shows_as(self._posted):
                    break
                await self._changed.wait()
        return self._wanted

    def _is_gone(self) -> bool:
        """Judges an answer that this instance is unknown, for its word may not be the proxy's."""
        now, evidence = trio.current_time(), self._edge.evidence
        if self._unknown and not evidence.listed_since(self._unknown[-1]):
            self._unknown[-1] = now  # the proxy has listed nothing since: it counts as one
            return False
        self._unknown.append(now)
        if len(self._unknown) <= GONE_AFTER:
            return False
        if evidence.of_others_since(STATUS, self._instance, self._unknown[0]):
            return True
        return not self._ask_others(self._instance)
