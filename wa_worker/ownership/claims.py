"""The statements of ownership: one worker's row in `wa.workers`, and its instances in `wa.instances`.

Blocking, on one connection, for one thread at a time. A statement has STATEMENT seconds, by the server's word; a server
that does not answer at all is noticed by TCP (postgres/connecting.py). Every method raises StateError when it was not
done, or may not have been, and then the next call connects anew.

All times are the server's. Whoever claims from a dead worker first deletes its row: a transaction of the journal that
holds the row (FOR KEY SHARE) ends before, and none begins after.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import structlog

from wa_worker import __version__
from wa_worker.errors import StateError
from wa_worker.models import InstanceId
from wa_worker.ownership.lease import MOST_CLAIMS, RETRY, STATEMENT, TTL, Came, Claimed, Peer, View, judge
from wa_worker.ownership.schemas import damage_of, take_schema
from wa_worker.ownership.statements import (
    ALIVE,
    CANDIDATES,
    END_DEAD,
    END_FORMER,
    GIVE_AWAY,
    LEAVE,
    LISTEN,
    LOOK,
    PROVEN,
    PUT_OFF,
    REGISTER,
    RENEW,
    ROWS,
    TAKE,
    UNWANT,
    WANT,
)
from wa_worker.postgres.connecting import connect, state_errors
from wa_worker.postgres.url import StateUrl

log = structlog.get_logger(__name__)

REAP_LOCK = 1.0
"""Seconds that a dead worker's transactions may take to end by themselves."""

FORMER_SESSIONS = 1.0
"""Seconds that the connections of a former owner's session may take to end, once they are told to."""

DAMAGED_PAUSE = 60.0
"""Seconds before an instance is tried again whose schema could not be made or renamed."""


