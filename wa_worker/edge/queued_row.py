"""A row of the proxy's queue as a message to send. Pure."""

from __future__ import annotations

from wa_worker.edge.row_content import content, target
from wa_worker.edge.row_values import bounded, encodable, line, message_id, shape
from wa_worker.errors import Failure, RowError
from wa_worker.messages import QueuedMessage, Quote

MAX_MENTIONS = 1024
"""As many people as a group may have."""

LONGEST_TYPING = 30_000
"""Milliseconds: phones stop showing it after some 25 seconds by themselves."""


def queued_message(item: object) -> QueuedMessage:
    """Returns the message. Raises RowError, ValueError, TypeError, or KeyError for what is missing."""
    if not isinstance(item, dict):
        raise ValueError(f"row is {shape(item)}, not an object")
    to = item["to"]
    if isinstance(to, int) and not isinstance(to, bool):
        to = str(to)  # a number column in the proxy's table: unambiguous, so taken
    if not isinstance(to, str) or not to.strip():
        raise RowError(Failure.NO_TO, "to is not a string with something in it")
    encodable("to", to)
    return QueuedMessage(
        message_id(item["id"]),
        to,
        content(item),
        quote=_quote(item.get("context")),
        mentions=_mentions(item.get("mentions")),
        typing=_typing(item.get("typing_ms")),
    )


def _quote(context: object) -> Quote | None:
    if context is None:
        return None
    if not isinstance(context, dict):
        raise RowError(Failure.BAD_CONTEXT, f"context is {shape(context)}")
    body = context.get("body")
    if body is not None and not isinstance(body, str):
        raise RowError(Failure.BAD_CONTEXT, "context.body is not a string")
    return Quote(target(context, Failure.BAD_CONTEXT), bounded(body or ""))


def _mentions(mentions: object) -> tuple[str, ...]:
    if mentions is None:
        return ()
    if not isinstance(mentions, list) or len(mentions) > MAX_MENTIONS:
        raise RowError(Failure.BAD_MENTIONS)
    people = [str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in mentions]
    if not all(isinstance(each, str) and each.strip() for each in people):
        raise RowError(Failure.BAD_MENTIONS)
    return tuple(dict.fromkeys(line(each, "mentions", Failure.BAD_MENTIONS) or "" for each in people))


def _typing(typing: object) -> float | None:
    if typing is None:
        return None
    if isinstance(typing, bool) or not isinstance(typing, int) or not 0 <= typing <= LONGEST_TYPING:
        raise RowError(Failure.BAD_TYPING)
    return typing / 1000
