"""Keeps this worker's lease, and takes and gives away instances, for as long as the worker runs.

One task, one connection, one step at a time: each is one hop to a thread. What to do next is owner.py's decision. It
ends with LeaseLost as soon as the lease is over, also while the database does not answer, or when it was drained.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

import structlog
import trio

from wa_worker.errors import LeaseLost, StateError
from wa_worker.models import InstanceId
from wa_worker.ownership.claims import Claims
from wa_worker.ownership.deadline import boottime
from wa_worker.ownership.lease import RETRY, STATEMENT, UNLIMITED, Because, Claimed, View
from wa_worker.ownership.line import Line
from wa_worker.ownership.notices import Notices
from wa_worker.ownership.owner import Owner
from wa_worker.ownership.sessions import Counts, Sessions
from wa_worker.ownership.steps import Claim, GiveAway, Leaving, ListMine, Look, Reap, Renew, Step, Wait

log = structlog.get_logger(__name__)

T = TypeVar("T")

GIVES_UP = STATEMENT + 1.0
"""Seconds after which a step counts as failed, and goes on with a new connection."""

CLAIM_GIVES_UP = 4.0
"""The same for a claim, which is some statements: a renewal that is due then still has its chances."""

VERIFIED_IN = 5.0
"""Seconds for which somebody waits who asks whether an instance is still ours: a step, and one that was under way."""

LAST_SECONDS = 5.0
"""For the sessions that are left when the time to drain is over."""


class Keeper:
    """Implements what a fleet asks about ownership. Trio thread only, but for `deadline`. capacity: 0 for no limit."""

    def __init__(
        self,
        claims: Claims,
        sessions: Sessions,
        counts: Counts,
        *,
        capacity: int = 0,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self._line = Line(claims)
        self._sessions = sessions
        self._counts = counts
        self._capacity = capacity or UNLIMITED
        self._clock = clock
        self._owner = Owner(self._capacity, random.Random(), sessions.last_used)  # noqa: S311 - jitter
        self._notices = Notices()
        self._nursery: trio.Nursery | None = None
        self._view: View | None = None
        self._wake, self._verified, self._empty, self._over = (trio.Event() for _ in range(4))
        self._ends = self._woken = False
        """_woken: the owner knows that the database has something to look at."""

    # --- what others ask

    @property
    def worker_id(self) -> str:
        """Names this worker in the database, from the time that `run` has started."""
        return str(self._line.claims.me)

    def deadline(self) -> float:
        """Returns until when this worker may act, in seconds of CLOCK_BOOTTIME. From any thread."""
        return self._owner.lease.deadline

    def seconds_left(self) -> float:
        return max(-1e9, self.deadline() - self._clock())

    def owned(self) -> int:
        return len(self._owner.owned)

    def unowned(self) -> int:
        """Counts the instances that nobody has, at the last look. Where the workers have room, they are soon taken."""
        return self._view.claimable if self._view is not None else 0

    def owns(self, instance: InstanceId) -> bool:
        return instance in self._owner.owned and self._owner.lease.holds(self._clock())

    def peers_go_on(self) -> bool:
        """Says whether a peer can take what ends here."""
        return self._view is not None and any(peer.has_room for peer in self._view.peers)

    def want(self, instance: InstanceId, *, anew: bool = False) -> None:
        """Has the database know, soon, that somebody is to run it. Nothing is written when it does. anew: that may be
        otherwise than it was told not long ago."""
        self._notices.want(instance, self._clock(), anew=anew)
        if self._notices.due:
            self._wake.set()

    def unwanted(self, instance: InstanceId) -> None:
        """Has the database know, soon, that nobody is to run it."""
        self._notices.unwant(instance)
        self._wake.set()

    def proven(self, instance: InstanceId) -> None:
        """Takes note that its session got through to WhatsApp."""
        self._notices.prove(instance)
        self._wake.set()

    def doubt(self) -> None:
        """Has the database be asked soon what is ours."""
        self._owner.doubt()
        self._wake.set()

    async def verify(self, instance: InstanceId) -> bool | None:
        """Asks the database now whether an instance is ours; if not, it is given up. None: no answer in VERIFIED_IN."""
        answered = self._verified
        self.doubt()
        with trio.move_on_after(VERIFIED_IN):
            await answered.wait()
            return self.owns(instance)
        return None

    # --- the task

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Registers this worker, then keeps its lease until it was drained. Raises LeaseLost.

        Started once the database knows this worker; until then it waits for the database. Cancelled, it leaves
        everything as it is: the lease runs out by itself.
        """
        await self._register()
        task_status.started()
        try:
            async with trio.open_nursery() as self._nursery:
                lost = await self._keep()
                self._nursery.cancel_scope.cancel()
        finally:
            self._line.claims.close()
            self._empty.set()
            self._over.set()
        if lost:
            self._counts.fenced()
            log.error("this worker's lease is over: it ends, and starts anew as another")
            raise lost

    async def drain(self, seconds: float) -> None:
        """Gives everything away, as fast as peers take it, and what is left when `seconds` are over at once.

        Ends `run`, and returns when that has ended. Takes no longer than `seconds` and twice LAST_SECONDS. Cancelled,
        it stops waiting.
        """
        self._owner.drain()
        self._wake.set()
        with trio.move_on_after(seconds):
            await self._empty.wait()
        if self._over.is_set():
            return  # the lease was lost meanwhile
        self._leave(self._owner.leave_all())
        with trio.move_on_after(LAST_SECONDS):
            await self._empty.wait()
        self._ends = True
        self._wake.set()
        with trio.move_on_after(LAST_SECONDS):
            await self._over.wait()

    async def leave(self) -> None:
        """Takes this worker's row away, so that what it still had is free at once. After its last transaction: the next
        would find no row. Takes GIVES_UP at the most, cancelled or not; without it the lease runs out by itself."""
        with suppress(StateError):
            await self._line.leave(GIVES_UP)

    async def _register(self) -> None:
        said = False
        while True:
            started = self._clock()
            try:
                await self._ask(GIVES_UP, lambda claims: claims.register(self._capacity))
                self._owner.registered(started)
            except StateError as error:
                if not said:
                    log.warning("the state database does not take this worker in, trying on", error=str(error))
                said = True
                await trio.sleep(RETRY)
                self._line.begin_anew()  # it may have been taken in, under that name
            else:
                log.info("this worker is known to its peers", worker=self.worker_id)
                return

    async def _keep(self) -> LeaseLost | None:
        """Takes step after step, until all was given away. Returns why not, if the lease was lost."""
        try:
            while not self._ends:
                now = self._clock()
                self._owner.health.observe(now, *self._sessions.connections())
                step = self._owner.step(now)
                if isinstance(step, Wait):
                    await self._wait(step, now)
                else:
                    await self._take(step, now)
        except LeaseLost as lost:
            return lost
        return None

    async def _wait(self, wait: Wait, now: float) -> None:
        if self._notices.due:
            notice = self._notices.take(now)
            if not await self._try(notice.tell):
                self._notices.take_back(notice)
                await trio.sleep(RETRY)
            return
        if self._owner.draining and not self._owner.owned and not self._owner.leaving:
            self._empty.set()
        if self._line.told and not self._woken:
            self._owner.woken(now)
            self._woken = True
            return
        self._wake = trio.Event()
        with trio.move_on_after(max(0.0, wait.until - now)):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._line_told)
                await self._wake.wait()
                nursery.cancel_scope.cancel()

    async def _line_told(self) -> None:
        await self._line.until_told()
        self._wake.set()

    async def _take(self, step: Step, started: float) -> None:
        owner = self._owner
        try:
            match step:
                case Renew(capacity, through, draining):
                    alive = await self._ask(
                        GIVES_UP, lambda claims: claims.renew(capacity, through=through, draining=draining)
                    )
                    owner.renewed(started, self._clock(), alive=alive)
                case Look():
                    self._woken = False
                    self._view = self._notices.corrected(await self._ask(GIVES_UP, lambda claims: claims.look()))
                    self._leave(owner.looked(self._clock(), self._view))
                    self._line.tell_of_rows(self._sessions.rows_came)
                case Reap():
                    await self._ask(GIVES_UP, lambda claims: claims.reap())
                    owner.reaped(self._clock())
                case Claim(count):
                    claimed = await self._ask(CLAIM_GIVES_UP, lambda claims: claims.claim(count))
                    self._gain(owner.claimed(self._clock(), claimed))
                case GiveAway(instances):
                    await self._ask(GIVES_UP, lambda claims: claims.give_away(instances))
                    owner.gave_away(instances)
                case ListMine():
                    answered, self._verified = self._verified, trio.Event()
                    mine = await self._ask(CLAIM_GIVES_UP, lambda claims: claims.mine())
                    gained, leaving = owner.listed(self._clock(), mine)
                    self._leave(leaving)
                    self._gain(gained)
                    if self._verified.statistics().tasks_waiting:  # they asked when this was on its way
                        owner.doubt()
                    answered.set()
        except LeaseLost:
            raise
        except StateError as error:
            log.warning("the state database did not do a step", step=type(step).__name__.lower(), error=str(error))
            owner.failed(step, self._clock())

    def _gain(self, gained: Iterable[Claimed]) -> None:
        for each in gained:
            self._counts.took_over(each.came)
            log.info("took an instance", instance=each.instance, token=each.token, it_was=each.came.value)
            self._sessions.gained(each.instance, each.schema, each.application_name)

    def _leave(self, leaving: Iterable[Leaving]) -> None:
        for instance, because in leaving:
            log.info("gives an instance away", instance=instance, because=because.value)
            if self._nursery is not None:
                self._nursery.start_soon(self._give_up, instance, because)

    async def _give_up(self, instance: InstanceId, because: Because) -> None:
        await self._sessions.give_up(instance, because)
        self._owner.closed(instance)
        self._wake.set()

    async def _try(self, call: Callable[[Claims], object]) -> bool:
        try:
            await self._ask(GIVES_UP, call)
        except StateError as error:
            log.warning("the state database did not take note", error=str(error))
            return False
        return True

    async def _ask(self, seconds: float, call: Callable[[Claims], T]) -> T:
        """Runs `call` on a thread. Raises StateError, also when it takes longer, or than the lease lasts."""
        left = self._owner.lease.deadline - self._clock()
        return await self._line.ask(min(seconds, left) if left > 0 else seconds, call)
