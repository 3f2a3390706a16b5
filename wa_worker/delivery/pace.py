"""Whether a message may go now, and if not, until when it is held back: the decisions of PACE.

Pure: no clock, no disk, no chance. Who asks hands in the facts (`Facts`, `Today`), two clocks, and a random number: so
all of it can be tried out in a test. One `Pace` per instance, for one thread at a time.

What holds, whatever is asked:
- never more than `per_minute` messages in any minute, nor `unknown_per_minute` to those who have not written, over
  restarts too: both buckets begin empty;
- a chat that is held back holds up no other, and what is behind the first one in it waits with it;
- what is held back is looked at again within LONGEST_HOLD, whatever the clock says.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs

from wa_worker.messages.pacing import HeldReason, PaceLimits
from wa_worker.models import Jid, MessageId

DAY = 86_400.0

LONGEST_HOLD = 3600.0
"""Seconds after which a message that is held back is looked at again, at the latest: another PACE, or a clock that was
set right, then counts for it."""

RESTRICTED_FOR = 3600.0
"""Seconds without first messages after one was refused with error 463: as long as the account counts as `restricted`
(docs/contract.md). WhatsApp does not say when it is over, and each try is one more unwanted first message."""

ABSENT = 120.0
"""Seconds after its time for which the first message of a chat that was held back may be missing in what the proxy
lists, until the next one goes without it: the proxy's clock may be late."""

RECENTLY = DAY
"""Seconds for which somebody who has written is answered before others are written to."""

MOST_REMEMBERED = 10_000
"""Messages and chats that one instance remembers: more than it sends in a day."""


_NOTHING = 1e-6
"""Seconds that are what rounding leaves."""


