"""What happened in a group, in words. What is unknown is shown as it came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wa_worker.dev.addresses import phone_or_jid
from wa_worker.dev.console.contents import object_of, people, text_of
from wa_worker.dev.console.texts import Said

_ACTIONS = {
    "add": "added {}",
    "remove": "removed {}",
    "promote": "made {} an admin",
    "demote": "made {} an admin no more",
    "leave": "left: {}",
    "subject": "named the group {}",
    "description": "changed the description",
    "announce": "changed who may write",
}


def note(payload: Mapping[str, Any]) -> str:
    """Returns one line."""
    by, action = text_of(payload, "by"), text_of(payload, "action")
    about = ", ".join(people(payload, "participants"))
    if action not in _ACTIONS:
        said: str = f"{text_of(payload, 'event_type')}: {action} {about}".strip()
    else:
        sentence = _ACTIONS[action]
        subject = text_of(object_of(payload, "group"), "subject")
        said = Said(sentence, *([subject if action == "subject" else about] if "{}" in sentence else []))
    return Said("{} {}", phone_or_jid(by), said) if by else said
