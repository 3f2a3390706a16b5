"""An answer to a choice, in the words of Meta's Cloud API. Frozen values."""

from __future__ import annotations

import attrs


@attrs.frozen
class OptionReply:
    """Describes the button or the row of a list that was tapped; `title` is what the person saw of it."""

    id: str
    title: str = attrs.field(repr=False)
    description: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class FlowReply:
    """Describes the end of a form, or of whatever else a native flow is. `response_json` None: it is no JSON object."""

    name: str
    body: str = attrs.field(repr=False)
    response_json: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Interactive:
    """Describes an answer to a choice, as Meta's Cloud API does: `type` names the one field that is set."""

    type: str
    button_reply: OptionReply | None = None
    list_reply: OptionReply | None = None
    nfm_reply: FlowReply | None = None


@attrs.frozen
class Button:
    """Describes a tap on a button of a template, as Meta's Cloud API does. `payload` is the button's id."""

    payload: str
    text: str = attrs.field(repr=False)
