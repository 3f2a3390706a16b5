"""A model of the state database for the simulator: its transactions are serialisable, for each is one call.

Its clock has a rate of its own, and may be set.
"""

from __future__ import annotations

import attrs

from wa_worker.models import InstanceId
from wa_worker.ownership.lease import TTL, Claimed, Peer, View, judge

MOST_COUNTED = 50
"""Instances without an owner are counted so far: a worker asks whether there are none, few or many."""


@attrs.define
class WorkerRow:
    expires_at: float
    capacity: int
    through: bool = False
    draining: bool = False
    mine: set[InstanceId] = attrs.Factory(set)


@attrs.define
class InstanceRow:
    owner: int | None = None
    token: int = 0
    not_before: float = 0.0
    claims: int = 0
    claimed_at: float = float("-inf")


@attrs.define
class DatabaseModel:
    """Holds both tables. `now` is given by its own clock."""

    rate: float = 1.0
    step: float = 0.0
    workers: dict[int, WorkerRow] = attrs.Factory(dict)
    instances: dict[InstanceId, InstanceRow] = attrs.Factory(dict)
    unwanted: dict[InstanceId, None] = attrs.Factory(dict)
    _nobodys: dict[InstanceId, None] = attrs.Factory(dict)

    def clock(self, real: float) -> float:
        return real * self.rate + self.step

    def add(self, instance: InstanceId) -> None:
        self.instances[instance] = InstanceRow()
        self._nobodys[instance] = None

    # --- the transactions

    def register(self, now: float, worker: int, capacity: int) -> None:
        self.workers[worker] = WorkerRow(now + TTL, capacity)

    def renew(self, now: float, worker: int, capacity: int, *, through: bool, draining: bool) -> bool:
        row = self.workers.get(worker)
        if row is None or row.expires_at <= now:
            return False
        row.expires_at, row.capacity, row.through, row.draining = now + TTL, capacity, through, draining
        return True

    def look(self, now: float, worker: int) -> View:
        row = self.workers.get(worker)
        mine = row.mine if row else set()
        live = [other for other in self.workers.values() if other.expires_at > now]
        return View(
            wanted=len(self.instances) - len(self.unwanted),
            claimable=len(self._claimable(now, MOST_COUNTED)),
            expired=len(self.workers) - len(live),
            mine=len(mine),
            tokens=sum(self.instances[each].token for each in mine),
            unwanted=tuple(each for each in self.unwanted if each in mine),
            peers=tuple(Peer(o.capacity, len(o.mine), o.through, o.draining) for o in live if o is not row),
        )

    def reap(self, now: float) -> None:
        for worker in [worker for worker, row in self.workers.items() if row.expires_at < now]:
            self._nobodys.update(dict.fromkeys(sorted(self.workers.pop(worker).mine)))

    def claim(self, now: float, worker: int, count: int) -> list[Claimed]:
        row = self.workers.get(worker)
        if row is None or row.expires_at <= now:
            return []
        got = []
        for each in self._claimable(now, count):
            instance = self.instances[each]
            verdict = judge(instance.claims, now - instance.claimed_at)
            instance.claims, instance.not_before = verdict.claims, now + verdict.pause
            if verdict.claim:
                instance.owner, instance.token, instance.claimed_at = worker, instance.token + 1, now
                row.mine.add(each)
                del self._nobodys[each]
                got.append(Claimed(each, instance.token))
        return got

    def give_away(self, worker: int, instances: tuple[Claimed, ...]) -> None:
        for each in instances:
            row = self.instances[each.instance]
            if (row.owner, row.token) == (worker, each.token) and worker in self.workers:
                row.owner, row.not_before, row.claims = None, 0.0, max(0, row.claims - 1)
                self.workers[worker].mine.discard(each.instance)
                self._nobodys[each.instance] = None

    def list_mine(self, worker: int) -> list[Claimed]:
        row = self.workers.get(worker)
        return [Claimed(each, self.instances[each].token) for each in sorted(row.mine if row else ())]

    def write(self, worker: int, instance: InstanceId) -> bool:
        """A transaction of the journal: it needs the worker's row. Says whether it went through."""
        return worker in self.workers

    def proven(self, worker: int, instance: InstanceId) -> None:
        row = self.instances[instance]
        if row.owner == worker:
            row.claims, row.not_before = 0, 0.0

    def _claimable(self, now: float, most: int) -> list[InstanceId]:
        found: list[InstanceId] = []
        for each in self._nobodys:
            row = self.instances[each]
            if each not in self.unwanted and row.not_before <= now:
                found.append(each)
                if len(found) >= most:
                    break
        return found
