"""Polls. The secret that a message carries anyway is what the votes are encrypted with."""

from __future__ import annotations

from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import ContextInfo, Message, PollCreationMessage

from wa_worker.messages import Poll


def poll(asked: Poll, context: ContextInfo | None) -> Message:
    """Returns a poll: version 3 of its message if one may choose one option, version 1 for more, as phones do."""
    made = PollCreationMessage(
        name=asked.name,
        options=[PollCreationMessage.Option(optionName=option) for option in asked.options],
        selectableOptionsCount=asked.selectable_count,
        contextInfo=context,
    )
    if asked.selectable_count == 1:
        return Message(pollCreationMessageV3=made)
    return Message(pollCreationMessage=made)
