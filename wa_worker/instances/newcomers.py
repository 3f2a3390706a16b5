"""Instances that have become ours, until what their last owner left is taken up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import structlog
import trio

from wa_worker.backoff import Backoff
from wa_worker.models import InstanceId

log = structlog.get_logger(__name__)

AGAIN = Backoff(first=1.0, ceiling=60.0)
"""Between tries to take up what the last owner of an instance left, when that fails as nobody expected."""

Prepare = Callable[[], Awaitable[bool]]
"""Takes up what the last owner left. Says whether a person has let go of the instance, at any worker."""


@attrs.define(eq=False)
class _Newcomer:
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    ended: trio.Event = attrs.field(factory=trio.Event)


class Newcomers:
    """Prepares them, each in a task of `nursery`. `crashed()`: counts what nobody expected."""

    def __init__(self, nursery: trio.Nursery, crashed: Callable[[], None]) -> None:
        self._nursery = nursery
        self._crashed = crashed
        self._waiting: dict[InstanceId, _Newcomer] = {}

    def __contains__(self, instance: InstanceId) -> bool:
        return instance in self._waiting

    def add(self, instance: InstanceId, prepare: Prepare, then: Callable[[bool], None]) -> None:
        """Has an instance prepared; `then` gets what that says, unless the instance is dropped before."""
        newcomer = self._waiting[instance] = _Newcomer()
        self._nursery.start_soon(self._take_up, instance, newcomer, prepare, then)

    async def drop(self, instance: InstanceId) -> None:
        """Gives one up. Returns once nothing is done for it any more."""
        if newcomer := self._waiting.get(instance):
            newcomer.scope.cancel()
            await newcomer.ended.wait()

    async def _take_up(
        self, instance: InstanceId, newcomer: _Newcomer, prepare: Prepare, then: Callable[[bool], None]
    ) -> None:
        said: bool | None = None
        try:
            with newcomer.scope:
                said = await self._prepared(instance, prepare)
        finally:
            del self._waiting[instance]
            newcomer.ended.set()
        if said is not None and not newcomer.scope.cancel_called:
            then(said)

    async def _prepared(self, instance: InstanceId, prepare: Prepare) -> bool:
        """Is the barrier of one instance: what nobody expected is logged, and tried again later."""
        delays = AGAIN.delays()
        while True:
            try:
                return await prepare()
            except Exception:
                self._crashed()
                log.exception("what an instance's last owner left cannot be taken up, trying again", instance=instance)
            await trio.sleep(next(delays))
