"""Messages that something took with success, until a poll shows that it is the proxy: else they are posted again.

A portal may answer everything with 200. The polls show that, for its answer to them is no list; but a message may have
been posted a moment before. So what was accepted is kept in memory until a poll that was begun later is answered well.
"""

from __future__ import annotations

from collections import deque

import attrs
import trio

from wa_worker.edge.evidence import Evidence
from wa_worker.journal import PendingInbound
from wa_worker.wakeup import Wakeup

MOST = 10_000
"""Messages kept at the most: at the highest rate that was measured, those of twenty seconds."""


@attrs.define(eq=False)
class Accepted:
    """A message that was accepted. `answer`: the hash of what was answered; `settled`: the journal has it as posted."""

    row: PendingInbound
    answer: int
    at: float
    doubted: bool = False
    settled: bool = False


class Unproven:
    """One per process. Trio thread only."""

    def __init__(self, evidence: Evidence) -> None:
        self._waiting: deque[Accepted] = deque(maxlen=MOST)
        self._doubted: list[Accepted] = []
        self._ring = Wakeup()
        evidence.on_poll.append(self._poll_answered)

    def add(self, row: PendingInbound, answer: int) -> Accepted:
        """Notes that a message was accepted. Call settled() when the journal has it as posted."""
        accepted = Accepted(row, answer, trio.current_time())
        self._waiting.append(accepted)
        return accepted

    def settled(self, accepted: Accepted) -> None:
        """The journal has it as posted: now it can be taken back."""
        accepted.settled = True
        if accepted.doubted:
            self._ring.ring()

    async def doubted(self) -> list[PendingInbound]:
        """Waits for messages that were accepted by something else than the proxy, and returns them once."""
        while True:
            self._ring.arm()
            ready = [each for each in self._doubted if each.settled]
            if ready:
                self._doubted = [each for each in self._doubted if not each.settled]
                return [each.row for each in ready]
            await self._ring.wait()

    def _poll_answered(self, began: float, strange: int | None) -> None:
        if strange is None:
            while self._waiting and self._waiting[0].at < began:
                self._waiting.popleft()
            return
        caught = [each for each in self._waiting if each.answer == strange]
        if not caught:
            return
        for each in caught:
            each.doubted = True
        self._waiting = deque((each for each in self._waiting if not each.doubted), MOST)
        self._doubted += caught
        self._ring.ring()
