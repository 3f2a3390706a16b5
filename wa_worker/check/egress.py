"""The proxies that instances on this volume have for themselves: whether each lets its instance through to WhatsApp.

Asks each for a tunnel, as the worker does before it connects. Says nothing while no instance has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import trio

from wa_worker.check.result import Result, fail, not_checked, ok, quoted
from wa_worker.models import InstanceId

NAME = "instance proxies"

SHOWN = 3
"""Instances whose trouble is told; of the others how many they are."""


async def check_egress(auth_dir: Path, environ: Mapping[str, str]) -> list[Result]:
    """Has a deadline for each proxy; all are asked at once, those that instances share once."""
    try:
        from wa_worker.whatsapp.egress import EgressTable  # the package loads libmagic
        from wa_worker.whatsapp.egress_memory import EgressFiles
        from wa_worker.whatsapp.egress_probe import EgressProbe
    except ImportError:
        return [not_checked(NAME, "libmagic is missing")]
    table, probe = EgressTable(EgressFiles(auth_dir)), EgressProbe(environ)
    await trio.to_thread.run_sync(table.load, abandon_on_cancel=True)
    problems: dict[InstanceId, str] = {}

    async def ask(instance: InstanceId) -> None:
        if problem := await probe.problem(table.of(instance)):
            problems[instance] = problem

    async with trio.open_nursery() as nursery:
        for instance in table.instances:
            nursery.start_soon(ask, instance)
    if not table.instances:
        return []
    if not problems:
        return [ok(NAME, f"all {len(table.instances)} let their instances through to WhatsApp")]
    told = "; ".join(f"{instance}: {quoted(problems[instance])}" for instance in sorted(problems)[:SHOWN])
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    found = f"{len(problems)} of {len(table.instances)} cannot be used: {told}{more}"
    return [fail(NAME, found, "these instances do not connect: put their `proxy` right at the back end")]
