"""What each call that writes does to the store, and what answers it: version 1's calls and the events of version 2.

One function for each kind. None knows how the JSON came; a body that is not what the contract says raises
BadRequestError before anything is written.
"""

from __future__ import annotations

from typing import Any

import attrs

from .content import EVENT, HELD, MESSAGE_STATUS, check_content
from .fields import check_additive, member, message_id, qr_code, status_details, text
from .rows import STATUSES
from .shapes import count
from .store import Store


@attrs.frozen
class Outcome:
    """Says how a call is answered: `error` is None for a 200, whose object has `data` besides `"ok": true`."""

    status: int = 200
    error: str | None = None
    data: dict[str, object] = attrs.field(factory=dict)


OK = Outcome()
UNKNOWN_INSTANCE = Outcome(404, "unknown instance")
UNKNOWN_MESSAGE = Outcome(404, "unknown message")
NO_SUCH_CALL = Outcome(404, "Not Found")


def update_status(store: Store, body: dict[str, Any]) -> Outcome:
    status = member(body, "status", STATUSES)
    known = store.update_status(text(body, "instanceId"), status, qr_code(body), status_details(body))
    return OK if known else UNKNOWN_INSTANCE


def mark_sent(store: Store, body: dict[str, Any], *, instance_id: str | None = None) -> Outcome:
    """instance_id: whose message it has to be. Version 1 does not say."""
    sent_to = text(body, "to") if "to" in body else None
    accepted_at = body.get("timestamp")
    if accepted_at is not None:
        count("timestamp", accepted_at)
    known = store.mark_sent(
        message_id(body), text(body, "wa_message_id"), sent_to, accepted_at, instance_id=instance_id
    )
    return OK if known else UNKNOWN_MESSAGE


def mark_failed(store: Store, body: dict[str, Any], *, instance_id: str | None = None) -> Outcome:
    """instance_id: as in `mark_sent()`."""
    if not store.has_mark_failed:
        return NO_SUCH_CALL
    known = store.mark_failed(message_id(body), text(body, "error", empty=True), instance_id=instance_id)
    return OK if known else UNKNOWN_MESSAGE


def inbound(store: Store, body: dict[str, Any], payload: str) -> Outcome:
    """payload: the JSON of `body`, which is kept as it came."""
    from_ = text(body, "from")
    check_additive(body)
    check_content(body)
    outcome = store.add_inbound(
        instance_id=text(body, "instanceId"),
        chat=body.get("chat_id") or from_,
        from_=from_,
        to=text(body, "to"),
        body=text(body, "body", empty=True),
        wa_message_id=text(body, "wa_message_id"),
        payload=payload,
    )
    if outcome == "unknown":
        return UNKNOWN_INSTANCE
    return Outcome(data={"duplicate": outcome == "repeat"})


def message_status(store: Store, body: dict[str, Any]) -> Outcome:
    if not store.has_message_status:
        return NO_SUCH_CALL
    if body.get("status") == "held" and store.has_held:
        HELD.check_fields(body)
        known = store.hold(text(body, "instanceId"), message_id(body), body["reason"], body["until"])
        return OK if known else UNKNOWN_MESSAGE
    MESSAGE_STATUS.check_fields(body)
    stored = store.add_receipt(body, message_id(body) if body.get("messageId") is not None else None)
    return {"unknown": UNKNOWN_INSTANCE, "unknown message": UNKNOWN_MESSAGE}.get(stored, OK)


def event(store: Store, body: dict[str, Any]) -> Outcome:
    if not store.has_event:
        return NO_SUCH_CALL
    EVENT.check_fields(body)
    return OK if store.add_event(body) == "stored" else UNKNOWN_INSTANCE
