"""The page as frozen values: what the templates lay out. Times are unix seconds; texts are as they came."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs

from wa_worker.admin.rows import TONES, Group
from wa_worker.dev.console.display_text import Part

NEW = "new"
"""The chat that is not one yet: its page asks for the number."""


@attrs.frozen
class At:
    """Which instance and which of its chats a page shows; "" leaves the choice to us. `reply`: the WhatsApp id of the
    message that is about to be answered. `q` and `show`: the words and the group that the instances are narrowed to."""

    instance: str = ""
    chat: str = ""
    reply: str = ""
    q: str = ""
    show: str = ""

    def url(self, path: str = "/") -> str:
        query = urlencode({key: value for key, value in attrs.asdict(self).items() if value})
        return f"{path}?{query}" if query else path

    def within(self, url: str) -> At:
        """Returns the same place, with the instances narrowed to what the page at `url` narrows them to."""
        said = dict(parse_qsl(urlsplit(url).query))
        return attrs.evolve(self, q=said.get("q", ""), show=said.get("show", ""))

    def to(self, instance: str, chat: str = "") -> At:
        """Returns another place in the same list of instances."""
        return At(instance, chat, q=self.q, show=self.show)


@attrs.frozen
class Badge:
    """Describes a state in words. `tone`: good, wait, bad or off."""

    text: str
    tone: str
    detail: str = ""


@attrs.frozen
class Phone:
    """Describes the simulated phone of an instance. `linked`: a device is linked; `scans`: there is a code to scan."""

    number: str
    linked: bool
    scans: bool


@attrs.frozen
class Card:
    """Describes an instance. `status`: the proxy's word, "" if it is not there (any more); `why`: what goes with it."""

    key: str
    id: str
    badge: Badge
    status: str
    why: str
    since: float
    qr_code: str | None
    pairing_code: str | None
    phone: Phone | None
    url: str
    current: bool

    @property
    def group(self) -> Group:
        """The group of the admin page's list that it belongs to."""
        return _GROUPS[self.badge.tone]

    @property
    def haystack(self) -> str:
        """What the filter looks through."""
        number = self.phone.number if self.phone else ""
        return " ".join((self.id, self.badge.text, self.badge.detail, self.status, self.why, number)).casefold()


_GROUPS = {tone: group for group, tone in TONES.items()}


@attrs.frozen
class Chat:
    key: str
    id: str
    name: str
    address: str
    last: str
    at: float
    url: str
    current: bool


@attrs.frozen
class Body:
    """Describes a message's text. `rest` is folded away: `folded` characters; `cut` are left out."""

    start: tuple[Part, ...]
    rest: tuple[Part, ...] = ()
    folded: int = 0
    cut: int = 0


@attrs.frozen
class File:
    """Describes a file. `shown`: image, audio or video if the page shows it itself, "" if it only links to it. `url`
    "": it is not here, and `details` says why. `saves`: the browser saves it instead of opening it."""

    shown: str
    url: str
    name: str
    details: str = ""
    sticker: bool = False

    @property
    def saves(self) -> bool:
        return not self.shown


@attrs.frozen
class Box:
    """Describes what is in a message besides words and files: a place, a card, a poll, a call..."""

    kind: str
    title: str
    lines: tuple[str, ...] = ()


@attrs.frozen
class Quote:
    """Describes the message that another one answers. `key`: of its element, "" if it is not on the page."""

    who: str
    text: str
    key: str = ""


@attrs.frozen
class Reaction:
    emoji: str
    who: str


@attrs.frozen
class Message:
    """`state`: queued, sent, failed, in for what came, phone for what was sent on the phone itself, note for what
    happened in the chat. `words`: what became of it. `ticks`: as phones show them, with `ticks_words`.

    marks: what is to be said above it: forwarded, edited, deleted. before: its words before they were edited.
    answer: whether it can be answered.
    """

    key: str
    state: str
    words: str
    at: float
    body: Body
    wa_id: str
    marked_at: float | None = None
    sender: str = ""
    kind: str = ""
    last: str = ""
    quote: Quote | None = None
    file: File | None = None
    boxes: tuple[Box, ...] = ()
    mentions: tuple[str, ...] = ()
    reactions: tuple[Reaction, ...] = ()
    marks: tuple[str, ...] = ()
    before: str = ""
    ticks: str = ""
    ticks_words: str = ""
    answer: bool = False

    @property
    def deleted(self) -> bool:
        return "deleted" in self.marks


@attrs.frozen
class Composer:
    """Says where one writes. `person`: the chat is with one, who may write, too, if simulated. `reply`: what is being
    answered. `files`: the samples that may go along, by name."""

    instance: str
    chat: str
    name: str
    ready: bool
    simulated: bool
    person: bool
    suggested: str
    reply: Quote | None = None
    files: tuple[tuple[str, str], ...] = ()
    sends: tuple[tuple[str, str], ...] = ()
    """What a simulated contact can send besides words, by name."""


@attrs.frozen
class Page:
    """Holds all of it. `counts`: of all instances by group; None while there are few, which need no filter."""

    at: At
    health: Mapping[str, int] | None
    cards: tuple[Card, ...]
    counts: Mapping[Group, int] | None
    chats: tuple[Chat, ...]
    head: Chat | None
    messages: tuple[Message, ...]
    composer: Composer

    @property
    def new_url(self) -> str:
        return f"{self.at.to(self.at.instance, NEW).url()}#conversation"

    def answer_url(self, message: Message) -> str:
        """The page on which one answers a message."""
        return f"{attrs.evolve(self.at, reply=message.wa_id).url()}#composer"

    @property
    def chat_url(self) -> str:
        """The page without what is being answered."""
        return f"{self.at.to(self.at.instance, self.at.chat).url()}#conversation"
