"""What is about another message: reactions, new words, deletions. They show nothing by themselves, so they carry no
timer. How they leave (the stanza's `type` and `edit`) the library reads out of them."""

from __future__ import annotations

from neonize.proto.waCommon.WACommon_pb2 import MessageKey
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import FutureProofMessage, Message, ProtocolMessage, ReactionMessage


def reaction(key: MessageKey, emoji: str, now: int) -> Message:
    """Returns a reaction; '' takes it back. `now`: unix ms."""
    return Message(reactionMessage=ReactionMessage(key=key, text=emoji, senderTimestampMS=now))


def new_text(key: MessageKey, text: Message, now: int) -> Message:
    """Returns an edit, in the wrapper in which phones send it. `now`: unix ms."""
    edit = ProtocolMessage(key=key, type=ProtocolMessage.MESSAGE_EDIT, editedMessage=text, timestampMS=now)
    return Message(editedMessage=FutureProofMessage(message=Message(protocolMessage=edit)))


def deletion(key: MessageKey) -> Message:
    """Returns a deletion for all."""
    return Message(protocolMessage=ProtocolMessage(key=key, type=ProtocolMessage.REVOKE))
