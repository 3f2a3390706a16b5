"""Messages to send, and what WhatsApp says of one that it accepted. Frozen values."""

from __future__ import annotations

import enum
from functools import partial
from secrets import token_bytes

import attrs

from wa_worker.messages.content import ContactCard, Location, Poll
from wa_worker.models import Jid, MessageId, WaMessageId


@attrs.frozen
class Text:
    """Describes a plain text."""

    body: str = attrs.field(repr=False)


class MediaKind(enum.Enum):
    """Says as what a file is shown, and so with which keys it is encrypted."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"
    STICKER = "sticker"


@attrs.frozen
class OutgoingMedia:
    """Describes a file to send, which is at `link` still. `voice`: an audio that is shown as a voice note."""

    kind: MediaKind
    link: str = attrs.field(repr=False)
    mime_type: str | None = None
    filename: str | None = attrs.field(default=None, repr=False)
    caption: str | None = attrs.field(default=None, repr=False)
    voice: bool = False


@attrs.frozen
class FileFacts:
    """Says what a file tells of itself. `duration`: seconds. `width`, `height`: pixels, as it is shown.

    waveform: of a voice note, 64 bytes from 0 to 100. thumbnail: a small JPEG.
    """

    mime_type: str
    width: int | None = None
    height: int | None = None
    duration: int | None = None
    waveform: bytes | None = attrs.field(default=None, repr=False)
    thumbnail: bytes | None = attrs.field(default=None, repr=False)


@attrs.frozen
class UploadedFile:
    """Says where WhatsApp has a file, encrypted, and the key to it. `size`: bytes of the file itself."""

    url: str = attrs.field(repr=False)
    direct_path: str = attrs.field(repr=False)
    media_key: bytes = attrs.field(repr=False)
    sha256: bytes = attrs.field(repr=False)
    encrypted_sha256: bytes = attrs.field(repr=False)
    size: int


@attrs.frozen
class UploadedMedia:
    """Describes a file that can be sent: WhatsApp has it."""

    media: OutgoingMedia
    facts: FileFacts
    file: UploadedFile


@attrs.frozen
class Target:
    """Names the message that another is about. `sender`: who wrote it, as the proxy writes it, if it does."""

    message_id: str
    sender: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Quote:
    """Says what a message answers. `body`: the words that are shown of that one."""

    target: Target
    body: str = attrs.field(default="", repr=False)


@attrs.frozen
class Contacts:
    """Holds cards, one at the least."""

    cards: tuple[ContactCard, ...]


@attrs.frozen
class ReactionTo:
    """Describes a reaction. `emoji` '': it is taken back."""

    target: Target
    emoji: str = attrs.field(repr=False)


@attrs.frozen
class NewText:
    """Gives a message of ours new words. `captioned`: as what it was sent with the words as its caption; None: it is a
    text."""

    target: Target
    body: str = attrs.field(repr=False)
    captioned: MediaKind | None = None


@attrs.frozen
class Deletion:
    """Deletes a message for all who have it."""

    target: Target


Content = Text | OutgoingMedia | UploadedMedia | Location | Contacts | ReactionTo | NewText | Deletion | Poll
"""What a message to send consists of. A union: each kind of content is a class of its own."""


@attrs.frozen
class ChatTimer:
    """Describes the timer of a chat with disappearing messages, as it is since `set_at` (unix seconds).

    `expiration`: seconds, 0 if it is off. `changed`: somebody changed the setting then; else a message told of it.
    `initiator` and `trigger` are WhatsApp's numbers (DisappearingMode), as messages of ours have them.
    """

    expiration: int
    set_at: int
    changed: bool = False
    initiator: int = 0
    trigger: int = 0


@attrs.frozen
class QueuedMessage:
    """A message the proxy wants sent. `to` is as the proxy wrote it; `jid.destination()` makes it an address. So are
    `mentions`, the people it speaks to. `typing`: seconds for which the receiver sees that somebody writes; None: the
    proxy says nothing of it."""

    id: MessageId
    to: str = attrs.field(repr=False)
    content: Content
    quote: Quote | None = None
    mentions: tuple[str, ...] = attrs.field(default=(), repr=False)
    typing: float | None = None

    @property
    def target(self) -> Target | None:
        """The message that this one is about or answers."""
        return target_of(self.content, self.quote)

    @property
    def takes_time(self) -> bool:
        """Says whether there is something to do before it can be sent."""
        return bool(self.typing) or isinstance(self.content, OutgoingMedia)


@attrs.frozen
class OutgoingMessage:
    """Describes a message on its way to WhatsApp. The random `secret` of 32 bytes (`messageSecret` in its
    messageContextInfo) tells this try to send it from any other: official clients send one, too.

    author: who wrote the message that this one is about, if the proxy says. ours: the ledger knows that one as ours.
    """

    to: Jid = attrs.field(repr=False)
    content: Content
    secret: bytes = attrs.field(factory=partial(token_bytes, 32), repr=False)
    quote: Quote | None = None
    mentions: tuple[Jid, ...] = attrs.field(default=(), repr=False)
    author: Jid | None = attrs.field(default=None, repr=False)
    ours: bool = False

    @property
    def target(self) -> Target | None:
        """The message that this one is about or answers."""
        return target_of(self.content, self.quote)

    @property
    def poll_options(self) -> tuple[str, ...] | None:
        """What can be chosen in the poll that this is."""
        return self.content.options if isinstance(self.content, Poll) else None


def target_of(content: Content, quote: Quote | None) -> Target | None:
    """Returns the message that such a message is about or answers, None if there is none."""
    if isinstance(content, ReactionTo | NewText | Deletion):
        return content.target
    return quote.target if quote is not None else None


@attrs.frozen
class Accepted:
    """WhatsApp accepted a message: its id there, and when (unix seconds, the server's clock)."""

    wa_id: WaMessageId
    timestamp: int
    to: Jid | None = attrs.field(default=None, repr=False)
    """The JID that it went to, where WhatsApp has named another than it was addressed to."""
