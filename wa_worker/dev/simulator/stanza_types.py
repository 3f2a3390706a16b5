"""What a phone writes around its messages: the attributes of a stanza that say what is in it.

`getTypeFromMessage` and `getEditAttribute` in whatsmeow send.go say the same for what a client sends.
"""

from __future__ import annotations

from typing import Any

from wa_worker.dev.simulator.protobufs import Message

_WRAPPERS = ("editedMessage", "ephemeralMessage", "viewOnceMessage", "viewOnceMessageV2")
_MEDIA = ("imageMessage", "videoMessage", "audioMessage", "documentMessage", "stickerMessage", "ptvMessage")
_REVOKE, _EDIT = 0, 14

EDITED, TAKEN_BACK = "1", "7"


def attributes(message: Any) -> dict[str, str]:
    """Returns `type`, and `edit` where the message changes another one. For a Message."""
    message = _inner(message)
    if message.HasField("reactionMessage"):
        taken_back = {} if message.reactionMessage.text else {"edit": TAKEN_BACK}
        return {"type": "reaction", **taken_back}
    if any(field.name.startswith("poll") for field, _ in message.ListFields()):
        return {"type": "poll"}
    if any(message.HasField(field) for field in _MEDIA):
        return {"type": "media"}
    if message.HasField("protocolMessage") and message.protocolMessage.HasField("type"):
        edit = {_EDIT: EDITED, _REVOKE: TAKEN_BACK}.get(message.protocolMessage.type)
        return {"type": "text", "edit": edit} if edit else {"type": "text"}
    return {"type": "text"}


def _inner(message: Any) -> Any:
    if message.HasField("deviceSentMessage"):
        return _inner(message.deviceSentMessage.message)
    for field in _WRAPPERS:
        if message.HasField(field):
            return _inner(getattr(message, field).message)
    return message


def sent_on_phone(chat: str, message: Any) -> Any:
    """Returns what the account's own phone sends to its linked devices when somebody has sent `message` on it."""
    return Message(deviceSentMessage={"destinationJID": chat, "message": message})
