"""Messages on their way through the worker. Frozen values.

JSON becomes these in edge/, protobuf in whatsapp/, rows in journal/; nothing else leaves those packages.

content.py: what a message may hold, in both directions
choices.py: an answer to a choice
inbound.py: a message that WhatsApp delivered
wanted.py: which of them go out only if somebody wants them
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
    Call,
    ChatType,
    Group,
    InboundMessage,
    Order,
    PlannedEvent,
    PollVote,
    Product,
    Referral,
)
from wa_worker.messages.outgoing import (
    Accepted,
    ChatTimer,
    Contacts,
    Content,
    Deletion,
    FileFacts,
    MediaKind,
    NewText,
    OutgoingMedia,
    OutgoingMessage,
    QueuedMessage,
    Quote,
    ReactionTo,
    Target,
    Text,
    UploadedFile,
    UploadedMedia,
)
from wa_worker.messages.wanted import Wanted, has_to_be_wanted, wanted

__all__ = [
    "Accepted",
    "Button",
    "Call",
    "ChatTimer",
    "ChatType",
    "ContactCard",
    "ContactName",
    "ContactPhone",
    "Contacts",
    "Content",
    "Context",
    "Deletion",
    "Edit",
    "FileFacts",
    "FlowReply",
    "Group",
    "InboundMessage",
    "Interactive",
    "Location",
    "Media",
    "MediaKind",
    "NewText",
    "OptionReply",
    "Order",
    "OutgoingMedia",
    "OutgoingMessage",
    "PlannedEvent",
    "Poll",
    "PollVote",
    "Product",
    "QueuedMessage",
    "Quote",
    "Reaction",
    "ReactionTo",
    "Referral",
    "Revoke",
    "Target",
    "Text",
    "UploadedFile",
    "UploadedMedia",
    "Wanted",
    "has_to_be_wanted",
    "wanted",
]
