"""Reads what a page shows: what runs, and what the journal says of it. A page says so if the journal cannot be read."""

from __future__ import annotations

import attrs

from wa_worker.admin.actions import Actions, Past, Waiting
from wa_worker.admin.rows import Seen
from wa_worker.errors import JournalError
from wa_worker.instances.registry import Registry
from wa_worker.models import InstanceId


@attrs.frozen
class Asked:
    """Holds what the journal and readiness have said, for one page."""

    waiting: Waiting
    not_ready: list[str]
    trouble: str = ""


def running(registry: Registry) -> list[Seen]:
    """Returns what runs now. Trio thread only; what it returns may go to another."""
    return [Seen(instance, now, attrs.evolve(registry.activity(instance))) for instance, now in registry.all().items()]


def ask(actions: Actions | None, not_ready: list[str]) -> Asked:
    """Reads what the journal says of all instances. Blocking."""
    try:
        return Asked(actions.waiting() if actions is not None else Waiting(), not_ready)
    except JournalError as error:
        return Asked(Waiting(), not_ready, str(error))


def ask_of(actions: Actions | None, not_ready: list[str], instance: InstanceId) -> tuple[Asked, Past]:
    """Reads what the journal says of all instances, and of one. Blocking."""
    asked = ask(actions, not_ready)
    try:
        return asked, actions.past(instance) if actions is not None else Past()
    except JournalError as error:
        return attrs.evolve(asked, trouble=str(error)), Past()


def joined(seen: list[Seen], waiting: Waiting) -> list[Seen]:
    """Returns what runs and what is let go of, with what waits for each."""
    known = {each.id: each for each in seen}
    for instance in waiting.let_go:
        known.setdefault(instance, Seen(instance))
    if (together := waiting.together) is not None:
        known = {instance: attrs.evolve(each, worker=together.here) for instance, each in known.items()}
        for instance, other in together.elsewhere.items():
            known.setdefault(instance, Seen(instance, other=other))
    return [
        attrs.evolve(
            each,
            backlog=waiting.backlogs.get(instance, each.backlog) if each.other is None else each.other.backlog,
            set_aside=waiting.set_aside.get(instance, 0) if each.other is None else each.other.set_aside,
            let_go=waiting.let_go.get(instance),
        )
        for instance, each in known.items()
    ]
