"""Which part of the instances this worker runs, where WORKER_SHARD says that it runs a part."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from wa_worker.check.result import Result, ok, warn
from wa_worker.models import Shard

NAME = "shard"
"""A result that only a worker with WORKER_SHARD has."""

SHOWN = 5
"""Sessions that are named: enough to recognise what they are."""


def check_shard(shard: Shard, listed: Collection[str], here: Collection[str]) -> Result:
    """`listed`: the instances that the proxy lists; `here`: those with a folder on the volume."""
    to_connect, own = _many(shard, listed), _many(shard, here)
    found = f"{shard}: {to_connect} of the {len(listed)} instances to connect, {own} of the {len(here)} on the volume"
    if others := sorted(instance for instance in here if not shard.has(instance)):
        named = ", ".join(others[:SHOWN]) + (f" and {len(others) - SHOWN} more" if len(others) > SHOWN else "")
        remedy = "move them to the volumes of their workers: docs/scaling.md, Changing the number of shards"
        return warn(NAME, f"{found}; not started here: {named}", remedy)
    if not to_connect and not own:
        return warn(NAME, found, "nothing, if its instances are still to come; else is WORKER_SHARD right?")
    return ok(NAME, found)


def _many(shard: Shard, instances: Iterable[str]) -> int:
    return sum(shard.has(instance) for instance in instances)
