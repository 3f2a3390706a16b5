"""Messages on their way through the worker. Frozen values.

JSON becomes these in edge/, protobuf in whatsapp/, rows in journal/; nothing else leaves those packages.

content.py: what a message may hold, in both directions
choices.py: an answer to a choice
inbound.py: a message that WhatsApp delivered
outgoing.py: a message to send
"""

from __future__ import annotations

from wa_worker.messages.choices import Button, FlowReply, Interactive, OptionReply
from wa_worker.messages.content import (
    ContactCard,
    ContactName,
    ContactPhone,
    Context,
    Edit,
    Location,
    Media,
    Poll,
    Reaction,
    Revoke,
)
from wa_worker.messages.inbound import (
    GROUP_CHANGE,
    Call,
    ChatType,
    Group,
    GroupAction,
    GroupChange,
    InboundMessage,
    Order,
    PlannedEvent,
    PollVote,
    Product,
    Referral,
)
from wa_worker.messages.outgoing import Accepted, ChatTimer, Content, OutgoingMessage, QueuedMessage, Text

__all__ = [
    "GROUP_CHANGE",
    "Accepted",
    "Button",
    "Call",
    "ChatTimer",
    "ChatType",
    "ContactCard",
    "ContactName",
    "ContactPhone",
    "Content",
    "Context",
    "Edit",
    "FlowReply",
    "Group",
    "GroupAction",
    "GroupChange",
    "InboundMessage",
    "Interactive",
    "Location",
    "Media",
    "OptionReply",
    "Order",
    "OutgoingMessage",
    "PlannedEvent",
    "Poll",
    "PollVote",
    "Product",
    "QueuedMessage",
    "Reaction",
    "Referral",
    "Revoke",
    "Text",
]
