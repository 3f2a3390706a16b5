"""Fills a Page with what there is to see. It reads only: it changes nothing and waits for nothing.

The messages are conversation.py's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

import attrs

from wa_worker.admin.rows import ORDER, TROUBLE, chosen, counts
from wa_worker.admin.words import Language
from wa_worker.dev.addresses import phone_or_jid
from wa_worker.dev.console.conversation import Conversations, chat_shown
from wa_worker.dev.console.page import NEW, At, Badge, Card, Composer, Message, Page, Phone, Quote
from wa_worker.dev.console.reasons import in_words
from wa_worker.dev.console.texts import Said, in_language, text
from wa_worker.dev.proxy import InstanceRow, Store
from wa_worker.dev.samples import SAMPLES
from wa_worker.jid import USER, is_number
from wa_worker.states import REASONS, State

if TYPE_CHECKING:
    from wa_worker.dev.console.worker_state import WorkerState
    from wa_worker.dev.world.people import SimulatedUsers

_FILES = (("", "no file"), *((sample.name, sample.title) for sample in SAMPLES.values()))


FEW = 5
"""Instances that are shown as cards, with their codes. More are rows, trouble first, and each opens to its card."""


class View:
    """Looks at the proxy, the worker's word and, if there are any, the simulated people."""

    def __init__(
        self,
        store: Store,
        worker: WorkerState,
        users: SimulatedUsers | None,
        conversations: Conversations | None = None,
    ) -> None:
        self._store = store
        self._worker = worker
        self._users = users
        self._conversations = conversations or Conversations(store)

    def page(self, at: At, language: Language = Language.ENGLISH) -> Page:
        """Says what is there now, for who reads this language. The page's `at` says what was chosen where `at` left it
        open."""
        parked = set(self._store.parked())
        rows = self._store.instances()
        names = sorted({row.id for row in rows} | parked)
        instance = at.instance or next(iter(names), "")
        messages, chats = self._conversations.of(instance)
        chat = at.chat or next((chat.id for chat in chats), "")
        reply = _answered(messages.get(chat, ()), at.reply)
        at = attrs.evolve(at, instance=instance, chat=chat, reply=at.reply if reply else "")
        cards = [self._card(row, at, language) for row in rows] + [
            self._parked_card(each, at, language) for each in parked
        ]
        few = len(cards) <= FEW and not (at.q or at.show)  # a filter in use stays, however few are left
        chats = [attrs.evolve(each, current=each.id == chat, url=_url(at, each.id)) for each in chats]
        head = next((each for each in chats if each.current), None)
        if head is None and chat not in ("", NEW):
            head = chat_shown(instance, chat, "", "", 0.0)
        users = self._users
        return Page(
            at=at,
            health=self._worker.counts,
            cards=tuple(_by_name(cards) if few else _trouble_first(chosen(cards, at.q, at.show))),
            counts=None if few else counts(cards),
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
                reply=reply,
                files=_FILES,
                sends=users.can_send if users else (),
            ),
        )

    def _card(self, row: InstanceRow, at: At, language: Language) -> Card:
        phone = None
        if self._users is not None:
            linked = self._users.device_of(row.id) is not None
            number = phone_or_jid(f"{self._users.phone_of(row.id)}@{USER}")
            phone = Phone(number, linked=linked, scans=row.qr_code is not None)
        return Card(
            key=f"card-{_key(row.id)}",
            id=row.id,
            badge=in_words_of(self._badge(row), language),
            status=row.status,
            why=in_words(row, language),
            since=row.updated_at,
            qr_code=row.qr_code,
            pairing_code=row.pairing_code,
            phone=phone,
            url=at.to(row.id).url(),
            current=row.id == at.instance,
        )

    def _badge(self, row: InstanceRow) -> Badge:
        """The proxy's word comes first: a back end goes by that. The worker's makes it precise, or stands beside it."""
        told = self._worker.of(row.id)
        if row.qr_code is not None:
            how = _SCAN_BY_HAND if self._users is None else _SCAN_BY_BUTTON
            return Badge("Waiting for a scan", "wait", Said("{} {}", _LOGGED_OUT, how) if told.logged_out else how)
        if row.status == "DISCONNECTED" and told.state is None and row.reason in _TROUBLE:
            return Badge("Disconnected", "bad")
        badge = _STATES.get((row.status, told.state))
        if badge is not None and told.logged_out:
            return attrs.evolve(badge, detail=_LOGGED_OUT)
        if badge is not None:
            return attrs.evolve(badge, detail=told.why) if told.state in _TELLS_WHY else badge
        if row.status == "CONNECTED" and told.state is None and self._worker.answers:
            return Badge("Connected", "wait", Said("So says the proxy; the worker does not run it."))
        detail = Said("The worker says: {}", told.state.value) if told.state else ""
        return attrs.evolve(_STATUSES[row.status], detail=detail)

    def _parked_card(self, instance: str, at: At, language: Language) -> Card:
        going = self._worker.of(instance).state is not None
        badge = Badge("Letting go", "wait", _GOING) if going else Badge("Disconnected", "off", _PARKED)
        badge = in_words_of(badge, language)
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
            url=at.to(instance).url(),
            current=instance == at.instance,
        )


def in_words_of(badge: Badge, language: Language) -> Badge:
    """Returns a badge in a language: the filter looks through its words."""
    ours = language is Language.ENGLISH or isinstance(
        badge.detail, Said
    )  # what the worker says is English: `why` has it
    return attrs.evolve(
        badge, text=text(badge.text, language), detail=in_language(badge.detail, language) if ours else ""
    )


def _url(at: At, chat: str) -> str:
    return f"{at.to(at.instance, chat).url()}#conversation"


def _by_name(cards: Sequence[Card]) -> list[Card]:
    return sorted(cards, key=lambda card: card.id)


def _trouble_first(cards: Sequence[Card]) -> list[Card]:
    """Returns them in the order of the admin page."""
    return sorted(cards, key=lambda card: (ORDER[card.group], card.id))


def _answered(messages: Sequence[Message], wa_id: str) -> Quote | None:
    """Returns the message with this id, as it is quoted."""
    found = next((each for each in messages if wa_id and each.wa_id == wa_id and each.answer), None)
    if found is None:
        return None
    who = Said("you") if found.state != "in" else found.sender
    return Quote(who, found.last, found.key)


_GOING = Said("The worker is about to notice that the proxy does not want it any more.")
_PARKED = Said("The worker keeps the session: Connect resumes it without a scan.")

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
_TROUBLE = TROUBLE | {row.reason for (state, _), row in REASONS.items() if state in (State.HELD, State.LOGGED_OUT)}
"""Reasons that somebody has to look at, also when the worker is not there to say more."""

_TELLS_WHY = {State.RECONNECTING, State.RETRYING, State.HELD}

_LOGGED_OUT = Said("The phone logged this device out.")
_SCAN_BY_HAND = Said("On your phone: WhatsApp > Linked devices > Link a device.")
_SCAN_BY_BUTTON = Said("The simulated phone can scan this code.")


def _key(text: str) -> str:
    """Returns the same, fit for an HTML id."""
    return quote(text, safe="")
