"""A received message as the proxy gets it: contract v1's fields, and an object for each kind of content beside them.

And what changed in a group, which is told as an event."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs
import cattrs
from cattrs.gen import make_dict_unstructure_fn, override

from wa_worker.messages import Context, Group, GroupChange, InboundMessage
from wa_worker.models import InstanceId

_RENAMED = {
    InboundMessage: {"wa_id": "wa_message_id", "chat": "from", "sender": "sender_id"},
    Context: {"sender": "from"},
}

_ADDRESS = re.compile(r"[\d.:-]+@[a-z.]+", re.ASCII)

_converter = cattrs.Converter()


def _hook(kind: type[Any]) -> Any:
    names = _RENAMED.get(kind, {})
    renamed: dict[str, Any] = {
        field.name: override(rename=names.get(field.name), omit_if_default=field.default is None and kind is not Group)
        for field in attrs.fields(kind)
    }
    return make_dict_unstructure_fn(kind, _converter, **renamed)


_converter.register_unstructure_hook_factory(attrs.has, _hook)


def inbound_body(instance: InstanceId, message: InboundMessage) -> dict[str, Any]:
    """`POST /inbound`: the v1 fields and the additive ones. `chat_id` repeats `from` under its proper name."""
    fields: dict[str, Any] = _converter.unstructure(message)
    fields.pop("sender_address", None)
    return {"instanceId": instance, **fields, "chat_id": message.chat}


def group_event_body(instance: InstanceId, message: InboundMessage, change: GroupChange) -> dict[str, Any]:
    """`POST /event`: what changed in a group."""
    more = {"announce": change.announce, "description": change.description}
    return {
        "instanceId": instance,
        "event_type": "group",
        "chat_id": message.chat,
        "group": _converter.unstructure(message.group or Group(message.chat)),
        "action": change.action.value,
        "participants": list(change.participants),
        "by": change.by,
        "timestamp": message.timestamp,
        **{name: value for name, value in more.items() if value is not None},
    }


def private_texts(message: InboundMessage) -> tuple[str, ...]:
    """Returns the texts of a message that no log may show: those that its own repr leaves out. Addresses are masked in
    any log, and may be quoted."""
    return tuple(_private(message))


def _private(value: Any, *, hidden: bool = False) -> Iterator[str]:
    if isinstance(value, str):
        if hidden and value and not _ADDRESS.fullmatch(value):
            yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from _private(each, hidden=hidden)
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from _private(getattr(value, field.name), hidden=not field.repr)
