"""An answer to a choice: a tap on a button or on the row of a list. Pure.

The words are those that the person saw: what the answer says, else what the question that it quotes says of the chosen
option. The id of the option goes beside them, under the names that Meta's Cloud API has for it
(developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from wa_worker.messages import Button, FlowReply, Interactive, OptionReply
from wa_worker.whatsapp.kinds.words import json_object, label, label_in
from wa_worker.whatsapp.parsing import readable


@attrs.frozen
class Choice:
    """Describes an answer: the words, and the option with its id, where it has one."""

    words: str
    interactive: Interactive | None = None
    button: Button | None = None


def _button(message: Message) -> Choice:
    answer = message.buttonsResponseMessage
    title = _first(answer.selectedDisplayText) or _asked(answer, answer.selectedButtonID)
    return _option("button_reply", answer.selectedButtonID, title)


def _template_button(message: Message) -> Choice:
    answer = message.templateButtonReplyMessage
    title = _first(answer.selectedDisplayText) or _asked(answer, answer.selectedID)
    return Choice(title, button=Button(answer.selectedID, title) if answer.selectedID else None)


def _row(message: Message) -> Choice:
    answer = message.listResponseMessage
    identifier = answer.singleSelectReply.selectedRowID
    title = _first(answer.title) or _asked(answer, identifier) or answer.description
    return _option("list_reply", identifier, title, answer.description or None)


def _native_flow(message: Message) -> Choice:
    answer = message.interactiveResponseMessage
    flow = answer.nativeFlowResponseMessage
    params = json_object(flow.paramsJSON)
    identifier = params.get("id")
    if not isinstance(identifier, str | int) or isinstance(identifier, bool) or identifier == "":
        body = _first(answer.body.text, label_in(params))
        if not answer.HasField("nativeFlowResponseMessage"):
            return Choice(body)
        reply = FlowReply(flow.name, body, flow.paramsJSON if params else None)
        return Choice(body, Interactive("nfm_reply", nfm_reply=reply))
    identifier = readable(str(identifier))
    title = _first(answer.body.text, label_in(params)) or _asked(answer, identifier)
    kind = "list_reply" if flow.name in _LISTS else "button_reply"
    return _option(kind, identifier, title)


_LISTS = frozenset({"menu_options", "single_select"})

ANSWERS: dict[str, Callable[[Message], Choice]] = {
    "buttonsResponseMessage": _button,
    "templateButtonReplyMessage": _template_button,
    "listResponseMessage": _row,
    "interactiveResponseMessage": _native_flow,
}
"""By the field of the message."""


def _option(kind: str, identifier: str, title: str, description: str | None = None) -> Choice:
    if not identifier:
        return Choice(title)
    reply = OptionReply(identifier, title, description)
    if kind == "list_reply":
        return Choice(title, Interactive(kind, list_reply=reply))
    return Choice(title, Interactive(kind, button_reply=reply))


def _first(*texts: str) -> str:
    """Returns the first text that is more than blanks."""
    return next((text for text in texts if text.strip()), "")


def _asked(answer: Any, identifier: str) -> str:
    """Returns the words of the option in the question that the answer quotes."""
    quoted = answer.contextInfo.quotedMessage
    return label(quoted, identifier) if identifier else ""
