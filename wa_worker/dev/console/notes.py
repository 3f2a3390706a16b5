"""What happened in a group, in words. What is unknown is shown as it came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wa_worker.dev.addresses import phone_or_jid
from wa_worker.dev.console.contents import object_of, people, text_of

_ACTIONS = {
    "add": "added {people}",
    "remove": "removed {people}",
    "promote": "made {people} an admin",
    "demote": "made {people} an admin no more",
    "leave": "left: {people}",
    "subject": "named the group {subject}",
    "description": "changed the description",
    "announce": "changed who may write",
}


def note(payload: Mapping[str, Any]) -> str:
    """Returns one line."""
    by, action = text_of(payload, "by"), text_of(payload, "action")
    what = _ACTIONS.get(action, f"{text_of(payload, 'event_type')}: {action} {{people}}")
    subject = text_of(object_of(payload, "group"), "subject")
    said = what.replace("{people}", ", ".join(people(payload, "participants"))).replace("{subject}", subject)
    return f"{phone_or_jid(by)} {said}".strip() if by else said.strip()
