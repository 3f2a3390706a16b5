"""What a person may do at the admin page, with the journal and the instances of a worker that is at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import attrs
import structlog
import trio

from wa_worker.instances.fleet import InstanceFleet
from wa_worker.journal import Change, Elsewhere, InboxState, InstanceBacklog, Journal, SendState, Together
from wa_worker.journal.items import Item, ItemId, Outcome
from wa_worker.journal.per_instance import read_set_aside
from wa_worker.journal.review import Review
from wa_worker.journal.states import State
from wa_worker.models import InstanceId

log = structlog.get_logger(__name__)

SHOWN = 20
"""Messages set aside that a page shows: there is a button for each. `wa-worker journal` has all of them."""

ASIDE: tuple[State, ...] = (InboxState.DEAD, SendState.UNCERTAIN, SendState.FAILED)
"""States of messages that a person may decide about here."""


@attrs.frozen
class Waiting:
    """Holds what the journal says of all instances, each of those of which it says anything."""

    backlogs: Mapping[InstanceId, InstanceBacklog] = attrs.field(factory=dict)
    set_aside: Mapping[InstanceId, int] = attrs.field(factory=dict)
    let_go: Mapping[InstanceId, float] = attrs.field(factory=dict)
    together: Together | None = None
    """What other workers have; None: there are none."""


@attrs.frozen
class Past:
    """Holds what the journal says of one instance."""

    changes: Sequence[Change] = ()
    aside: Sequence[Item] = ()


@attrs.frozen
class Actions:
    """Acts on the instances and the journal. Everything raises JournalError when the journal cannot, and has done
    nothing then. Trio thread only, but for `waiting()` and `past()`, which block."""

    journal: Journal
    fleet: InstanceFleet

    def waiting(self) -> Waiting:
        """Reads what the journal says of all instances. Blocking."""
        journal = self.journal
        return Waiting(journal.backlogs(), read_set_aside(journal.database), journal.let_go.all(), journal.together())

    def past(self, instance: InstanceId) -> Past:
        """Reads what the journal says of an instance. Blocking."""
        with self.journal.review() as review:
            return Past(self.journal.changes.of(instance), review.items(ASIDE, instance, SHOWN))

    async def let_go(self, instance: InstanceId, at: float) -> bool:
        """Ends an instance that runs, until it is taken up again, over restarts too. False: it does not run.

        One of another worker's ends there, soon; one that no worker has is taken by none.
        """
        here = instance in self.fleet.running()
        if here and instance in self.fleet.kept_off:
            return False
        other = None if here else await self._elsewhere(instance)
        if not here and other is None:
            return False
        await trio.to_thread.run_sync(self.journal.let_go.put, instance, at)
        self.fleet.let_go(instance, elsewhere=other is not None and other.worker is not None)
        log.warning("a person let go of an instance", instance=instance)
        return True

    async def take_up(self, instance: InstanceId) -> bool:
        """Starts an instance that was let go of. False: it was not."""
        if instance not in self.fleet.kept_off and instance not in await self._let_go_elsewhere():
            return False
        await trio.to_thread.run_sync(self.journal.let_go.remove, instance)
        self.fleet.take_up(instance)
        log.warning("a person took an instance up again", instance=instance)
        return True

    async def _elsewhere(self, instance: InstanceId) -> Elsewhere | None:
        together = await trio.to_thread.run_sync(self.journal.together)
        return None if together is None else together.elsewhere.get(instance)

    async def _let_go_elsewhere(self) -> Collection[InstanceId]:
        """Returns what was let go of at any worker, if there are several."""
        if self.fleet.alone:
            return ()
        return await trio.to_thread.run_sync(self.journal.let_go.all)

    async def retry(self, instance: InstanceId, item: ItemId) -> bool:
        """Tries a message again that was set aside. False: it is not there any more, or of another instance."""
        return await self._decide(Review.retry, instance, item)

    async def discard(self, instance: InstanceId, item: ItemId) -> bool:
        """Gives a message up that was set aside. False: it is not there any more, or of another instance."""
        return await self._decide(Review.discard, instance, item)

    async def _decide(
        self, decide: Callable[[Review, Sequence[ItemId]], Iterator[Outcome]], instance: InstanceId, item: ItemId
    ) -> bool:
        def carry_out() -> bool:
            with self.journal.review(write=True) as review:
                found = review.item(item)
                if found is None or found.instance != instance or found.state not in ASIDE:
                    return False
                return all(outcome.now is not None for outcome in decide(review, [item]))

        done = await trio.to_thread.run_sync(carry_out)
        if done:
            log.warning("a person decided about a message", decision=decide.__name__, id=str(item), instance=instance)
        return done


async def carry_out(actions: Actions, name: str, instance: InstanceId, item: str) -> bool:
    """Does what a form of the page asks for. `item`: the id of a message, where the action is about one.

    False: it could not be done as things are. Raises JournalError.
    """
    if name == "let_go":
        return await actions.let_go(instance, time.time())
    if name == "take_up":
        return await actions.take_up(instance)
    try:
        id = ItemId.parse(item)  # noqa: A001
    except ValueError:
        return False
    return await (actions.retry if name == "retry" else actions.discard)(instance, id)