class Claims:
    """Speaks to the state database for one worker."""

    def __init__(self, url: StateUrl, host: str, me: uuid.UUID | None = None) -> None:
        self.me = me or uuid.uuid4()
        """New at each start of a process, and never used again."""
        self._url = url
        self._host = host
        self._sql: psycopg.Connection | None = None
        self._busy = self._ended = False
        self.told = False
        """The server has said since the last look that there is something to look at."""
        self.rows_told = False
        """It has said that another worker has written rows for an instance that may be ours."""

    def close(self) -> None:
        """Ends the connection. A call under way on another thread fails soon, and ends it then."""
        self._ended = True
        if not self._busy:
            self._disconnect()
        elif (sql := self._sql) is not None:
            with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(sql.fileno())) as connection:
                connection.shutdown(socket.SHUT_RDWR)

    def descriptor(self) -> int | None:
        """Returns the connection's socket, which can be read when the server says something between two calls."""
        return None if self._sql is None or self._busy else self._sql.fileno()

    def again(self) -> Claims:
        """Returns another for the same worker, with a connection of its own."""
        return Claims(self._url, self._host, self.me)

    def anew(self) -> Claims:
        """Returns one for a new worker."""
        return Claims(self._url, self._host)

    # --- the worker

    def register(self, capacity: int) -> None:
        with self._connected() as sql:
            sql.execute(REGISTER, self._with(host=self._host, version=__version__, capacity=capacity, ttl=TTL))

    def renew(self, capacity: int, *, through: bool, draining: bool) -> bool:
        """Says whether this worker is still alive: if not, it never will be again."""
        values = self._with(ttl=TTL, capacity=capacity, through=through, draining=draining)
        with self._connected() as sql:
            return sql.execute(RENEW, values).fetchone() is not None

    def leave(self) -> None:
        """Takes the worker's own row away: what it still owned is free at once."""
        with self._connected() as sql:
            sql.execute(LEAVE, self._with())

    def reap(self) -> int:
        """Deletes the workers whose lease has run out, and returns how many.

        A transaction of such a worker's journal that does not end by itself, as when its host hangs, is ended here;
        then this raises StateError, and works the next time.
        """
        with self._connected() as sql:
            try:
                with sql.transaction():
                    sql.execute("SELECT set_config('lock_timeout', %s, true)", (f"{REAP_LOCK * 1000:.0f}ms",))
                    rows = sql.execute("DELETE FROM workers WHERE expires_at < clock_timestamp() RETURNING id, host")
                    dead = rows.fetchall()
            except psycopg.errors.LockNotAvailable:
                ended = sql.execute(END_DEAD).fetchone()
                log.warning("ended what a dead worker had under way", connections=ended and ended[0])
                raise
        for worker, host in dead:
            log.warning("a worker's lease has run out, its instances are free", worker=str(worker), host=host)
        return len(dead)

    # --- instances

    def look(self) -> View:
        with self._connected() as sql:
            sql.pgconn.consume_input()
            while notify := sql.pgconn.notifies():  # what it has said until now, this look sees
                self.rows_told |= notify.relname.decode() == ROWS
            self.told = False
            row = sql.execute(LOOK, self._with()).fetchone()
        assert row is not None
        wanted, claimable, expired, mine, peers = row
        count, tokens, unwanted = mine or (0, 0, ())
        return View(
            wanted, claimable, expired, count, tokens, tuple(unwanted), tuple(Peer(*peer) for peer in peers or ())
        )

    def claim(self, count: int) -> list[Claimed]:
        """Takes up to so many instances that nobody owns, and returns them.

        Two workers never get the same one. When this raises, they may be ours all the same: `mine` says so.
        """
        with self._connected() as sql:
            with sql.transaction():
                if sql.execute(ALIVE, self._with()).fetchone() is None:
                    return []
                rows = sql.execute(CANDIDATES, self._with(count=count)).fetchall()
                found = [self._take(sql, row) for row in rows]
            claimed = [each for each in found if each is not None]
            self._end_former(sql, claimed)
        return claimed

    def _take(self, sql: psycopg.Connection, row: tuple[Any, ...]) -> Claimed | None:
        instance, n, token, owner, claims, since = row
        verdict = judge(claims, since)
        values = self._with(id=instance, claims=verdict.claims, pause=verdict.pause)
        if not verdict.claim:
            sql.execute(PUT_OFF, values)
            log.error(
                "an instance was taken by worker after worker and never got through: it is held for a while",
                instance=instance,
                claims=MOST_CLAIMS,
                seconds=verdict.pause,
            )
            return None
        try:
            with sql.transaction():
                taken = sql.execute(TAKE, values).fetchone()
                if taken is None:
                    return None
                came = Came.DEAD if owner else Came.FREE if token else Came.NEW
                claimed = Claimed(instance, taken[0], n, came)
                take_schema(sql, claimed, token)
                return claimed
        except (psycopg.Error, StateError) as error:
            if sql.broken:
                raise
            late = isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable)
            sql.execute(PUT_OFF, values | {"claims": claims, "pause": RETRY if late else DAMAGED_PAUSE})
            log.error("the keys of an instance cannot be taken over", instance=instance, error=damage_of(error))
            return None

    def _end_former(self, sql: psycopg.Connection, claimed: Sequence[Claimed]) -> None:
        """Ends the connections of sessions under other tokens: what they have under way ends before we read."""
        if not claimed:
            return
        values = {"numbers": [str(each.n) for each in claimed], "names": [each.application_name for each in claimed]}
        until = time.monotonic() + FORMER_SESSIONS
        while (row := sql.execute(END_FORMER, values).fetchone()) and row[0]:
            if time.monotonic() > until:
                raise StateError(f"{row[0]} connections of former owners' sessions do not end")
            time.sleep(0.02)

    def give_away(self, instances: Sequence[Claimed]) -> None:
        """Says that they are nobody's, where they are ours under that token."""
        with self._connected() as sql:
            ids, tokens = [each.instance for each in instances], [each.token for each in instances]
            sql.execute(GIVE_AWAY, self._with(ids=ids, tokens=tokens))

    def mine(self) -> list[Claimed]:
        """Returns all that is ours; former owners' sessions on them have ended."""
        with self._connected() as sql:
            rows = sql.execute("SELECT id, token, n FROM instances WHERE owner = %(me)s ORDER BY id", self._with())
            claimed = [Claimed(*row) for row in rows]
            self._end_former(sql, claimed)
        return claimed

    def want(self, instances: Sequence[InstanceId]) -> None:
        """Notes that they are to be run, by anybody. Writes nothing where that is known."""
        with self._connected() as sql:
            sql.execute(WANT, self._with(ids=list(instances)))

    def unwant(self, instances: Sequence[InstanceId]) -> None:
        """Notes that they are to be run by nobody: their owner hears of it at its next look."""
        with self._connected() as sql:
            sql.execute(UNWANT, self._with(ids=list(instances)))

    def proven(self, instances: Sequence[InstanceId]) -> None:
        """Notes that sessions of ours got through to WhatsApp: the count of their claims begins anew."""
        with self._connected() as sql:
            sql.execute(PROVEN, self._with(ids=list(instances)))

    # --- how

    def _with(self, **values: object) -> dict[str, object]:
        return {"me": self.me, **values}

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection]:
        self._busy = True
        try:
            if self._sql is None:
                self._sql = connect(self._url, f"lease {self.me}", statement_timeout=STATEMENT)
                self._sql.add_notify_handler(self._on_notify)
                with state_errors(self._url):
                    self._sql.execute(LISTEN)
                self.told = self.rows_told = True  # what was said before that nobody has heard
            with state_errors(self._url):
                yield self._sql
        except StateError:
            self._disconnect()
            raise
        finally:
            self._busy = False
            if self._ended:
                self._disconnect()

    def _on_notify(self, notify: psycopg.Notify) -> None:
        self.told = True
        self.rows_told |= notify.channel == ROWS

    def _disconnect(self) -> None:
        sql, self._sql = self._sql, None
        if sql is not None:
            sql.close()
