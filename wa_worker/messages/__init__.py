"""Messages on their way through the worker. Frozen values.

JSON becomes these in edge/, protobuf in whatsapp/, rows in journal/; nothing else leaves those packages.

content.py: what a message may hold, in both directions
choices.py: an answer to a choice
media.py: where the file of a message is, and why it may not be had
inbound.py: a message that WhatsApp delivered
wanted.py: which of them go out only if somebody wants them
outgoing.py: a message to send
receipts.py: how far a message of ours has come
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
from wa_worker.messages.media import MediaError, MediaReference
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
from wa_worker.messages.receipts import MessageStatus, Progress, Receipt
from wa_worker.messages.wanted import Wanted, has_to_be_wanted, wanted

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
    "Contacts",
    "Content",
    "Context",
    "Deletion",
    "Edit",
    "FileFacts",
    "FlowReply",
    "Group",
    "GroupAction",
    "GroupChange",
    "InboundMessage",
    "Interactive",
    "Location",
    "Media",
    "MediaError",
    "MediaKind",
    "MediaReference",
    "MessageStatus",
    "NewText",
    "OptionReply",
    "Order",
    "OutgoingMedia",
    "OutgoingMessage",
    "PlannedEvent",
    "Poll",
    "PollVote",
    "Product",
    "Progress",
    "QueuedMessage",
    "Quote",
    "Reaction",
    "ReactionTo",
    "Receipt",
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
