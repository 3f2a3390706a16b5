"""The page as frozen values: what the templates lay out. Times are unix seconds; texts are as they came."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import attrs

from wa_worker.dev.console.display_text import Part

NEW = "new"
"""The chat that is not one yet: its page asks for the number."""


@attrs.frozen
class At:
    """Which instance and which of its chats a page shows; "" leaves the choice to us."""

    instance: str = ""
    chat: str = ""

    def url(self, path: str = "/") -> str:
        query = urlencode({key: value for key, value in attrs.asdict(self).items() if value})
        return f"{path}?{query}" if query else path


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
class Message:
    """`state`: queued, sent, failed, or in for what came. `words`: what became of it."""

    key: str
    state: str
    words: str
    at: float
    body: Body
    wa_id: str
    marked_at: float | None = None
    sender: str = ""
    kind: str = ""


@attrs.frozen
class Composer:
    """Says where one writes. `person`: the chat is with one, who may write, too, if simulated."""

    instance: str
    chat: str
    name: str
    ready: bool
    simulated: bool
    person: bool
    suggested: str


@attrs.frozen
class Page:
    """Holds all of it."""

    at: At
    health: Mapping[str, int] | None
    cards: tuple[Card, ...]
    chats: tuple[Chat, ...]
    head: Chat | None
    messages: tuple[Message, ...]
    composer: Composer

    @property
    def new_url(self) -> str:
        return f"{At(self.at.instance, NEW).url()}#conversation"
