"""What a message is known by on each side of a worker, so that its copies can be counted and its files compared.

A file is known by its hash or its name, an edit and a reaction by the message that they are about and what they say,
all else by its words.
"""

from __future__ import annotations

import hashlib
from typing import Any

from wa_worker.dev.proxy import InboundRow, MessageRow
from wa_worker.dev.proxy.storage import Storage
from wa_worker.dev.simulator import Contact
from wa_worker.dev.simulator.media_messages import Damaged, has_file

_EDIT = 14


def edit_of(wa_id: str, text: str) -> str:
    return f"edit of {wa_id}: {text}"


def reaction_to(wa_id: str, emoji: str) -> str:
    return f"reaction to {wa_id}: {emoji}"


def edited(chat: str, wa_id: str, text: str) -> dict[str, Any]:
    """The fields of a Message by which somebody changes what they wrote in a chat."""
    key = {"remoteJID": chat, "ID": wa_id, "fromMe": True}
    return {"protocolMessage": {"type": _EDIT, "key": key, "editedMessage": {"conversation": text}}}


def reacted(chat: str, wa_id: str, emoji: str) -> dict[str, Any]:
    """Those of a reaction."""
    return {"reactionMessage": {"key": {"remoteJID": chat, "ID": wa_id, "fromMe": True}, "text": emoji}}


def said_in(row: InboundRow) -> str:
    """What a message that the proxy got is known by."""
    content, kind = row.content, row.payload["message_type"]
    if media := content.get("media"):
        return str(media["sha256"])
    if kind == "edit":
        return edit_of(content["edit"]["message_id"], row.body)
    if kind == "reaction":
        return reaction_to(content["reaction"]["message_id"], content["reaction"]["emoji"])
    return row.body


def said_out(row: MessageRow) -> str:
    """What a queued message is known by."""
    content = row.content or {}
    match content.get("type"):
        case "document":
            return str(content["media"]["filename"])
        case "edit":
            return edit_of(content["edit"]["message_id"], row.body)
        case "reaction":
            return reaction_to(content["reaction"]["message_id"], content["reaction"]["emoji"])
    return row.body


def read(message: Any, text: str) -> str:
    """What a message that a contact got is known by; `text`: its words, if it is a text."""
    if has_file(message):
        return str(message.documentMessage.fileName)
    if message.HasField("reactionMessage"):
        return reaction_to(message.reactionMessage.key.ID, message.reactionMessage.text)
    if message.HasField("editedMessage"):
        change = message.editedMessage.message.protocolMessage
        return edit_of(change.key.ID, change.editedMessage.conversation)
    return text


def hash_at_contact(contact: Contact, message: Any) -> str:
    """The SHA-256 of the file that a contact got, in hex, or what is wrong with it."""
    try:
        return hashlib.sha256(contact.files.open(message)).hexdigest()
    except (Damaged, KeyError) as error:
        return repr(error)


def hash_at_proxy(storage: Storage, row: InboundRow) -> str | None:
    """The SHA-256 of a message's file at the proxy, in hex; None: it has none."""
    media = row.content["media"]
    data = storage.read(media["url"]) if media.get("url") else None
    return None if data is None else hashlib.sha256(data).hexdigest()
