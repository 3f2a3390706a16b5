"""What PACE decides, over all that may be asked of it: rates, caps, order, and who waits for whom."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wa_worker.delivery.pace import (
    ABSENT,
    DAY,
    LONGEST_HOLD,
    MOST_REMEMBERED,
    RESTRICTED_FOR,
    TYPING_MOST,
    Bucket,
    Facts,
    Held,
    Pace,
    Today,
    first_messages,
    typing_for,
)
from wa_worker.instances.state import RESTRICTION
from wa_worker.messages.pacing import HeldReason, PaceLimits
from wa_worker.models import Jid

KNOWN, STRANGER = Facts(heard_at=1.0), Facts()
ANA, BIA = Jid("ana"), Jid("bia")
NOW = Today(1_000_000.0)
FAST = PaceLimits(per_minute=600, unknown_per_minute=600, first_per_day=10_000, warm_up_days=0)


def paced(limits: PaceLimits = FAST, full_after: float = 60.0) -> Pace:
    """At moment 0; the buckets were made so many seconds before."""
    return Pace(limits, -full_after)


def most_in_a_minute(times: list[float]) -> int:
    return max((sum(begin <= at < begin + 60 - 1e-3 for at in times) for begin in times), default=0)


@attrs.define
class Model:
    """A worker that asks for all that is queued, again and again, and what its journal would know."""

    limits: PaceLimits
    wrote: frozenset[str]
    pace: Pace = attrs.field(init=False)
    steady: float = 0.0
    wall: float = 1_000_000.0
    queue: list[tuple[int, str]] = attrs.Factory(list)
    sent: list[tuple[float, int, str]] = attrs.Factory(list)
    begun: dict[str, float] = attrs.Factory(dict)

    def __attrs_post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.pace = Pace(self.limits, self.steady)

    def firsts(self) -> list[float]:
        """As journal/contacts.py counts them."""
        for chat, at in self.begun.items():
            self.begun[chat] = min(at, self.wall)
        return sorted(at for at in self.begun.values() if at > self.wall - DAY)

    def look(self) -> list[Held]:
        self.pace.look()
        holds, left = [], []
        for id_, chat in self.queue:
            facts = Facts(heard_at=1.0 if chat in self.wrote else None, begun=chat in self.begun)
            today = Today(self.wall, self.firsts())
            held = self.pace.ask(id_, Jid(chat), facts, today, self.steady, random.random())
            if held is not None:
                holds.append(held)
                left.append((id_, chat))
                continue
            if facts.is_first:
                self.begun[chat] = self.wall
            self.sent.append((self.steady, id_, chat))
            self.pace.over(id_, Jid(chat))
        self.queue = left
        return holds

    def times(self, *, known: bool | None = None) -> list[float]:
        return [at for at, _, chat in self.sent if known is None or (chat in self.wrote) == known]


LIMITS = st.builds(
    PaceLimits,
    per_minute=st.integers(1, 40),
    unknown_per_minute=st.integers(1, 40),
    first_per_day=st.integers(1, 8),
    warm_up_days=st.just(0),
)
CHATS = st.sampled_from("abcdefgh")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("queue"), st.lists(CHATS, min_size=1, max_size=30)),
        st.tuples(st.just("wait"), st.floats(0.05, 90.0)),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("clock set back"), st.floats(1.0, 3 * DAY)),
    ),
    max_size=30,
)


@given(LIMITS, st.frozensets(CHATS), STEPS)
@settings(max_examples=60, deadline=None)
def test_no_minute_has_more_and_nothing_is_lost_or_turned_round(
    limits: PaceLimits, wrote: frozenset[str], steps: list[tuple[str, object]]
) -> None:
    model, queued = Model(limits, wrote), 0
    for what, value in steps:
        if what == "queue":
            assert isinstance(value, list)
            model.queue += [(queued + n, chat) for n, chat in enumerate(value)]
            queued += len(value)
        elif what == "wait":
            assert isinstance(value, float)
            model.steady += value
            model.wall += value
        elif what == "restart":
            model.restart()
        else:
            assert isinstance(value, float)
            model.wall -= value
        for held in model.look():
            assert 0 < held.seconds <= LONGEST_HOLD
    for _ in range(4 * queued + 40):  # all of it goes in the end: who waits for as long as is said is let go
        if not (holds := model.look()):
            break
        passes = min(held.seconds for held in holds) + 0.001
        model.steady, model.wall = model.steady + passes, model.wall + passes
    model.steady += 4 * DAY
    model.wall += 4 * DAY
    for _ in range(4 * queued + 40):
        if not (holds := model.look()):
            break
        passes = max(min(held.seconds for held in holds), 0.001) + 0.001
        model.steady, model.wall = model.steady + passes, model.wall + passes
    assert not model.queue
    assert sorted(id_ for _, id_, _ in model.sent) == list(range(queued)), "each once"
    assert most_in_a_minute(model.times()) <= limits.per_minute
    assert most_in_a_minute(model.times(known=False)) <= limits.unknown_per_minute
    by_chat: Mapping[str, list[int]] = defaultdict(list)
    for _, id_, chat in model.sent:
        by_chat[chat].append(id_)
    assert all(ids == sorted(ids) for ids in by_chat.values())
    began: dict[str, float] = {}
    for at, _, chat in model.sent:
        if chat not in wrote:
            began.setdefault(chat, at)
    for begin in began.values():  # by the clock that nobody sets: a wall clock that goes back frees nobody
        assert sum(begin <= at < begin + DAY - 1 for at in began.values()) <= limits.first_per_day


@pytest.mark.parametrize("per_minute", [1, 2, 3, 6, 12, 60])
@pytest.mark.parametrize("silence", [0.0, 300.0])
def test_a_bucket_gives_what_it_says_and_no_more(per_minute: int, silence: float) -> None:
    bucket, now, times = Bucket(per_minute, 0.0), silence, []
    while now < silence + 600:
        wait = bucket.wait(now)
        if wait <= 0:
            times.append(now)
            bucket = bucket.taken(now, 0.0)
        now += max(wait, 0.0)
    assert most_in_a_minute(times) <= per_minute
    assert len(times) >= 10 * per_minute * 0.5 - 1, "and not much less"
    assert times[0] > silence or silence > 0, "it begins empty: a restart is no new allowance"


def test_there_is_jitter_and_it_only_slows() -> None:
    bucket = attrs.evolve(Bucket(12, 0.0), level=2.0)
    assert bucket.taken(0.0, 0.0).wait(0.0) == 0.0
    assert bucket.taken(0.0, 0.9).wait(0.0) == pytest.approx(0.9 * bucket.interval)
    empty = Bucket(12, 0.0)
    assert empty.wait(0.0) == empty.interval
    assert empty.wait(0.0, ahead=3) == 4 * empty.interval


def test_a_line_of_strangers_holds_up_nobody_who_wrote() -> None:
    pace = paced(PaceLimits(per_minute=600, unknown_per_minute=1, warm_up_days=0))
    pace.look()
    holds = [pace.ask(n, Jid(f"s{n}"), STRANGER, NOW, 0.0, 0.0) for n in range(50)]
    assert holds[0] is None
    assert {held.reason for held in holds[1:] if held} == {HeldReason.UNKNOWN_RATE}
    assert [held.seconds for held in holds[1:4] if held] == [60.0, 120.0, 180.0], "each has its place in the line"
    assert pace.ask("reply", ANA, KNOWN, NOW, 0.0, 0.0) is None
    assert pace.ask("group", Jid("1@g.us"), Facts(open=True), NOW, 0.1, 0.0) is None


def test_what_is_behind_in_a_chat_waits_though_the_first_is_not_listed() -> None:
    """The proxy leaves out what it was told is held back."""
    pace = paced(PaceLimits(per_minute=1, warm_up_days=0), full_after=0.0)
    pace.look()
    first = pace.ask("a", ANA, KNOWN, NOW, 0.0, 0.0)
    assert first == Held(HeldReason.RATE, 60.0)
    pace.look()
    assert pace.ask("b", ANA, KNOWN, NOW, 59.0, 0.0) == Held(HeldReason.RATE, 1.0)
    assert pace.ask("b", ANA, KNOWN, NOW, 61.0, 0.0) == Held(HeldReason.RATE, ABSENT - 1), "the proxy may be late"
    assert pace.ask("a", ANA, KNOWN, NOW, 62.0, 0.0) is None
    pace.over("a", ANA)
    assert pace.ask("b", ANA, KNOWN, NOW, 200.0, 0.0) is None


def test_a_first_one_that_does_not_come_back_is_waited_for_no_longer() -> None:
    """Somebody has deleted it."""
    pace = paced(PaceLimits(per_minute=1, warm_up_days=0), full_after=0.0)
    assert pace.ask("a", ANA, KNOWN, NOW, 0.0, 0.0) is not None
    assert pace.ask("b", ANA, KNOWN, NOW, 60.0 + ABSENT - 1, 0.0) is not None
    assert pace.ask("b", ANA, KNOWN, NOW, 60.0 + ABSENT + 1, 0.0) is None


def test_a_first_one_that_has_failed_is_not_waited_for() -> None:
    pace = paced(PaceLimits(per_minute=1, warm_up_days=0), full_after=0.0)
    assert pace.ask("a", ANA, KNOWN, NOW, 0.0, 0.0) is not None
    pace.over("a", ANA)
    assert pace.ask("b", ANA, KNOWN, NOW, 61.0, 0.0) is None


def test_while_restricted_nobody_is_written_to_first_and_the_others_are() -> None:
    pace, today = paced(), attrs.evolve(NOW, restricted_for=1800.0)
    assert pace.ask(1, ANA, STRANGER, today, 0.0, 0.0) == Held(HeldReason.RESTRICTED, 1800.0)
    assert pace.ask(2, Jid("c"), Facts(begun=True), today, 0.0, 0.0) == Held(HeldReason.RESTRICTED, 1800.0)
    assert pace.prepare(3, Jid("d"), STRANGER, today, 0.0, typed=False) is not None
    assert pace.ask(4, BIA, KNOWN, today, 0.0, 0.0) is None
    assert RESTRICTED_FOR == RESTRICTION, "the status ends when the hold does"


def test_the_days_first_messages_are_counted_by_the_day() -> None:
    limits = attrs.evolve(FAST, first_per_day=2)
    now = 10 * DAY
    today = Today(now, firsts=(now - DAY + 100, now - DAY + 900))
    pace = paced(limits)
    assert pace.ask(1, ANA, STRANGER, today, 0.0, 0.0) == Held(HeldReason.FIRST_PER_DAY, 100.0)
    assert pace.ask(2, BIA, STRANGER, today, 0.0, 0.0) == Held(HeldReason.FIRST_PER_DAY, 900.0), "next in the line"
    assert pace.ask(3, Jid("c"), STRANGER, today, 0.0, 0.0) == Held(HeldReason.FIRST_PER_DAY, LONGEST_HOLD)
    assert pace.ask(4, Jid("d"), Facts(begun=True), today, 0.0, 0.0) is None, "a second message is no first one"
    none = paced(attrs.evolve(FAST, first_per_day=0))
    assert none.ask(1, ANA, STRANGER, Today(now), 0.0, 0.0) == Held(HeldReason.FIRST_PER_DAY, LONGEST_HOLD)


def test_a_number_warms_up() -> None:
    limits = PaceLimits(first_per_day=30, warm_up_days=14)
    assert [first_messages(limits, age * DAY) for age in (0, 0.99, 1, 6, 12, 13, 400)] == [2, 2, 4, 15, 27, 30, 30]
    assert first_messages(attrs.evolve(limits, first_per_day=3), 0.0) == 1, "one at the least"
    assert first_messages(attrs.evolve(limits, first_per_day=0), 0.0) == 0
    assert first_messages(attrs.evolve(limits, warm_up_days=0), 0.0) == 30
    assert first_messages(limits, -DAY) == 2, "a clock that was set back"


def test_typing_is_shown_shortly_before_and_files_are_fetched_at_any_time() -> None:
    pace = paced(PaceLimits(per_minute=12, warm_up_days=0))
    asked = [pace.prepare(n, Jid(str(n)), KNOWN, NOW, 0.0, typed=True) for n in range(4)]
    assert [held is None for held in asked] == [True, True, False, False], "as many as may go"
    assert pace.prepare(0, Jid("0"), KNOWN, NOW, 0.0, typed=True) is None, "still"
    assert pace.prepare(9, Jid("9"), KNOWN, NOW, 0.0, typed=False) is None
    assert pace.ask(0, Jid("0"), KNOWN, NOW, 5.0, 0.0) is None, "it has its turn"
    pace.over(0, Jid("0"))
    assert pace.prepare(3, Jid("3"), KNOWN, NOW, 12.0, typed=True) is None


def test_a_first_message_that_is_being_prepared_is_counted_once() -> None:
    pace = paced(attrs.evolve(FAST, first_per_day=1))
    assert pace.prepare(1, ANA, STRANGER, NOW, 0.0, typed=True) is None
    begun = Today(NOW.now, firsts=(NOW.now,))
    assert pace.prepare(2, BIA, STRANGER, begun, 0.0, typed=True) is not None
    assert pace.ask(1, ANA, Facts(begun=True), begun, 5.0, 0.0) is None


def test_what_it_remembers_is_bounded() -> None:
    pace = paced(PaceLimits(per_minute=1, warm_up_days=0), full_after=0.0)
    for n in range(MOST_REMEMBERED + 50):
        pace.ask(n, Jid(str(n)), KNOWN, NOW, 0.0, 0.0)
        pace.prepare(-n, Jid(f"f{n}"), KNOWN, NOW, 0.0, typed=False)
    assert len(pace._first) <= MOST_REMEMBERED
    assert len(pace._admitted) <= MOST_REMEMBERED


def test_typing_takes_longer_for_a_longer_text_within_bounds() -> None:
    assert [typing_for("x" * length) for length in (1, 50, 100, 65_536)] == [1.0, 3.0, 6.0, TYPING_MOST]
