"""What the process keeps in memory for an instance goes with the instance."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tests.instances.test_fleet import open_fleet
from tests.proxy_fixture import until
from wa_worker.edge.client import EdgeClient
from wa_worker.errors import EdgeError
from wa_worker.models import InstanceId

MANY = 20
LATEST = 4
"""Instances whose calls were the last two at an endpoint: the client remembers whom these were about."""


def places(root: object, name: str) -> list[str]:
    """Where below `root`, in objects of ours and in containers, a text holds `name`."""
    seen: set[int] = set()
    todo: list[tuple[str, object]] = [("", root)]
    found: list[str] = []
    while todo:
        path, one = todo.pop()
        if isinstance(one, str):
            if name in one:
                found.append(path)
        elif id(one) not in seen:
            seen.add(id(one))
            todo += [(f"{path}.{part}", value) for part, value in _parts(one)]
    return found


def _parts(one: object) -> Iterator[tuple[str, object]]:
    if isinstance(one, Mapping):
        yield from ((f"key {key!r}", key) for key in list(one))
        yield from ((f"[{key!r}]", value) for key, value in list(one.items()))
    elif isinstance(one, list | tuple | set | frozenset | deque):
        yield from (("item", value) for value in list(one))
    elif type(one).__module__.startswith("wa_worker"):
        yield from vars(one).items() if hasattr(one, "__dict__") else ()
        for kind in type(one).__mro__:
            yield from ((slot, getattr(one, slot)) for slot in getattr(kind, "__slots__", ()) if hasattr(one, slot))


async def poll(edge: EdgeClient, instance: InstanceId) -> None:
    """As the instance does while it is connected."""
    with suppress(EdgeError):
        await edge.queued_messages(instance)


async def test_nothing_is_kept_for_each_instance_that_was_released(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed):
        instances = [InstanceId(f"passing-{number:02}") for number in range(MANY)]
        for instance in instances:
            bed.fixture.proxy.store.add_instance(instance)
            fleet.start(instance)
        await until(lambda: all(bed.fixture.proxy.store.statuses(instance) for instance in instances))
        for instance in instances:
            await poll(bed.services.edge, instance)
            bed.services.whatsapp.breaker.record_failure(instance)
            bed.services.registry.activity(instance)
        assert len(places((fleet, bed.services), "passing-07")) >= 4, "what it looks through holds them"
        for instance in instances:
            fleet.release(instance)
        await until(lambda: not fleet.running())
        await until(lambda: all(bed.journal.changes.of(each)[:1] for each in instances))  # what was noted is written
        await until(lambda: not places(bed.services.history, instances[-1]))
        left = {instance: found for instance in instances if (found := places((fleet, bed.services), instance))}
        assert len(left) <= LATEST, left
