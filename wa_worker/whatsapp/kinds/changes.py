"""What changes another message: reactions, edits, deletions for all. Pure.

Whether the sender may do that is not said here: it is the sender's word that the other message is theirs.
"""

from __future__ import annotations

from collections.abc import Callable

from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message, ProtocolMessage

from wa_worker.messages import Edit, Reaction, Revoke
from wa_worker.whatsapp.kinds.content import NOTHING, Content
from wa_worker.whatsapp.kinds.limits import clipped
from wa_worker.whatsapp.kinds.polls import vote

LONGEST_EMOJI = 64
"""Characters of a reaction: the longest emoji that there is, a family with skin tones, has some fifteen."""

Read = Callable[[Message], Content]


def change(message: Message, read: Read) -> Content | None:
    """Returns what the message changes, None if it is no change. `read` reads the message that an edit puts in the
    place of the first one."""
    if message.HasField("reactionMessage"):
        return _reaction(message)
    if message.HasField("pollUpdateMessage"):
        return vote(message)
    protocol = edit_or_revoke(message)
    if protocol is None:
        return None
    target = clipped(protocol.key.ID)
    if target is None:
        return NOTHING
    if protocol.type == ProtocolMessage.REVOKE:
        return Content("revoke", revoke=Revoke(target))
    new = read(protocol.editedMessage)
    return Content("edit", new.body, edit=Edit(target)) if new.kind else NOTHING


def edit_or_revoke(message: Message) -> ProtocolMessage | None:
    """Returns the part of a message that edits or deletes another one."""
    if not message.HasField("protocolMessage"):
        return None
    protocol = message.protocolMessage
    if not protocol.HasField("type") or protocol.type not in (ProtocolMessage.REVOKE, ProtocolMessage.MESSAGE_EDIT):
        return None
    return protocol


def _reaction(message: Message) -> Content:
    reaction = message.reactionMessage
    target = clipped(reaction.key.ID)
    if target is None:
        return NOTHING
    return Content("reaction", reaction=Reaction(target, reaction.text[:LONGEST_EMOJI]))
