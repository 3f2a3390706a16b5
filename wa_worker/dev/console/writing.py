"""What the forms make of what a person writes: rows for the proxy's queue. It only looks at the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wa_worker.dev.console.contents import SAMPLES_PATH, object_of, text_of
from wa_worker.dev.console.conversation import HISTORY, chat_of
from wa_worker.dev.console.texts import Said
from wa_worker.dev.errors import CannotDoError
from wa_worker.dev.proxy import Store
from wa_worker.dev.samples import SAMPLES

LONGEST_BODY = 100_000
"""Characters: more than WhatsApp takes, so that one can see what it says."""

LONGEST_EMOJI = 64

EMOJIS = ("👍", "❤️", "😂", "😮", "🙏")

Fields = Mapping[str, str]
Row = dict[str, Any]


def message_row(fields: Fields, store: Store, console: str) -> Row:
    """Returns a message's fields besides `to`: its words, a file if one was chosen, and what it answers. `console`: the
    address at which the worker gets the samples. Raises CannotDoError."""
    name = fields.get("file", "")
    row: Row = {"body": body_of(fields)} if not name else _with_file(name, fields, console)
    if wa_id := fields.get("reply", ""):
        answered, words = _about(wa_id, fields, store)
        row["context"] = {**answered, "body": words} if words else answered
    return row


def reaction_row(fields: Fields, store: Store) -> Row:
    """Returns the same of a reaction. `emoji` '': it is taken back. Raises CannotDoError."""
    emoji = fields.get("emoji", "")
    if len(emoji) > LONGEST_EMOJI:
        raise CannotDoError(Said("That is no emoji."))
    about, _ = _about(fields.get("message", ""), fields, store)
    return {"type": "reaction", "reaction": {**about, "emoji": emoji}}


def body_of(fields: Fields, *, empty: bool = False) -> str:
    """Raises CannotDoError if there is none, or too much of it."""
    body = fields.get("body", "").replace("\r\n", "\n")  # what forms make of a new line
    if not body.strip() and not empty:
        raise CannotDoError(Said("Not sent: the message is empty."))
    if len(body) > LONGEST_BODY:
        raise CannotDoError(Said("Not sent: more than {} characters.", LONGEST_BODY))
    return body


def _with_file(name: str, fields: Fields, console: str) -> Row:
    sample = SAMPLES.get(name)
    if sample is None:
        raise CannotDoError(Said("Not sent: there is no such file."))
    media: Row = {
        "link": f"{console}{SAMPLES_PATH}{sample.name}",
        "mime_type": sample.mime_type,
        "filename": sample.name,
    }
    if sample.voice:
        media["voice"] = True
    caption = body_of(fields, empty=True)
    return {"type": sample.type, "media": {**media, "caption": caption} if caption.strip() else media}


def _about(wa_id: str, fields: Fields, store: Store) -> tuple[Row, str]:
    """Returns how a row names another message of the chat, and that one's words. Raises CannotDoError."""
    instance, chat = fields.get("instance", ""), fields.get("chat", "")
    for received in reversed(store.inbound(instance, last=HISTORY)):
        if received.wa_message_id == wa_id and (received.payload.get("chat_id") or received.from_) == chat:
            if received.content.get("from_me") is True:
                return {"message_id": wa_id}, received.body
            return {"message_id": wa_id, "from": received.payload.get("sender_id") or received.from_}, received.body
    for sent in reversed(store.messages(instance, last=HISTORY)):
        if sent.wa_message_id == wa_id and chat_of(sent) == chat:
            return {"message_id": wa_id}, sent.body or text_of(object_of(sent.content, "media"), "caption")
    raise CannotDoError(Said("Not sent: the message that it is about is not on this page any more."))
