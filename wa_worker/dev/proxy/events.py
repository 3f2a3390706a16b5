"""POST /events: many calls of version 1 in one, each judged by itself, all of them written in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from . import calls
from .calls import Outcome
from .fields import BadRequestError, text
from .store import Store

MOST_EVENTS = 200
"""In one call: twice what a worker sends, so that nothing hangs on who counts how."""

LONGEST_EVENT_ID = 128
"""Characters."""

Event: TypeAlias = dict[str, Any]

REFUSALS = "wa_worker.refusals"
"""Where in a request's ASGI scope the Refusals are, if there are some."""


@attrs.frozen
class Refusals:
    """A fault of one call (see faults.py): `status_for` says how an event is refused, None if it is not; with
    `after_apply` it is carried out all the same."""

    status_for: Callable[[Event], int | None]
    after_apply: bool


_ENVELOPE = ("event_id", "type")

_KINDS: dict[str, Callable[[Store, Event], Outcome]] = {
    "status": calls.update_status,
    "sent": lambda store, event: calls.mark_sent(store, event, instance_id=text(event, "instanceId")),
    "failed": lambda store, event: calls.mark_failed(store, event, instance_id=text(event, "instanceId")),
    "inbound": lambda store, event: calls.inbound(store, event, _json(event)),
    "message_status": calls.message_status,
    "event": calls.event,
}


def _kinds(store: Store) -> dict[str, Callable[[Store, Event], Outcome]]:
    """Returns those that the proxy knows: an older one knows less."""
    older = {
        name for name, has in (("message_status", store.has_message_status), ("event", store.has_event)) if not has
    }
    return {name: _KINDS[name] for name in _KINDS if name not in older}


def events_of(body: dict[str, Any]) -> list[object]:
    """Raises BadRequestError if the body is not `{"events": [...]}`."""
    events = body.get("events")
    if not isinstance(events, list):
        raise BadRequestError("events must be a list")
    return events


def take_events(store: Store, events: list[object], refusals: Refusals | None = None) -> list[dict[str, object]]:
    """Returns one result for each event, in order. After one that was refused, no other of its chat is taken."""
    refused_chats: set[tuple[str, str]] = set()
    results: list[dict[str, object]] = []
    with store.transaction():
        for event in events:
            chat = _chat(event)
            if chat in refused_chats:
                outcome = Outcome(503, "an earlier event of this chat was refused")
            else:
                outcome = _take(store, event, refusals)
            if chat is not None and outcome.error is not None:
                refused_chats.add(chat)
            result: dict[str, object] = {"status": outcome.status}
            results.append(result if outcome.error is None else {**result, "error": outcome.error})
    return results


def _take(store: Store, event: object, refusals: Refusals | None) -> Outcome:
    refused = refusals.status_for(event) if refusals is not None and isinstance(event, dict) else None
    lie = None if refused is None else Outcome(refused, f"fault {refused}")
    if lie is not None and refusals is not None and not refusals.after_apply:
        return lie
    try:
        truth = _carry_out(store, event)
    except BadRequestError as problem:
        truth = Outcome(400, str(problem))
    return lie or truth


def _carry_out(store: Store, event: object) -> Outcome:
    if not isinstance(event, dict):
        raise BadRequestError("an event must be a JSON object")
    kind, kinds = text(event, "type"), _kinds(store)
    if kind not in kinds:
        raise BadRequestError(f"type must be one of {', '.join(kinds)}")
    store.events[kind] += 1
    if len(text(event, "event_id")) > LONGEST_EVENT_ID:
        raise BadRequestError(f"event_id is longer than {LONGEST_EVENT_ID} characters")
    return kinds[kind](store, {key: event[key] for key in event if key not in _ENVELOPE})


def _json(event: Event) -> str:
    try:
        return json.dumps(event)
    except RecursionError:
        raise BadRequestError("the event is nested beyond reason") from None


def _chat(event: object) -> tuple[str, str] | None:
    """Returns the chat whose order the event keeps; None: it is of none."""
    if not isinstance(event, dict):
        return None
    chat = {"inbound": event.get("from"), "event": event.get("chat_id")}.get(str(event.get("type")))
    instance_id = event.get("instanceId")
    return (instance_id, chat) if isinstance(instance_id, str) and isinstance(chat, str) else None
