"""What a message carries beside its content: the chat's timer, the message that it answers, whom it mentions."""

from __future__ import annotations

from collections.abc import Sequence

from neonize.proto.waCommon.WACommon_pb2 import MessageKey
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import ContextInfo, DisappearingMode, Message

from wa_worker.messages import ChatTimer, Quote
from wa_worker.models import Jid


def context_info(
    timer: ChatTimer | None, quote: Quote | None, key: MessageKey | None, mentions: Sequence[Jid]
) -> ContextInfo | None:
    """Returns the contextInfo of a message, None if it would say nothing. `key`: of the message that is quoted."""
    context = ContextInfo(mentionedJID=mentions)
    if timer is not None and timer.expiration:
        context.expiration = timer.expiration
        context.ephemeralSettingTimestamp = timer.set_at
        context.disappearingMode.CopyFrom(
            DisappearingMode(
                initiator=timer.initiator,
                trigger=timer.trigger,
                initiatedByMe=timer.initiator == DisappearingMode.INITIATED_BY_ME,
            )
        )
    if quote is not None:
        context.stanzaID = quote.target.message_id
        if key is not None and key.participant:
            context.participant = key.participant
        # phones show what stands here, and look for the real one only when it is tapped
        context.quotedMessage.CopyFrom(Message(conversation=quote.body))
    return context if context.ListFields() else None
