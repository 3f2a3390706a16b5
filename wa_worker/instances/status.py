"""The status publisher of one instance: a slot, not a queue (P5).

The latest status wins; one that was overtaken while the proxy was away, such as an old QR code, is never posted.
"""

from __future__ import annotations

import structlog
import trio

from wa_worker.backoff import Backoff
from wa_worker.edge.client import EdgeClient
from wa_worker.errors import EdgeError
from wa_worker.models import InstanceId, Status
from wa_worker.wakeup import Wakeup

log = structlog.get_logger(__name__)

RETRY = Backoff(first=0.5, ceiling=15.0)

HEARTBEAT = 600.0
"""Seconds after which an unchanged status is posted again: an instance that was deleted at the proxy while connected is
noticed by the 404, and a status that was lost there comes back."""

GONE_AFTER = 3
"""404 answers in a row before an instance counts as gone: one may be a proxy that is being redeployed."""


class InstanceGone(Exception):
    """The proxy does not know this instance. Do: let go of it, keep its data."""


class StatusPublisher:
    """Posts one instance's status. `heartbeat`: seconds after which an unchanged one is posted again."""

    def __init__(self, instance: InstanceId, edge: EdgeClient, *, heartbeat: float = HEARTBEAT) -> None:
        self._instance = instance
        self._edge = edge
        self._heartbeat = heartbeat
        self._wanted: Status | None = None
        self._posted: Status | None = None
        self._changed = Wakeup()
        self._acknowledged = Wakeup()

    @property
    def settled(self) -> bool:
        """Says whether the proxy has acknowledged the current status."""
        return self._wanted is not None and self._posted == self._wanted

    def announce(self, status: Status) -> None:
        """Makes `status` the one to post. Sync: it only fills the slot."""
        if status != self._wanted:
            self._wanted = status
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

        Raises InstanceGone when the proxy says 404 again and again.
        """
        delays = RETRY.delays()
        unknown = 0
        while True:
            self._changed.arm()
            status = self._wanted
            if status is None or status == self._posted:
                with trio.move_on_after(self._heartbeat) as quiet:
                    await self._changed.wait()
                if quiet.cancelled_caught:
                    self._posted = None
                continue
            self._posted = None  # a call that fails or is cancelled may have been carried out all the same
            try:
                await self._edge.update_status(self._instance, status)
            except EdgeError as error:
                # a proxy that does not even list instances is not deployed: then 404 says nothing of this one
                unknown = unknown + 1 if error.status == 404 and self._edge.lists_instances else 0
                if unknown >= GONE_AFTER:
                    raise InstanceGone(str(error)) from error
                log.warning("status not announced", instance=self._instance, reason=str(error))
                with trio.move_on_after(error.retry_after or next(delays)):
                    await self._changed.wait()
            else:
                self._posted = status
                self._acknowledged.ring()
                unknown = 0
                delays = RETRY.delays()
