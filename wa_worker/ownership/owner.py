"""What a worker does next about its lease and its instances: without a clock, without I/O.

The keeper asks for the next step, takes it, and says what came of it. The simulator of tests/ownership does the same,
with other clocks and another database. Times are seconds of CLOCK_BOOTTIME.

One step at a time: what an answer does not tell, because it never came, the next look shows. A look has the number of
our instances and the sum of their tokens, and if those are not what we know, all are listed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from wa_worker.errors import LeaseLost
from wa_worker.models import InstanceId
from wa_worker.ownership.lease import (
    BATCH,
    CLAIM,
    DRAIN_BATCH,
    HAND_OVER,
    LONGEST_HAND_OVER,
    PATIENCE,
    RENEW,
    RETRY,
    WOKEN,
    Because,
    Claimed,
    Health,
    Lease,
    View,
    fair_share,
    is_uneven,
)
from wa_worker.ownership.steps import Claim, GiveAway, Leaving, ListMine, Look, Reap, Renew, Step, Wait


def _never_used(_instance: InstanceId) -> float:
    return 0.0


class Owner:
    """Decides for one worker, from its registration to the end of its lease.

    `owned` are the instances whose sessions may run here, by token; `leaving` those whose sessions are being ended, or
    have ended, and which the database may still count as ours.
    """

    def __init__(
        self,
        capacity: int,
        rng: random.Random,
        last_used: Callable[[InstanceId], float] = _never_used,
    ) -> None:
        self.lease = Lease()
        self.owned: dict[InstanceId, int] = {}
        self.leaving: dict[InstanceId, int] = {}
        self.health = Health()
        self.draining = False
        self._capacity = capacity
        self._rng = rng
        self._last_used = last_used
        self._closed: set[InstanceId] = set()
        self._renew_at = self._look_at = self._hand_over_at = self._again_at = 0.0
        self._dead = self._reap = self._list = False
        self._to_claim = 0
        self._claimable_since: float | None = None
        self._pause = HAND_OVER
        self._handed_over: InstanceId | None = None

    # --- the next step

    def step(self, now: float) -> Step:
        """Returns what is to be done now. Raises LeaseLost once the lease is over: it never comes back."""
        self._check(now)
        if now >= self._renew_at:
            return Renew(self.health.capacity(self._capacity), self.health.through, self.draining)
        if now < self._again_at:
            return Wait(min(self._renew_at, self._again_at, self.lease.deadline))
        if self._closed:
            return GiveAway(tuple(Claimed(each, self.leaving[each]) for each in sorted(self._closed)))
        if self._list:
            return ListMine()
        if self._reap:
            return Reap()
        if self._to_claim:
            return Claim(self._to_claim)
        if now >= self._look_at:
            return Look()
        return Wait(min(self._renew_at, self._look_at, self.lease.deadline))

    def _check(self, now: float) -> None:
        if self._dead or not self.lease.holds(now):
            self._dead = True
            self.lease.deadline = min(self.lease.deadline, now)
            raise LeaseLost("the lease of this worker is over: peers may have taken its instances")

    # --- what came of it

    def registered(self, started: float) -> None:
        self.lease.renew(started)
        self._renew_at = started + RENEW
        self._look_at = started

    def renewed(self, started: float, now: float, *, alive: bool) -> None:
        """Takes the answer to a renewal sent at `started`. Raises LeaseLost when it came too late, or is no."""
        if not alive:
            self._dead = True
        self._check(now)  # before it counts: what is over stays over
        self.lease.renew(started)
        self._renew_at = started + RENEW

    def failed(self, step: Step, now: float) -> None:
        """Takes note that the answer to `step` did not come: it may have been done, or may yet be."""
        match step:
            case Renew():
                self._renew_at = now + RETRY
            case Claim():
                self._to_claim = 0
            case Reap():
                self._reap = False
        self._again_at = now + RETRY

    def looked(self, now: float, view: View) -> list[Leaving]:
        """Returns the instances whose sessions are to be ended: each is `leaving` from now on, until `closed`."""
        self._look_at = now + (CLAIM / 4 if self.draining else CLAIM) * self._rng.uniform(0.75, 1.25)
        self._reap = view.expired > 0
        known = [*self.owned.values(), *self.leaving.values()]
        self._list = (view.mine, view.tokens) != (len(known), sum(known))
        self.health.judge(now, view.mine, view.peers)
        leaving = [(each, Because.UNWANTED) for each in view.unwanted if each in self.owned]
        for each, _ in leaving:
            self._leave(each)
        if self.draining or self.health.cut_off:
            because = Because.DRAINING if self.draining else Because.CUT_OFF
            more = self._idle_first()[: self._batch(view)]
        else:
            because, more = Because.HANDED_OVER, self._to_hand_over(now, view)
        for each in more:
            self._leave(each)
        self._to_claim = self._room(now, view)
        return leaving + [(each, because) for each in more]

    def woken(self, now: float) -> None:
        """Has it look soon: the database says that something is free, or wanted, or not. It is a hint, no more."""
        self._look_at = min(self._look_at, now + self._rng.uniform(0.0, WOKEN))

    def doubt(self) -> None:
        """Has what is ours be listed next."""
        self._list = True

    def reaped(self, now: float) -> None:
        self._reap = False
        self._look_at = now

    def claimed(self, now: float, claimed: Iterable[Claimed]) -> list[Claimed]:
        """Returns those whose sessions are to be started. Raises LeaseLost when the answer came too late."""
        self._check(now)
        self._to_claim = 0
        gained = [each for each in claimed if self._gain(each)]
        if gained:  # they log in, and may be the idlest
            self._hand_over_at = max(self._hand_over_at, now + HAND_OVER)
        return gained

    def listed(self, now: float, mine: Sequence[Claimed]) -> tuple[list[Claimed], list[Leaving]]:
        """Returns what is ours and was not known, and what is not ours and was. Raises LeaseLost when too late."""
        self._check(now)
        self._list = False
        tokens = {each.instance: each.token for each in mine}
        for instance in [each for each in self._closed if each not in tokens]:
            self._forget(instance)
        taken = [each for each, token in self.owned.items() if tokens.get(each) != token]
        for instance in taken:
            self._leave(instance)
        gained = [each for each in mine if self._gain(each)]
        if self.draining:  # nothing is started any more
            for each in gained:
                self._leave(each.instance)
                self._closed.add(each.instance)
            gained = []
        return gained, [(each, Because.TAKEN) for each in taken]

    def closed(self, instance: InstanceId) -> None:
        """Takes note that the session of an instance that is leaving has ended, and all it had is in the journal."""
        if instance in self.leaving:
            self._closed.add(instance)

    def gave_away(self, instances: Iterable[Claimed]) -> None:
        for each in instances:
            self._forget(each.instance)

    def drain(self) -> None:
        """Begins to give everything away: peers hear of it with the next renewal, which is due now."""
        self.draining = True
        self._to_claim = 0
        self._renew_at = self._look_at = 0.0

    def leave_all(self) -> list[Leaving]:
        """Returns all that is still owned, when there is no time left to wait for peers."""
        more = self._idle_first()
        for each in more:
            self._leave(each)
        return [(each, Because.DRAINING) for each in more]

    # --- how

    def _gain(self, claimed: Claimed) -> bool:
        instance = claimed.instance
        if instance in self.owned or self.leaving.get(instance) == claimed.token:
            return False  # the latter is to be given away, or may be given away at any moment by a step that failed
        if instance in self.leaving and instance not in self._closed:
            self.leaving[instance] = claimed.token  # its session still ends: then it is given away under this token
            return False
        self._forget(instance)
        self.owned[instance] = claimed.token
        if instance == self._handed_over:
            self._handed_over, self._pause = None, min(self._pause * 4, LONGEST_HAND_OVER)
        return True

    def _leave(self, instance: InstanceId) -> None:
        self.leaving[instance] = self.owned.pop(instance)

    def _forget(self, instance: InstanceId) -> None:
        self.leaving.pop(instance, None)
        self._closed.discard(instance)

    def _idle_first(self) -> list[InstanceId]:
        return sorted(self.owned, key=lambda each: (self._last_used(each), each))

    def _batch(self, view: View) -> int:
        if not any(peer.has_room for peer in view.peers):
            return len(self.owned) if self.draining else 0
        return max(0, DRAIN_BATCH - view.claimable - len(self.leaving))

    def _share(self, view: View) -> int:
        capacities = [peer.capacity for peer in view.peers if not peer.draining]
        return fair_share(view.wanted, [self.health.capacity(self._capacity), *capacities])

    def _to_hand_over(self, now: float, view: View) -> list[InstanceId]:
        crowded = (
            self.leaving or view.claimable >= BATCH // 2 or any(peer.draining and peer.owned for peer in view.peers)
        )
        if now < self._hand_over_at or crowded or not self.owned:
            return []
        if not is_uneven(view.mine, view.peers, self._share(view)):
            return []
        idlest = self._idle_first()[0]
        if self._last_used(idlest) == float("inf"):
            return []
        self._hand_over_at = now + self._pause
        self._pause = max(HAND_OVER, self._pause / 2)
        self._handed_over = idlest
        return [idlest]

    def _room(self, now: float, view: View) -> int:
        if self.draining or not view.claimable:
            self._claimable_since = None
            return 0
        if self._claimable_since is None:
            self._claimable_since = now
        capacity = self.health.capacity(self._capacity)
        patient = now - self._claimable_since < PATIENCE
        limit = min(self._share(view), capacity) if patient else capacity
        return max(0, min(BATCH, limit - view.mine))
