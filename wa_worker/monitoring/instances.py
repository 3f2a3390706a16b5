"""What each instance is doing, for people and tools. Read-only.

`GET /instances` has all of them; it is off unless ADMIN_TOKEN is set:

    {"instances": [{"id": "shop", "state": "connected", "because": "connected", "detail": "",
      "reason": "connected", "logged_out": false, "since": 1764100000, "until": null, "number": "***0001",
      "last_in": 1764100100, "last_out": null, "held_back": 3, "paced_until": 1764103600,
      "backlog": {"to_deliver": 0, "to_send": 2, "to_report": 0}}]}

`GET /ready` names those that stay away until a person has helped or a time has come, with no more than why:

    [{"id": "shop", "reason": "banned", "until": 1764100000}]

With STATE_URL the instances of all workers are there, each with its `worker` (its host and the beginning of its id). Of
another's there is what was written down: its last change, and what waits; `worker` is null and `state` is "unowned"
where no worker has it.

`held_back` and `paced_until`: how many messages PACE holds back, and until when the first of them. Times are whole unix
seconds. No body, no QR code, no whole number.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import attrs

from wa_worker.delivery.held_back import HeldView
from wa_worker.instances.elsewhere import shown
from wa_worker.instances.registry import InstanceSnapshot, Registry
from wa_worker.jid import masked, masked_address
from wa_worker.journal import Elsewhere, InstanceBacklog, Together
from wa_worker.models import InstanceId, Reason
from wa_worker.states import State

NOTHING_WAITS = InstanceBacklog()


def describe(
    registry: Registry, backlogs: Mapping[InstanceId, InstanceBacklog], together: Together | None = None
) -> dict[str, Any]:
    """Returns the answer: the instances that run here and, if there are other workers, theirs, by id.

    `backlogs`: those for which something waits.
    """
    found = {id: _instance(registry, id, now, backlogs.get(id, NOTHING_WAITS)) for id, now in registry.all().items()}  # noqa: A001
    if together is not None:
        for said in found.values():
            said["worker"] = together.here
        for instance, each in together.elsewhere.items():
            found.setdefault(instance, _elsewhere(instance, each))
    return {"instances": [said for _, said in sorted(found.items())]}


def held(registry: Registry) -> list[dict[str, Any]]:
    """Returns the instances that WhatsApp or their phone keeps away, by id; those logged out until they are linked."""
    return [
        {
            "id": id,
            "reason": Reason.LOGGED_OUT.value if now.logged_out else now.reason.value if now.reason else None,
            "until": _whole(now.until),
        }
        for id, now in sorted(registry.all().items())  # noqa: A001 - that is what it is
        if now.logged_out or now.state is State.HELD
    ]


def _instance(
    registry: Registry, instance: InstanceId, now: InstanceSnapshot, backlog: InstanceBacklog
) -> dict[str, Any]:
    activity = registry.activity(instance)
    held = HeldView() if activity.held is None else activity.held.view(time.time())
    return {
        "id": instance,
        "state": now.state.name.lower(),
        "because": now.because.name.lower(),
        "detail": masked(now.detail),
        "reason": now.reason.value if now.reason is not None else None,
        "logged_out": now.logged_out,
        "since": int(now.since),
        "until": _whole(now.until),
        "number": masked_address(now.account.partition("@")[0]) if now.account else None,
        "last_in": _whole(activity.last_in),
        "last_out": _whole(activity.last_out),
        "held_back": held.messages,
        "paced_until": _whole(held.until),
        "backlog": attrs.asdict(backlog),
    }


def _elsewhere(instance: InstanceId, each: Elsewhere) -> dict[str, Any]:
    now = shown(each)
    return {
        "id": instance,
        "state": now.state,
        "because": now.reason or now.state,
        "detail": masked(now.detail),
        "reason": now.reason or None,
        "logged_out": now.logged_out,
        "since": int(now.since),
        "until": now.until,
        "number": None,
        "last_in": None,
        "last_out": None,
        "held_back": 0,
        "paced_until": None,
        "backlog": attrs.asdict(each.backlog),
        "worker": each.worker,
    }


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
