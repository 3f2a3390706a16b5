"""Who is logged in at the admin page, and how often one may try. In memory: a restart logs everybody out."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable

import attrs
import trio

from wa_worker.models import Secret
from wa_worker.monitoring.bearer import is_token

LIFE = 12 * 3600.0
"""Seconds for which one is logged in: a day of work, so that a forgotten tab is no key for long."""

MOST = 50
"""Sessions at once: the oldest ends for another. Each is a browser in which somebody knew the token."""

FREE = 5
"""Wrong tries before there is a pause: who mistypes does not notice it."""

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
"""Seconds. It doubles with each wrong try: 300 a day at the most, of 2^128 tokens that `openssl rand` may give."""

FORGIVEN = 1800.0
"""Seconds without a wrong try after which the count begins anew."""


@attrs.frozen
class Session:
    """Holds what a browser shows that is logged in. `id`: its cookie; `csrf`: what its forms carry."""

    id: str = attrs.field(repr=False)
    csrf: str = attrs.field(repr=False)
    ends: float

    def made(self, csrf: str) -> bool:
        """Says whether a form is one of this session's."""
        return hmac.compare_digest(csrf.encode("utf-8", "replace"), self.csrf.encode())


class Throttle:
    """Says how long to wait before the next try to log in. It counts all tries, whoever makes them.

    So nothing that a client says of itself counts, and the memory is two numbers. The price: who guesses keeps a person
    out while they do; `GET /instances` still answers.
    """

    def __init__(self, now: Callable[[], float] = trio.current_time) -> None:
        self._now = now
        self._wrong = 0
        self._last = 0.0

    def wait(self) -> float:
        """Returns the seconds until the next try is looked at, 0 if it is now."""
        passed = self._now() - self._last
        if passed >= FORGIVEN:
            self._wrong = 0
        if self._wrong < FREE:
            return 0.0
        pause = min(FIRST_PAUSE * 2.0 ** min(self._wrong - FREE, 30), LONGEST_PAUSE)
        return max(pause - passed, 0.0)

    def wrong(self) -> None:
        """Counts a wrong try."""
        self._wrong += 1
        self._last = self._now()

    def right(self) -> None:
        """Begins anew."""
        self._wrong = 0


class Sessions:
    """Knows who is logged in. Trio thread only."""

    def __init__(self, token: Secret, now: Callable[[], float] = trio.current_time) -> None:
        self._token = token
        self._now = now
        self._sessions: dict[str, Session] = {}
        self.throttle = Throttle(now)

    def log_in(self, given: str) -> Session | None:
        """Begins a session if the token is right. Ask `throttle` first. Takes the same time whatever is wrong."""
        if not is_token(given, self._token):
            self.throttle.wrong()
            return None
        self.throttle.right()
        self._end_old()
        while len(self._sessions) >= MOST:
            del self._sessions[next(iter(self._sessions))]
        session = Session(secrets.token_urlsafe(32), secrets.token_urlsafe(32), self._now() + LIFE)
        self._sessions[session.id] = session
        return session

    def of(self, cookie: str | None) -> Session | None:
        """Returns the session that a cookie is of, None if there is none or it has ended."""
        session = self._sessions.get(cookie or "")
        if session is not None and session.ends <= self._now():
            self.log_out(session)
            return None
        return session

    def log_out(self, session: Session) -> None:
        """Ends a session, whose cookie is worth nothing then."""
        self._sessions.pop(session.id, None)

    def _end_old(self) -> None:
        now = self._now()
        self._sessions = {key: each for key, each in self._sessions.items() if each.ends > now}
