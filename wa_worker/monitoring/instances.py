"""What each instance is doing, for people and tools. Read-only.

`GET /instances` has all of them; it is off unless ADMIN_TOKEN is set:

    {"instances": [{"id": "shop", "state": "connected", "because": "connected", "detail": "",
      "reason": "connected", "logged_out": false, "since": 1764100000, "until": null, "number": "***0001",
      "last_in": 1764100100, "last_out": null, "held_back": 3, "paced_until": 1764103600,
      "backlog": {"to_deliver": 0, "to_send": 2, "to_report": 0}}]}

`GET /ready` names those that stay away until a person has helped or a time has come, with no more than why:

    [{"id": "shop", "reason": "banned", "until": 1764100000}]

`held_back` and `paced_until`: how many messages PACE holds back, and until when the first of them. Times are whole unix
seconds. No body, no QR code, no whole number.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import attrs

from wa_worker.delivery.held_back import HeldView
from wa_worker.instances.registry import InstanceSnapshot, Registry
from wa_worker.jid import masked, masked_address
from wa_worker.journal import InstanceBacklog
from wa_worker.models import InstanceId, Reason
from wa_worker.states import State

NOTHING_WAITS = InstanceBacklog()


def describe(registry: Registry, backlogs: Mapping[InstanceId, InstanceBacklog]) -> dict[str, Any]:
    """Returns the answer: the instances that run, by id. `backlogs`: those for which something waits."""
    found = sorted(registry.all().items())
    return {"instances": [_instance(registry, id, now, backlogs.get(id, NOTHING_WAITS)) for id, now in found]}  # noqa: A001


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


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
