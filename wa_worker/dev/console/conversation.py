"""The conversations of an instance: its rows at the proxy, sorted into chats, with what is about a message put to it.

Reactions, edits, deletions and votes go to the message that they are about, if it is on the page and theirs to change;
else they stand by themselves, as whatever was not sent yet. It reads only. Of an instance the last HISTORY messages of
each direction are shown, so that the page stays quick while thousands are queued; the proxy's /admin has all.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import attrs

from wa_worker.dev.addresses import phone_or_jid
from wa_worker.dev.console.contents import Content, boxes_of, file_in, file_out, list_of, object_of, people, text_of
from wa_worker.dev.console.display_text import SHOWN, UNFOLDED, parts
from wa_worker.dev.console.files import Files
from wa_worker.dev.console.notes import note
from wa_worker.dev.console.page import At, Body, Chat, Message, Quote, Reaction
from wa_worker.dev.console.texts import Said
from wa_worker.dev.console.ticks import Ticks, ticks_of
from wa_worker.dev.proxy import InboundRow, MessageRow, Store
from wa_worker.jid import destination

HISTORY = 300

US = Said("you")

_IN_BOXES = ("contact", "contacts", "poll", "event", "order", "product", "call", "view_once")
"""Kinds whose words say what their box says."""

_FILES = ("image", "video", "audio", "document", "sticker")


@attrs.frozen
class _Entry:
    """Holds a message and what is known of it besides: whose it is, by address, and what it holds."""

    at: float
    chat: str
    message: Message
    author: str
    who: str
    content: Content
    name: str = ""
    group: bool = False
    settled: bool = True
    """It has happened: it came in, or was sent."""


@attrs.define
class _Shown:
    """Holds a message of the page while others are put to it."""

    entry: _Entry
    message: Message
    reactions: dict[str, Reaction] = attrs.Factory(dict)
    votes: dict[str, str] = attrs.Factory(dict)

    def whole(self) -> Message:
        boxes = self.message.boxes
        if self.votes and boxes:
            lines = (*boxes[0].lines, *self.votes.values())
            boxes = (attrs.evolve(boxes[0], lines=lines), *boxes[1:])
        return attrs.evolve(self.message, reactions=tuple(self.reactions.values()), boxes=boxes)


class Conversations:
    """Reads a store. `console`: the address at which a worker gets the samples."""

    def __init__(self, store: Store, files: Files | None = None, console: str = "") -> None:
        self._store = store
        self._files = files
        self._console = console

    def of(self, instance: str) -> tuple[dict[str, list[Message]], list[Chat]]:
        """Returns the messages of each chat, oldest first, and the chats, the latest first."""
        shown: dict[str, list[_Shown]] = {}
        names: dict[str, str] = {}
        for entry in sorted(self._entries(instance), key=lambda each: each.at):
            names[entry.chat] = entry.name or names.get(entry.chat, "")
            there = shown.setdefault(entry.chat, [])
            if not _changes_another(entry, there):
                there.append(_Shown(entry, _quoting(entry, there)))
        messages = {chat: [each.whole() for each in of] for chat, of in shown.items()}
        chats = [chat_shown(instance, chat, names[chat], of[-1].last, of[-1].at) for chat, of in messages.items() if of]
        return messages, sorted(chats, key=lambda chat: -chat.at)

    def _entries(self, instance: str) -> Iterator[_Entry]:
        out = self._store.messages(instance, last=HISTORY)
        ticks = ticks_of(self._store.receipts_of(instance, [row.wa_message_id for row in out if row.wa_message_id]))
        for row in out:
            yield self._outbound(row, ticks.get(row.wa_message_id or "", Ticks()))
        for received in self._store.inbound(instance, last=HISTORY):
            yield self._inbound(received)
        for event in self._store.group_events(instance, last=HISTORY):
            words = note(event.payload)
            message = Message(_key(f"event-{event.seq}"), "note", "", event.received_at, body_of(words), "", last=words)
            name = text_of(object_of(event.payload, "group"), "subject")
            yield _Entry(event.received_at, event.chat, message, "", "", {}, name, group=True)

    def _outbound(self, row: MessageRow, ticks: Ticks) -> _Entry:
        if row.status == "failed":
            words = Said("failed: {}", row.error) if row.error else Said("failed")
        elif row.status == "sent":
            words = Said("marked sent {} times, first", row.marks) if row.marks > 1 else Said("marked sent")
        else:
            words = Said("")
        content = row.content or {}
        kind = text_of(content, "type") or "text"
        media = object_of(content, "media")
        chat = chat_of(row)
        message = Message(
            key=_key(f"out-{row.id}"),
            state=row.status,
            words=words,
            at=row.queued_at,
            body=body_of(_words(kind, text_of(media, "caption") or row.body, content)),
            wa_id=row.wa_message_id or "",
            marked_at=row.sent_at,
            kind=_kind(kind),
            file=file_out(media, kind, self._console) if media and kind in _FILES else None,
            ticks=ticks.rank,
            ticks_words=ticks.words,
        )
        entry = _Entry(row.queued_at, chat, message, US, US, content, settled=row.status == "sent")
        return _whole(entry, kind, row.instance_id)

    def _inbound(self, row: InboundRow) -> _Entry:
        said, content = row.payload, row.content
        kind = said.get("message_type") or "text"
        group, from_me = said.get("chat_type") == "group", content.get("from_me") is True
        author = US if from_me else said.get("sender_id") or row.from_
        push_name = said.get("push_name") or ""
        who = US if from_me else push_name or phone_or_jid(author)
        media = object_of(content, "media")
        name = text_of(object_of(content, "group"), "subject") if group else "" if from_me else push_name
        message = Message(
            key=_key(f"in-{row.seq}"),
            state="phone" if from_me else "in",
            words="" if row.times_posted == 1 else Said("posted {} times", row.times_posted),
            at=row.received_at,
            body=body_of(_words(kind, row.body, content)),
            wa_id=row.wa_message_id,
            sender=who if group and not from_me else "",
            kind=_kind(kind),
            file=file_in(media, kind, self._files) if media and self._files else None,
        )
        chat = said.get("chat_id") or row.from_
        entry = _Entry(row.received_at, chat, message, author, who, content, name, group)
        return _whole(entry, kind, row.instance_id)


def _whole(entry: _Entry, kind: str, instance: str) -> _Entry:
    """Returns it with what is in it besides words and a file, with where one answers it, and with what is said of it in
    the list of chats."""
    content, wa_id = entry.content, entry.message.wa_id
    context = object_of(content, "context")
    often, once = context.get("frequently_forwarded") is True, context.get("forwarded") is True
    message = attrs.evolve(
        entry.message,
        boxes=boxes_of(kind, content),
        mentions=people(content, "mentions"),
        marks=("forwarded many times",) if often else ("forwarded",) if once else (),
        answer=bool(wa_id and entry.settled),
    )
    return attrs.evolve(entry, message=attrs.evolve(message, last=summary(message)))


def _quoting(entry: _Entry, there: list[_Shown]) -> Message:
    """Returns the message with what it answers."""
    context = object_of(entry.content, "context")
    if not (wa_id := text_of(context, "message_id")):
        return entry.message
    answered = _find(wa_id, there)
    words = text_of(context, "body")
    if answered is None:
        from_ = text_of(context, "from")
        said = Quote(phone_or_jid(from_) if from_ else "", words or Said("a message that is not here"))
    else:
        said = Quote(answered.entry.who, words or answered.message.last, answered.message.key)
    return attrs.evolve(entry.message, quote=said)


def _changes_another(entry: _Entry, there: list[_Shown]) -> bool:
    """Puts what is about another message to it. False: it stands by itself."""
    change = next((key for key in ("reaction", "edit", "revoke", "poll_vote") if key in entry.content), "")
    about = object_of(entry.content, change)
    other = _find(text_of(about, "message_id"), there)
    if other is None or not entry.settled:
        return False
    own = entry.author == other.entry.author
    if change == "reaction":
        other.reactions.pop(entry.author, None)
        if emoji := text_of(about, "emoji"):
            other.reactions[entry.author] = Reaction(emoji, entry.who)
    elif change == "poll_vote":
        chosen = ", ".join(each for each in list_of(about, "selected") if isinstance(each, str))
        other.votes[entry.author] = Said("{}: {}", entry.who, chosen or Said("has voted"))
    elif change == "edit" and own:
        before = other.message.before or "".join(part.text for part in other.message.body.start)
        marks = tuple(dict.fromkeys((*other.message.marks, "edited")))
        other.message = attrs.evolve(other.message, body=entry.message.body, before=before, marks=marks)
        other.message = attrs.evolve(other.message, last=summary(other.message))
    elif change == "revoke" and (own or entry.group):  # an admin of a group deletes what others wrote
        marks = tuple(dict.fromkeys((*other.message.marks, "deleted")))
        other.message = attrs.evolve(other.message, marks=marks, last=Said("[deleted]"), answer=False)
    else:
        return False
    return True


def _find(wa_id: str, there: list[_Shown]) -> _Shown | None:
    return next((each for each in reversed(there) if wa_id and each.message.wa_id == wa_id), None)


def chat_shown(instance: str, chat: str, name: str, last: str, at: float) -> Chat:
    return Chat(
        key=f"chat-{_key(chat)}",
        id=chat,
        name=name,
        address=phone_or_jid(chat),
        last=last,
        at=at,
        url=f"{At(instance, chat).url()}#conversation",
        current=False,
    )


def chat_of(row: MessageRow) -> str:
    try:
        return destination(row.to)
    except ValueError:
        return row.to or "(no number)"


def _words(kind: str, body: str, content: Content) -> str:
    """Returns the words of a message that nothing else on the page says."""
    if kind in _IN_BOXES and boxes_of(kind, content):
        return ""
    if kind == "location" and "location" in content:
        return "\n".join(body.splitlines()[1:])  # the first line names the place
    return text_of(object_of(content, "reaction"), "emoji") or body if kind == "reaction" else body


def _kind(kind: str) -> str:
    return "" if kind == "text" else kind


def body_of(text: str) -> Body:
    rest = text[SHOWN : SHOWN + UNFOLDED]
    return Body(
        start=tuple(parts(text[:SHOWN])),
        rest=tuple(parts(rest)),
        folded=len(rest),
        cut=max(0, len(text) - SHOWN - UNFOLDED),
    )


def summary(message: Message) -> str:
    text = "".join(part.text for part in message.body.start)
    text = text or (message.boxes[0].title if message.boxes else "")
    return f"[{message.kind}] {text}".rstrip() if message.kind else text


def _key(text: str) -> str:
    """Returns the same, fit for an HTML id."""
    return quote(text, safe="")
