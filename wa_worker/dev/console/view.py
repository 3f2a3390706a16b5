"""Fills a Page with what there is to see. It reads only: it changes nothing and waits for nothing.

Of an instance the last HISTORY messages of each direction are shown, so that the page stays quick while thousands are
queued; the proxy's /admin has all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import attrs

from wa_worker.dev.addresses import phone_or_jid
from wa_worker.dev.console.display_text import SHOWN, UNFOLDED, parts
from wa_worker.dev.console.page import NEW, At, Badge, Body, Card, Chat, Composer, Message, Page, Phone
from wa_worker.dev.console.reasons import in_words
from wa_worker.dev.proxy import InboundRow, InstanceRow, MessageRow, Store
from wa_worker.jid import USER, destination, is_number
from wa_worker.states import State

if TYPE_CHECKING:
    from wa_worker.dev.console.worker_state import WorkerState
    from wa_worker.dev.world.people import SimulatedUsers

HISTORY = 300


class View:
    """Looks at the proxy, the worker's word and, if there are any, the simulated people."""

    def __init__(self, store: Store, worker: WorkerState, users: SimulatedUsers | None) -> None:
        self._store = store
        self._worker = worker
        self._users = users

    def page(self, at: At) -> Page:
        """Says what is there now. The page's `at` says what was chosen where `at` left it open."""
        parked = set(self._store.parked())
        rows = self._store.instances()
        names = sorted({row.id for row in rows} | parked)
        instance = at.instance or next(iter(names), "")
        messages, chats = self._conversations(instance)
        chat = at.chat or next((chat.id for chat in chats), "")
        at = At(instance, chat)
        cards = [self._card(row, at) for row in rows] + [self._parked_card(each, at) for each in parked]
        chats = [attrs.evolve(each, current=each.id == chat) for each in chats]
        head = next((each for each in chats if each.current), None)
        if head is None and chat not in ("", NEW):
            head = _chat(instance, chat, "", "", 0.0)
        users = self._users
        return Page(
            at=at,
            health=self._worker.counts,
            cards=tuple(sorted(cards, key=lambda card: card.id)),
            chats=tuple(chats),
            head=head,
            messages=tuple(messages.get(chat, ())),
            composer=Composer(
                instance=instance,
                chat=chat or NEW,
                name=head.name or head.address if head else "",
                ready=any(row.id == instance for row in rows),
                simulated=users is not None,
                person=is_number(chat),
                suggested=users.contact if users else "",
            ),
        )

    def _card(self, row: InstanceRow, at: At) -> Card:
        phone = None
        if self._users is not None:
            linked = self._users.device_of(row.id) is not None
            number = phone_or_jid(f"{self._users.phone_of(row.id)}@{USER}")
            phone = Phone(number, linked=linked, scans=row.qr_code is not None)
        return Card(
            key=f"card-{_key(row.id)}",
            id=row.id,
            badge=self._badge(row),
            status=row.status,
            why=in_words(row),
            since=row.updated_at,
            qr_code=row.qr_code,
            pairing_code=row.pairing_code,
            phone=phone,
            url=At(row.id).url(),
            current=row.id == at.instance,
        )

    def _badge(self, row: InstanceRow) -> Badge:
        """The proxy's word comes first: a back end goes by that. The worker's makes it precise, or stands beside it."""
        told = self._worker.of(row.id)
        if row.qr_code is not None:
            how = _SCAN_BY_HAND if self._users is None else _SCAN_BY_BUTTON
            return Badge("Waiting for a scan", "wait", f"{_LOGGED_OUT} {how}" if told.logged_out else how)
        badge = _STATES.get((row.status, told.state))
        if badge is not None and told.logged_out:
            return attrs.evolve(badge, detail=_LOGGED_OUT)
        if badge is not None:
            return attrs.evolve(badge, detail=told.why) if told.state in _TELLS_WHY else badge
        if row.status == "CONNECTED" and told.state is None and self._worker.answers:
            return Badge("Connected", "wait", "So says the proxy; the worker does not run it.")
        detail = f"The worker says: {told.state.value}" if told.state else ""
        return attrs.evolve(_STATUSES[row.status], detail=detail)

    def _parked_card(self, instance: str, at: At) -> Card:
        going = self._worker.of(instance).state is not None
        badge = Badge("Letting go", "wait", _GOING) if going else Badge("Disconnected", "off", _PARKED)
        return Card(
            key=f"card-{_key(instance)}",
            id=instance,
            badge=badge,
            status="",
            why="",
            since=0.0,
            qr_code=None,
            pairing_code=None,
            phone=None,
            url=At(instance).url(),
            current=instance == at.instance,
        )

    def _conversations(self, instance: str) -> tuple[dict[str, list[Message]], list[Chat]]:
        """Returns the messages of each chat, oldest first, and the chats, the latest first."""
        items = [
            (row.queued_at, _chat_of(row), "", _outbound(row)) for row in self._store.messages(instance, last=HISTORY)
        ]
        for row in self._store.inbound(instance, last=HISTORY):
            direct = row.payload.get("chat_type") != "group"
            name = row.payload.get("push_name") if direct else None
            items.append((row.received_at, row.payload.get("chat_id") or row.from_, name or "", _inbound(row)))
        messages: dict[str, list[Message]] = {}
        names: dict[str, str] = {}
        for _, chat, name, message in sorted(items, key=lambda item: item[0]):
            messages.setdefault(chat, []).append(message)
            names[chat] = name or names.get(chat, "")
        chats = [_chat(instance, chat, names[chat], _summary(of[-1]), of[-1].at) for chat, of in messages.items()]
        return messages, sorted(chats, key=lambda chat: -chat.at)