@attrs.frozen
class Bucket:
    """A token bucket that begins empty. `at` is a moment of a clock that nobody sets, in seconds.

    What it holds and what runs in within a minute are together `per_minute`: so no minute has more.
    """

    per_minute: int
    at: float
    level: float = 0.0
    rest_until: float = -math.inf

    @property
    def most(self) -> int:
        """How many may go at once after a silence."""
        return max(self.per_minute // 6, 1)

    @property
    def interval(self) -> float:
        """Seconds between two messages in the long run."""
        return 60.0 / max(self.per_minute - self.most, 1)

    def wait(self, now: float, ahead: int = 0) -> float:
        """Returns the seconds until a message may go, 0 if now. `ahead`: messages that go before it."""
        missing = 1 + ahead - self._level(now)
        seconds = max(missing * self.interval, self.rest_until - now)
        return seconds if seconds > _NOTHING else 0.0

    def taken(self, now: float, spread: float) -> Bucket:
        """Returns the bucket after a message. `spread`: from 0 to 1, how long a pause follows at the least."""
        level = max(self._level(now) - 1, 0.0)
        return attrs.evolve(self, at=now, level=level, rest_until=now + spread * self.interval)

    def _level(self, now: float) -> float:
        return min(self.level + max(now - self.at, 0.0) / self.interval, self.most)


@attrs.frozen
class Facts:
    """Says what is known of a chat. Times in unix seconds; None: never.

    open: nobody is written to first in it: a group. heard_at: when it last wrote. begun: somebody was written to in it.
    """

    open: bool = False
    heard_at: float | None = None
    begun: bool = False

    @property
    def known(self) -> bool:
        return self.open or self.heard_at is not None

    @property
    def is_first(self) -> bool:
        """Says whether the next message is a first one, which are counted."""
        return not self.known and not self.begun


@attrs.frozen
class Today:
    """Says what is known of an account. Times in unix seconds.

    firsts: when it wrote first to somebody in the last 24 hours, ascending. linked_at: since when it is linked.
    restricted_for: seconds that are left of the hold after error 463.
    """

    now: float
    firsts: Sequence[float] = ()
    linked_at: float = 0.0
    restricted_for: float = 0.0


@attrs.frozen
class Held:
    """Says why a message is held back, and for how many seconds: it is looked at again then."""

    reason: HeldReason
    seconds: float


@attrs.frozen
class _First:
    """The message of a chat that was held back first, and until when (the clock that nobody sets)."""

    message: MessageId
    reason: HeldReason
    until: float


def first_messages(limits: PaceLimits, age: float) -> int:
    """Returns to how many people an account may write first in 24 hours. `age`: seconds since it was linked."""
    day = int(max(age, 0.0) // DAY) + 1
    if day >= limits.warm_up_days or limits.first_per_day == 0:
        return limits.first_per_day
    return max(limits.first_per_day * day // limits.warm_up_days, 1)


class Pace:
    """Decides for one instance. `steady`: now, by a clock that nobody sets."""

    def __init__(self, limits: PaceLimits, steady: float) -> None:
        self._limits = limits
        self._all = Bucket(limits.per_minute, steady)
        self._unknown = Bucket(limits.unknown_per_minute, steady)
        self._admitted: dict[MessageId, None] = {}
        """Those that are being prepared, or are ready."""
        self._typing: dict[MessageId, bool] = {}
        """Of these, those for which typing is shown; and whether they go to somebody known."""
        self._first: dict[Jid, _First] = {}
        self._ahead: Counter[HeldReason] = Counter()

    def look(self) -> None:
        """A look at what is queued begins: places in the line are counted anew."""
        self._ahead.clear()

    def ask(
        self, message: MessageId, chat: Jid, facts: Facts, today: Today, steady: float, spread: float
    ) -> Held | None:
        """Says whether a message is held back; None: it is to be sent now, and counts as sent.

        spread: a random number from 0 to 1. Ask in the order in which the messages of a chat are to go.
        """
        held = self._behind(message, chat, steady) or self._held(message, facts, today, steady)
        if held is None:
            self._first.pop(chat, None)
            self._typing.pop(message, None)
            self._all = self._all.taken(steady, spread)
            if not facts.known:
                self._unknown = self._unknown.taken(steady, spread)
        return self._noted(held, message, chat, steady)

    def prepare(
        self, message: MessageId, chat: Jid, facts: Facts, today: Today, steady: float, typed: bool
    ) -> Held | None:
        """Says whether a message that takes time is held back; None: it may be prepared, and is asked for then.

        typed: it takes time because somebody is seen to write, which is to be shortly before it goes. A file may be
        ready long before.
        """
        if message in self._admitted:
            return None
        held = self._behind(message, chat, steady)
        if held is None:
            held = self._held(message, facts, today, steady) if typed else self._first_held(message, facts, today)
        if held is None:
            self._first.pop(chat, None)
            self._admitted[message] = None
            _bound(self._admitted)
            if typed:
                self._typing[message] = facts.known
                _bound(self._typing)
        return self._noted(held, message, chat, steady)

    def over(self, message: MessageId, chat: Jid) -> None:
        """A try to send a message is over, or there will be none: the next try has to ask anew."""
        self._admitted.pop(message, None)
        self._typing.pop(message, None)
        if (first := self._first.get(chat)) is not None and first.message == message:
            del self._first[chat]

    def _noted(self, held: Held | None, message: MessageId, chat: Jid, steady: float) -> Held | None:
        if held is None:
            return None
        self._ahead[held.reason] += 1
        held = attrs.evolve(held, seconds=min(held.seconds, LONGEST_HOLD))
        if (first := self._first.get(chat)) is None or first.message == message:
            self._first[chat] = _First(message, held.reason, steady + held.seconds)
            _bound(self._first)
        return held

    def _behind(self, message: MessageId, chat: Jid, steady: float) -> Held | None:
        """Says whether a message waits for one before it in its chat, which the proxy may have left out of its list."""
        first = self._first.get(chat)
        if first is None or first.message == message:
            return None
        left = first.until - steady
        if left <= -ABSENT:
            del self._first[chat]
            return None
        return Held(first.reason, left if left > 0 else left + ABSENT)

    def _first_held(self, message: MessageId, facts: Facts, today: Today) -> Held | None:
        """Says whether a message is held back because nobody new may be written to now."""
        if facts.known:
            return None
        if today.restricted_for > 0:
            return Held(HeldReason.RESTRICTED, today.restricted_for)
        if facts.is_first and message not in self._admitted and (seconds := self._until_first(today)) > 0:
            return Held(HeldReason.FIRST_PER_DAY, seconds)
        return None

    def _held(self, message: MessageId, facts: Facts, today: Today, steady: float) -> Held | None:
        if (held := self._first_held(message, facts, today)) is not None:
            return held
        typing = 0 if message in self._typing else len(self._typing)  # they are about to go
        if not facts.known:
            unknown = 0 if message in self._typing else sum(not known for known in self._typing.values())
            if self._unknown.wait(steady, unknown) > 0:
                ahead = self._ahead[HeldReason.UNKNOWN_RATE] + unknown
                return Held(HeldReason.UNKNOWN_RATE, self._unknown.wait(steady, ahead))
        if self._all.wait(steady, typing) > 0:
            return Held(HeldReason.RATE, self._all.wait(steady, self._ahead[HeldReason.RATE] + typing))
        return None

    def _until_first(self, today: Today) -> float:
        """Returns the seconds until somebody may be written to first, 0 if now."""
        most = first_messages(self._limits, today.now - today.linked_at)
        over = len(today.firsts) - most
        if over < 0:
            return 0.0
        place = over + self._ahead[HeldReason.FIRST_PER_DAY]
        began = today.firsts[place] if place < len(today.firsts) else today.now
        return max(began + DAY - today.now, 1.0)


def _bound(kept: dict[Any, Any]) -> None:
    while len(kept) > MOST_REMEMBERED:
        del kept[next(iter(kept))]


TYPING_A_LETTER = 0.06
"""Seconds for which typing is shown for each character: some 200 words a minute. People take longer, and customers do
not wait for longer; nobody outside WhatsApp knows whether it counts at all."""

TYPING_LEAST, TYPING_MOST = 1.0, 8.0


def typing_for(text: str) -> float:
    """Returns the seconds for which typing is shown before a text whose row says nothing of it."""
    return min(max(len(text) * TYPING_A_LETTER, TYPING_LEAST), TYPING_MOST)
