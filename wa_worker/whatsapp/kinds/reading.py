"""What a message is and what its words are: the table of the kinds, and the general rule for all others. Pure.

A kind that has no row is `other`, with the words that a phone shows of it: words.py. What no person wrote is no
message.
"""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.unknown_fields import UnknownFieldSet
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from wa_worker.whatsapp.kinds.calls import call_log
from wa_worker.whatsapp.kinds.cards import CARDS
from wa_worker.whatsapp.kinds.changes import change
from wa_worker.whatsapp.kinds.choices import ANSWERS, Choice
from wa_worker.whatsapp.kinds.commerce import COMMERCE
from wa_worker.whatsapp.kinds.content import NOTHING, Content
from wa_worker.whatsapp.kinds.media import MEDIA
from wa_worker.whatsapp.kinds.places import PLACES
from wa_worker.whatsapp.kinds.planned_events import planned_event
from wa_worker.whatsapp.kinds.polls import POLLS
from wa_worker.whatsapp.kinds.words import words
from wa_worker.whatsapp.kinds.wrappers import NOT_SHOWN, belongs_to_another, levels


def content(message: Message) -> Content:
    """Returns what a message is.

    An unknown kind of content is `other`: better a message without words than a lost one.
    """
    return _content(message, shown)


def shown(message: Message) -> Content:
    """Returns what a phone shows of a message in a bubble of its own; nothing of what changes another one."""
    return _content(message, None)


def _content(message: Message, new_text: Callable[[Message], Content] | None) -> Content:
    every = list(levels(message))
    if any(map(belongs_to_another, every)):
        return NOTHING
    message = every[-1]
    fields = {field.name: value for field, value in message.ListFields()}
    if known := [name for name in fields if name in _KINDS]:
        return _KINDS[min(known, key=_ORDER.__getitem__)](message)
    seen = [value for name, value in fields.items() if name not in NOT_SHOWN]
    if not seen:
        if new_text is not None and (found := change(message, new_text)) is not None:
            return found
        if not len(UnknownFieldSet(message)):
            return NOTHING
    return Content("other", "\n".join(filter(None, map(words, seen))))


def _answer(read: Callable[[Message], Choice]) -> Callable[[Message], Content]:
    def answer(message: Message) -> Content:
        choice = read(message)
        return Content("text", choice.words, choice.interactive, choice.button)

    return answer


_KINDS: dict[str, Callable[[Message], Content]] = {
    **{name: _answer(read) for name, read in ANSWERS.items()},
    "conversation": lambda m: Content("text", m.conversation),
    "extendedTextMessage": lambda m: Content("text", m.extendedTextMessage.text),
    "questionResponseMessage": lambda m: Content("text", m.questionResponseMessage.text),
    **MEDIA,
    **PLACES,
    **CARDS,
    **POLLS,
    **COMMERCE,
    "eventMessage": planned_event,
    "callLogMesssage": call_log,
    "placeholderMessage": lambda _: Content("view_once"),
}
"""By the field of the message; of several, the first one here counts."""

_ORDER = {name: place for place, name in enumerate(_KINDS)}
