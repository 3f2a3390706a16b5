"""A received message as the text of a row, and back."""

from __future__ import annotations

import json
from typing import Any

import cattrs

from wa_worker.messages import InboundMessage

_models = cattrs.Converter(prefer_attrib_converters=True)

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def content_of(message: InboundMessage) -> str:
    """Returns the text of a message's row."""
    return _ENCODER.encode(_models.unstructure(message))


def message_of(content: str) -> InboundMessage:
    """Reads the message of a row. Raises all sorts of errors for what is none."""
    fields: dict[str, Any] = json.loads(content)
    return _models.structure(fields, InboundMessage)
