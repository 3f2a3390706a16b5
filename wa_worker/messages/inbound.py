"""A message that WhatsApp delivered, and what only such a message may hold. Frozen values."""

from __future__ import annotations

import enum

import attrs

from wa_worker.messages.choices import Button, Interactive
from wa_worker.messages.content import ContactCard, Context, Edit, Location, Media, Poll, Reaction, Revoke
from wa_worker.models import Jid, WaMessageId


class ChatType(enum.Enum):
    DIRECT = "direct"
    GROUP = "group"


@attrs.frozen
class Order:
    """Describes a basket that a customer sent: the id of the order, the words beside it, how many articles it has, and
    what they cost together, in units of `currency` (ISO 4217)."""

    id: str
    title: str | None = attrs.field(default=None, repr=False)
    text: str | None = attrs.field(default=None, repr=False)
    item_count: int | None = None
    total: str | None = attrs.field(default=None, repr=False)
    currency: str | None = None


@attrs.frozen
class Product:
    """Describes an article of a catalogue. `price`: in units of `currency` (ISO 4217)."""

    id: str
    title: str | None = attrs.field(default=None, repr=False)
    description: str | None = attrs.field(default=None, repr=False)
    retailer_id: str | None = None
    price: str | None = attrs.field(default=None, repr=False)
    currency: str | None = None
    url: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class PollVote:
    """Describes a vote in the poll `message_id`: the options that are chosen now, in words. None: it cannot be
    decrypted."""

    message_id: str
    selected: tuple[str, ...] | None = attrs.field(default=None, repr=False)


@attrs.frozen
class PlannedEvent:
    """Describes an event that people are invited to. Times are unix seconds."""

    name: str = attrs.field(repr=False)
    description: str | None = attrs.field(default=None, repr=False)
    start_time: int | None = None
    end_time: int | None = None
    location: str | None = attrs.field(default=None, repr=False)
    join_link: str | None = attrs.field(default=None, repr=False)
    canceled: bool | None = None


@attrs.frozen
class Referral:
    """Describes the advertisement that brought a customer, as Meta's Cloud API does."""

    source_url: str | None = attrs.field(default=None, repr=False)
    source_type: str | None = None
    source_id: str | None = None
    headline: str | None = attrs.field(default=None, repr=False)
    body: str | None = attrs.field(default=None, repr=False)
    media_type: str | None = None
    image_url: str | None = attrs.field(default=None, repr=False)
    video_url: str | None = attrs.field(default=None, repr=False)
    ctwa_clid: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Group:
    """Describes the group of a chat. `subject`: its name, where it is known."""

    id: Jid = attrs.field(repr=False)
    subject: str | None = attrs.field(default=None, repr=False)


GROUP_CHANGE = "group_change"
"""The `message_type` of what changed in a group."""


class GroupAction(enum.Enum):
    """Names what can change in a group."""

    SUBJECT = "subject"
    ADD = "add"
    REMOVE = "remove"
    LEAVE = "leave"
    PROMOTE = "promote"
    DEMOTE = "demote"
    ANNOUNCE = "announce"
    DESCRIPTION = "description"


@attrs.frozen
class GroupChange:
    """Describes what changed in a group: with or for whom, and by whom, where that is known.

    announce: whether only admins may write from now on. description: the new one, "" for none.
    """

    action: GroupAction
    participants: tuple[Jid, ...] = attrs.field(default=(), repr=False)
    by: Jid | None = attrs.field(default=None, repr=False)
    announce: bool | None = None
    description: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Call:
    """Describes a call that rang on the phone. `outcome`: `answered`, `rejected` or `missed`; None: nobody knows."""

    id: str
    video: bool | None = None
    group: bool | None = None
    outcome: str | None = None


@attrs.frozen
class InboundMessage:
    """Describes a message that WhatsApp delivered, as `/inbound` wants to hear of it.

    `chat` is the chat's JID (`from` in contract v1); `to` is the participant's JID in a group, else our own.
    `timestamp` is in unix seconds. `body` is empty where the type has no text. `interactive` and `button` are for
    answers to a choice whose option has an id. All below `timestamp` is there only where a message has it.

    from_me: it was sent on the account's own phone; `to` is the chat's person then. update: this message was posted
    before, without its file.
    """

    wa_id: WaMessageId
    chat: Jid = attrs.field(repr=False)
    chat_type: ChatType
    to: Jid = attrs.field(repr=False)
    sender: Jid = attrs.field(repr=False)
    sender_lid: Jid | None = attrs.field(repr=False)
    push_name: str | None = attrs.field(repr=False)
    body: str = attrs.field(repr=False)
    message_type: str
    timestamp: int
    interactive: Interactive | None = attrs.field(default=None, repr=False)
    button: Button | None = attrs.field(default=None, repr=False)
    from_me: bool | None = None
    media: Media | None = None
    context: Context | None = None
    reaction: Reaction | None = None
    edit: Edit | None = None
    revoke: Revoke | None = None
    location: Location | None = None
    contacts: tuple[ContactCard, ...] | None = None
    order: Order | None = None
    product: Product | None = None
    poll: Poll | None = None
    poll_vote: PollVote | None = None
    event: PlannedEvent | None = None
    referral: Referral | None = attrs.field(default=None, repr=False)
    mentions: tuple[Jid, ...] | None = attrs.field(default=None, repr=False)
    group: Group | None = None
    call: Call | None = None
    update: bool | None = None
    group_change: GroupChange | None = None
    """Nobody wrote this: it tells what changed in the group, and goes to the proxy as an event."""
    sender_address: Jid | None = attrs.field(default=None, repr=False)
    """The sender's address as the message had it, where that is another than `sender`. Not for the proxy."""
