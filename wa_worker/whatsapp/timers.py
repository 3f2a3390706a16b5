"""What a message says of its chat's timer (disappearing messages). Pure.

Each message in such a chat carries the timer, and a change of the setting is a message of its own, the contact's or the
own phone's. Messages may come late and in any order: each notes since when the setting is what it says.
"""

from __future__ import annotations

from google.protobuf.message import Message as Protobuf
from neonize.proto import Neonize_pb2 as pb
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import DisappearingMode, Message, ProtocolMessage

from wa_worker import jid
from wa_worker.journal import TimerNote
from wa_worker.messages import ChatTimer
from wa_worker.models import Jid
from wa_worker.whatsapp.identity import Identity, Lookup, bare
from wa_worker.whatsapp.incoming import seconds
from wa_worker.whatsapp.kinds.wrappers import unwrapped


def timer_note(event: pb.Message, me: Identity, phone_of: Lookup, lid_of: Lookup) -> TimerNote | None:
    """Returns what the message says of the timer of its chat; None if that is nothing. For our own messages, too."""
    source = event.Info.MessageSource
    timer = _timer(unwrapped(event.Message), seconds(event.Info.Timestamp), own=source.IsFromMe)
    if timer is None:
        return None
    group = source.Chat.Server == jid.GROUP
    person, alternative = (
        (source.Chat, source.RecipientAlt) if group or source.IsFromMe else (source.Sender, source.SenderAlt)
    )
    if source.Chat.User == "status" or person.Server not in (jid.GROUP, jid.USER, jid.LID):
        return None  # a status disappears after a day, whatever the chat with its author does
    known: set[Jid | None] = {bare(person)}
    if not group:
        known |= {bare(alternative) if alternative.User else None, phone_of(bare(person)), lid_of(bare(person))}
    return TimerNote(me.jid, frozenset(each for each in known if each), timer)


def _timer(message: Message, sent_at: int, *, own: bool) -> ChatTimer | None:
    protocol = message.protocolMessage if message.HasField("protocolMessage") else None
    if protocol is not None and protocol.type in _SETTINGS:
        # by the server's clock: the phone that changes a setting may have a clock that is behind
        changed_at = sent_at or seconds(protocol.ephemeralSettingTimestamp)
        return _chat_timer(protocol.ephemeralExpiration, changed_at, protocol.disappearingMode, own=own, changed=True)
    for field, value in message.ListFields():
        if not isinstance(value, Protobuf) or field.message_type.fields_by_name.get("contextInfo") is None:
            continue
        context = value.contextInfo
        if context.HasField("expiration") or context.ephemeralSettingTimestamp:
            stated = seconds(context.ephemeralSettingTimestamp)
            set_at = min(stated, sent_at) if stated and sent_at else stated or sent_at
            return _chat_timer(context.expiration, set_at, context.disappearingMode, own=own)
    return None


_SETTINGS = (ProtocolMessage.EPHEMERAL_SETTING, ProtocolMessage.EPHEMERAL_SYNC_RESPONSE)


def _chat_timer(expiration: int, set_at: int, mode: DisappearingMode, *, own: bool, changed: bool = False) -> ChatTimer:
    # as our own messages have it: what a contact began was begun by the other
    initiator = mode.initiator if own else _OTHER_SIDE.get(mode.initiator, mode.initiator)
    return ChatTimer(expiration, set_at, changed, initiator, mode.trigger)


_OTHER_SIDE = {
    DisappearingMode.INITIATED_BY_ME: DisappearingMode.INITIATED_BY_OTHER,
    DisappearingMode.INITIATED_BY_OTHER: DisappearingMode.INITIATED_BY_ME,
}