_GOING = "The worker is about to notice that the proxy does not want it any more."
_PARKED = "The worker keeps the session: Connect resumes it without a scan."

_STATUSES = {
    "CONNECTED": Badge("Connected", "good"),
    "CONNECTING": Badge("Connecting", "wait"),
    "DISCONNECTED": Badge("Disconnected", "off"),
}
_STATES = {
    ("CONNECTED", State.CONNECTED): Badge("Connected", "good"),
    ("CONNECTING", State.PAIRING): Badge("Getting a QR code", "wait"),
    ("CONNECTING", State.OPENING): Badge("Logging in", "wait"),
    ("CONNECTING", State.RECONNECTING): Badge("Reconnecting", "wait"),
    ("CONNECTING", State.RETRYING): Badge("Reconnecting", "wait"),
    ("DISCONNECTED", State.PAIRING): Badge("Getting a QR code", "wait"),
    ("DISCONNECTED", State.LOGGED_OUT): Badge("Logged out", "bad"),
    ("DISCONNECTED", State.HELD): Badge("On hold", "bad"),
    ("DISCONNECTED", None): Badge("Waiting for the worker", "wait"),
}
_TELLS_WHY = {State.RECONNECTING, State.RETRYING, State.HELD}

_LOGGED_OUT = "The phone logged this device out."
_SCAN_BY_HAND = "On your phone: WhatsApp > Linked devices > Link a device."
_SCAN_BY_BUTTON = "The simulated phone can scan this code."


def _chat(instance: str, chat: str, name: str, last: str, at: float) -> Chat:
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


def _chat_of(row: MessageRow) -> str:
    try:
        return destination(row.to)
    except ValueError:
        return row.to or "(no number)"


def _outbound(row: MessageRow) -> Message:
    if row.status == "failed":
        words = f"failed: {row.error}" if row.error else "failed"
    elif row.status == "sent":
        words = f"marked sent {row.marks} times, first" if row.marks > 1 else "marked sent"
    else:
        words = ""
    return Message(
        key=_key(f"out-{row.id}"),
        state=row.status,
        words=words,
        at=row.queued_at,
        body=_body(row.body),
        wa_id=row.wa_message_id or "",
        marked_at=row.sent_at,
    )


def _inbound(row: InboundRow) -> Message:
    kind = row.payload.get("message_type") or "text"
    sender = ""
    if row.payload.get("chat_type") == "group":
        sender = row.payload.get("push_name") or phone_or_jid(row.payload.get("sender_id") or row.from_)
    return Message(
        key=_key(f"in-{row.seq}"),
        state="in",
        words="" if row.times_posted == 1 else f"posted {row.times_posted} times",
        at=row.received_at,
        body=_body(row.body),
        wa_id=row.wa_message_id,
        sender=sender,
        kind="" if kind == "text" else kind,
    )


def _body(text: str) -> Body:
    rest = text[SHOWN : SHOWN + UNFOLDED]
    return Body(
        start=tuple(parts(text[:SHOWN])),
        rest=tuple(parts(rest)),
        folded=len(rest),
        cut=max(0, len(text) - SHOWN - UNFOLDED),
    )


def _summary(message: Message) -> str:
    text = "".join(part.text for part in message.body.start)
    return f"[{message.kind}] {text}".rstrip() if message.kind else text


def _key(text: str) -> str:
    """Returns the same, fit for an HTML id."""
    return quote(text, safe="")
