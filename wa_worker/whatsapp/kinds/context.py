"""What goes along with content of any kind: what it answers, whether it was forwarded, whom it mentions, and the
advertisement that it came through. Pure.

All of it stands in the contextInfo of the content, whatever that is.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from google.protobuf.message import Message as Protobuf
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import ContextInfo, Message

from wa_worker.messages import Context, Referral
from wa_worker.models import Jid
from wa_worker.whatsapp.kinds.changes import edit_or_revoke
from wa_worker.whatsapp.kinds.limits import LINK, LONG, clipped
from wa_worker.whatsapp.kinds.reading import shown
from wa_worker.whatsapp.kinds.wrappers import unwrapped

MANY_TIMES = 5
"""Forwards after which phones show two arrows: 'a chain of five or more chats' (WhatsApp's help, on forwarding)."""

MOST_MENTIONS = 1_024
"""People in a group at the most."""

Address = Callable[[str], Jid | None]
"""Reads the address of a person as a message writes it; None for what is none."""

_MEDIA_TYPES = {
    ContextInfo.ExternalAdReplyInfo.IMAGE: "image",
    ContextInfo.ExternalAdReplyInfo.VIDEO: "video",
}


@attrs.frozen
class Details:
    """Holds what goes along with the content, under the names that it has in `InboundMessage`."""

    context: Context | None = None
    referral: Referral | None = attrs.field(default=None, repr=False)
    mentions: tuple[Jid, ...] | None = attrs.field(default=None, repr=False)


def details(message: Message, address: Address) -> Details:
    """Returns what goes along with the content of a message; of an edit, with the new content."""
    info = _context_info(message)
    if info is None:
        return Details()
    return Details(_context(info, address), _referral(info), _mentions(info, address))


def _context_info(message: Message) -> ContextInfo | None:
    message = unwrapped(message)
    protocol = edit_or_revoke(message)
    if protocol is not None:
        message = unwrapped(protocol.editedMessage)
    for field, value in message.ListFields():
        if not isinstance(value, Protobuf) or field.message_type.fields_by_name.get("contextInfo") is None:
            continue
        if value.HasField("contextInfo"):
            info: ContextInfo = value.contextInfo
            return info
    return None


def _context(info: ContextInfo, address: Address) -> Context | None:
    identifier = clipped(info.stanzaID)
    sender = body = None
    if identifier is not None:
        sender = address(info.participant)
        body = clipped(shown(info.quotedMessage).body, LONG)
    context = Context(
        message_id=identifier,
        sender=sender,
        body=body,
        forwarded=True if info.isForwarded or info.forwardingScore else None,
        frequently_forwarded=True if info.forwardingScore >= MANY_TIMES else None,
    )
    return context if context != Context() else None


def _mentions(info: ContextInfo, address: Address) -> tuple[Jid, ...] | None:
    found = (address(each) for each in info.mentionedJID[:MOST_MENTIONS])
    return tuple(dict.fromkeys(each for each in found if each)) or None


def _referral(info: ContextInfo) -> Referral | None:
    """Returns the advertisement. Programs write the same part to show a page with a text, without the fields that tell
    an advertisement."""
    advertisement = info.externalAdReply
    known = (advertisement.sourceType, advertisement.sourceID, advertisement.ctwaClid)
    if not any(map(clipped, known)) and not advertisement.showAdAttribution:
        return None
    media_type = _MEDIA_TYPES.get(advertisement.mediaType)
    return Referral(
        source_url=clipped(advertisement.sourceURL, LINK),
        source_type=clipped(advertisement.sourceType),
        source_id=clipped(advertisement.sourceID),
        headline=clipped(advertisement.title),
        body=clipped(advertisement.body, LONG),
        media_type=media_type,
        image_url=clipped(advertisement.originalImageURL, LINK) or clipped(advertisement.thumbnailURL, LINK),
        video_url=clipped(advertisement.mediaURL, LINK) if media_type == "video" else None,
        ctwa_clid=clipped(advertisement.ctwaClid),
    )
