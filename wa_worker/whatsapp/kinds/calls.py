"""Calls: what the stanzas of one say of it, and the note of one in a chat. Pure.

This device cannot take a call: it hears that it rings, and mostly how that ended.
"""

from __future__ import annotations

from neonize.proto import Neonize_pb2 as pb
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import CallLogMessage, Message

from wa_worker.messages import Call
from wa_worker.whatsapp.kinds.content import Content

ANSWERED, MISSED, REJECTED = "answered", "missed", "rejected"

_ENDS = {"accepted_elsewhere": ANSWERED, "rejected_elsewhere": REJECTED, "reject": REJECTED, "rejected": REJECTED}

_LOGGED = {
    CallLogMessage.CONNECTED: ANSWERED,
    CallLogMessage.ACCEPTED_ELSEWHERE: ANSWERED,
    CallLogMessage.ONGOING: ANSWERED,
    CallLogMessage.REJECTED: REJECTED,
    CallLogMessage.MISSED: MISSED,
    CallLogMessage.FAILED: MISSED,
    CallLogMessage.SILENCED_BY_DND: MISSED,
    CallLogMessage.SILENCED_UNKNOWN_CALLER: MISSED,
}


def heard(news: pb.CallOffer | pb.CallOfferNotice | pb.CallAccept | pb.CallTerminate) -> Call:
    """Returns what a stanza says of a call. `outcome` None: it rings.

    A call that ends before anybody was heard to take it was taken or refused on another device of the account, if the
    reason says so; else nobody took it ('timeout'; '' where the caller hung up).
    """
    identifier = news.basicCallMeta.callID
    if isinstance(news, pb.CallOffer):
        return Call(identifier, video=any(each.Tag == "video" for each in news.data.Nodes))
    if isinstance(news, pb.CallOfferNotice):
        return Call(identifier, video=news.media == "video", group=news.type == "group")
    reason = news.reason if isinstance(news, pb.CallTerminate) else "accepted_elsewhere"
    return Call(identifier, outcome=_ENDS.get(reason, MISSED))


def group_of(offer: pb.Node) -> str:
    """Returns the address of the group that a call is for, '' if it is for none."""
    for attribute in offer.Attrs:
        if attribute.name == "group-jid":
            address = attribute.jid
            return f"{address.User}@{address.Server}" if address.User else attribute.text
    return ""


def call_log(message: Message) -> Content:
    """Returns the note of a call in a chat. It has no id but that of its message."""
    log = message.callLogMesssage
    return Content("call", call=Call("", video=log.isVideo, outcome=_LOGGED.get(log.callOutcome, MISSED)))
