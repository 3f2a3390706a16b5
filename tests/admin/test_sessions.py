"""Who is logged in, for how long, and how often one may try."""

from __future__ import annotations

import attrs

from wa_worker.admin.sessions import FORGIVEN, FREE, LIFE, LONGEST_PAUSE, MOST, Sessions, Throttle
from wa_worker.models import Secret

TOKEN = Secret("the-token-of-the-tests")


@attrs.define
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_token_opens_and_nothing_else_does() -> None:
    sessions = Sessions(TOKEN, Clock())
    for wrong in ("", "the-token-of-the-test", "the-token-of-the-tests ", "THE-TOKEN-OF-THE-TESTS", "é", "\ud800"):
        assert sessions.log_in(wrong) is None
    first, second = sessions.log_in(TOKEN.reveal()), sessions.log_in(TOKEN.reveal())
    assert first is not None
    assert second is not None
    assert len({first.id, first.csrf, second.id, second.csrf}) == 4
    assert min(len(first.id), len(first.csrf)) >= 40
    assert sessions.of(first.id) == first
    assert first.id not in repr(first)
    assert first.csrf not in repr(first)
    assert [sessions.of(each) for each in (None, "", first.csrf, "x")] == [None] * 4


def test_a_session_ends_by_itself_and_by_logging_out() -> None:
    clock = Clock()
    sessions = Sessions(TOKEN, clock)
    first, second = sessions.log_in(TOKEN.reveal()), sessions.log_in(TOKEN.reveal())
    assert first is not None
    assert second is not None
    sessions.log_out(first)
    sessions.log_out(first)
    assert (sessions.of(first.id), sessions.of(second.id)) == (None, second)
    clock.now += LIFE - 1
    assert sessions.of(second.id) == second
    clock.now += 1
    assert sessions.of(second.id) is None


def test_a_form_is_of_one_session() -> None:
    sessions = Sessions(TOKEN, Clock())
    first, second = sessions.log_in(TOKEN.reveal()), sessions.log_in(TOKEN.reveal())
    assert first is not None
    assert second is not None
    assert first.made(first.csrf)
    assert not any(first.made(each) for each in ("", second.csrf, first.id, first.csrf[:-1], "é\ud800"))


def test_there_are_not_many_sessions_at_once() -> None:
    sessions = Sessions(TOKEN, Clock())
    made = [sessions.log_in(TOKEN.reveal()) for _ in range(MOST + 3)]
    alive = [each for each in made if each is not None and sessions.of(each.id)]
    assert alive == made[3:]


def test_wrong_tries_are_slowed_down_more_and_more() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(FREE):
        assert throttle.wait() == 0
        throttle.wrong()
    pauses = []
    for _ in range(12):
        pauses.append(throttle.wait())
        clock.now += throttle.wait()
        assert throttle.wait() == 0
        throttle.wrong()
    assert pauses[:4] == [2, 4, 8, 16]
    assert pauses[-1] == LONGEST_PAUSE
    for _ in range(2000):  # no number grows too large
        throttle.wrong()
    assert throttle.wait() == LONGEST_PAUSE
    clock.now += FORGIVEN
    assert throttle.wait() == 0
    throttle.wrong()
    assert throttle.wait() == 0, "the count began anew"


def test_the_right_token_begins_anew() -> None:
    sessions = Sessions(TOKEN, Clock())
    for _ in range(3):
        for _ in range(FREE - 1):
            sessions.log_in("wrong")
        assert sessions.throttle.wait() == 0
        sessions.log_in(TOKEN.reveal())
