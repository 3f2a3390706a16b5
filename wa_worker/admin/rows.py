"""What the admin page shows of each instance: frozen values in their order, trouble first. Pure.

Times are unix seconds. Numbers are masked here; what else comes from outside is escaped by the templates.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

import attrs

from wa_worker.admin.words import REASONS, STATES, STEPS, Language, word
from wa_worker.delivery.poll_timer import Activity
from wa_worker.instances.elsewhere import Shown, shown
from wa_worker.instances.history import ENDED, LET_GO
from wa_worker.instances.registry import InstanceSnapshot
from wa_worker.jid import masked, masked_address
from wa_worker.journal import Elsewhere, InstanceBacklog
from wa_worker.models import InstanceId, Reason
from wa_worker.states import RESTRICTED, UNOWNED, State, why

MOST_ROWS = 250
"""Rows of a page: the first of them are what one looks for, and the search finds the others. 250 are 100 kB."""


class Group(enum.StrEnum):
    """Sorts the instances, what a person has to look at first. A key of texts.TEXTS, too."""

    TROUBLE = "trouble"
    WAY = "way"
    CONNECTED = "connected"
    LET_GO = "let_go"


ORDER = {group: place for place, group in enumerate(Group)}
TROUBLE = {Reason.RESTRICTED, Reason.PROXY_FAILED, Reason.VOLUME_FULL, Reason.CRASHED}
TONES = {Group.TROUBLE: "bad", Group.WAY: "wait", Group.CONNECTED: "good", Group.LET_GO: "off"}


@attrs.frozen
class Seen:
    """Holds what is known of an instance at a moment. `now` None: it does not run here.

    worker: who runs it, if there are several. other: what is known of one that is not this worker's.
    """

    id: InstanceId
    now: InstanceSnapshot | None = None
    activity: Activity = attrs.field(factory=Activity)
    backlog: InstanceBacklog = attrs.field(factory=InstanceBacklog)
    set_aside: int = 0
    """Messages that wait for a person's decision."""
    let_go: float | None = None
    """Since when it is let go."""
    worker: str = ""
    other: Elsewhere | None = None


@attrs.frozen
class Row:
    """Describes an instance in words of one language. `state` and `reason` are keys, for programs and filters."""

    id: InstanceId
    group: Group
    tone: str
    state: str
    state_words: str
    reason: str
    reason_words: str
    step: str
    since: float
    until: int | None
    number: str
    last_in: float | None
    last_out: float | None
    backlog: InstanceBacklog
    set_aside: int
    worker: str = ""
    """Who runs it, if there are several workers."""

    @property
    def haystack(self) -> str:
        """What the search looks through."""
        words = (self.id, self.number, self.state_words, self.reason_words, self.reason, self.state, self.worker)
        return " ".join(words).casefold()

    @property
    def waits(self) -> int:
        """Messages that wait for anything."""
        return self.backlog.to_deliver + self.backlog.to_send + self.backlog.to_report


class Listed(Protocol):
    """What can be searched and counted: a row here, a card of the dev console."""

    @property
    def group(self) -> Group: ...

    @property
    def haystack(self) -> str: ...


AnyListed = TypeVar("AnyListed", bound=Listed)


def row(seen: Seen, language: Language) -> Row:
    """Returns what is shown of an instance."""
    now, group = seen.now, _group(seen)
    reason, step, state = (LET_GO, "", LET_GO) if seen.let_go is not None else ("", "", ENDED)
    if now is not None and group is not Group.LET_GO:
        state = now.state.name.lower()
        reason = Reason.LOGGED_OUT if now.logged_out else now.reason or ""
        step = _step(now)
    since, until = (now.since, now.until) if now is not None else (0.0, None)
    if (there := _there(seen)) is not None:
        state, reason, since, until = there.state, there.reason, there.since, there.until
    return Row(
        seen.id,
        group,
        "wait" if reason == Reason.RESTRICTED else TONES[group],
        state,
        word(STATES, state, language),
        reason,
        word(REASONS, reason, language),
        word(STEPS, step, language),
        seen.let_go if seen.let_go is not None else since,
        until if group is not Group.LET_GO else None,
        masked_address(now.account.partition("@")[0]) if now is not None and now.account else "",
        seen.activity.last_in,
        seen.activity.last_out,
        seen.backlog,
        seen.set_aside,
        seen.worker if seen.other is None else seen.other.worker or "",
    )


def rows(seen: Iterable[Seen], language: Language) -> list[Row]:
    """Returns all instances, trouble first, and in each group those with something to decide, then by name."""
    found = [row(each, language) for each in seen]
    return sorted(found, key=lambda each: (ORDER[each.group], each.tone, not each.set_aside, each.id))


def chosen(found: Iterable[AnyListed], text: str, group: str) -> list[AnyListed]:
    """Returns the rows of a group, "" for all, in which each word of the text is."""
    words = text.casefold().split()
    return [each for each in found if group in ("", each.group) and all(word in each.haystack for word in words)]


def counts(found: Iterable[Listed]) -> Mapping[Group, int]:
    """Counts the rows of each group."""
    counted = Counter(each.group for each in found)
    return {group: counted[group] for group in Group}


def detail(seen: Seen) -> str:
    """Returns what the log says of the last event, masked."""
    there = _there(seen)
    return masked(seen.now.detail if seen.now is not None else there.detail if there is not None else "")


def _group(seen: Seen) -> Group:
    now, there = seen.now, _there(seen)
    if there is not None:
        if there.state in (UNOWNED, State.HELD.name.lower()) or there.logged_out or there.reason in TROUBLE:
            return Group.TROUBLE
        return Group.CONNECTED if there.state == State.CONNECTED.name.lower() else Group.WAY
    if seen.let_go is not None or now is None:
        return Group.LET_GO
    if now.state is State.HELD or now.logged_out or now.trouble is not None or now.reason in TROUBLE:
        return Group.TROUBLE
    return Group.CONNECTED if now.state is State.CONNECTED else Group.WAY


def _there(seen: Seen) -> Shown | None:
    """Returns what is shown of one that is not this worker's, and that nobody has let go of."""
    return shown(seen.other) if seen.other is not None and seen.let_go is None else None


def _step(now: InstanceSnapshot) -> str:
    if now.reason is RESTRICTED.reason:
        return RESTRICTED.action or ""
    try:
        return why(now.state, now.because, now.detail).action or ""
    except KeyError:  # an event that leaves the reason as it was
        return ""
