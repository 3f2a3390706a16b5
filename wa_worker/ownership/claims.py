"""The statements of ownership: one worker's row in `wa.workers`, and its instances in `wa.instances`.

Blocking, on one connection, for one thread at a time. A statement has STATEMENT seconds, by the server's word; a server
that does not answer at all is noticed by TCP (postgres/connecting.py). Every method raises StateError when it was not
done, or may not have been, and then the next call connects anew.

All times are the server's. Whoever claims from a dead worker first deletes its row: a transaction of the journal that
holds the row (FOR KEY SHARE) ends before, and none begins after.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
import structlog

from wa_worker import __version__
from wa_worker.errors import StateError
from wa_worker.models import InstanceId
from wa_worker.ownership.lease import MOST_CLAIMS, STATEMENT, TTL, Claimed, Peer, View, judge
from wa_worker.ownership.schemas import damage_of, take_schema
from wa_worker.postgres.connecting import connect, state_errors
from wa_worker.postgres.url import StateUrl

log = structlog.get_logger(__name__)

REAP_LOCK = 1.0
"""Seconds that a dead worker's transactions may take to end by themselves."""

FORMER_SESSIONS = 1.0
"""Seconds that the connections of a former owner's session may take to end, once they are told to."""

DAMAGED_PAUSE = 60.0
"""Seconds before an instance is tried again whose schema could not be made or renamed."""

_REGISTER = """
    INSERT INTO workers (id, host, version, capacity, healthy, expires_at)
    VALUES (%(me)s, %(host)s, %(version)s, %(capacity)s, false, clock_timestamp() + %(ttl)s * interval '1 s')
"""

_RENEW = """
    UPDATE workers
    SET expires_at = clock_timestamp() + %(ttl)s * interval '1 s', capacity = %(capacity)s, healthy = %(through)s,
        draining = %(draining)s
    WHERE id = %(me)s AND expires_at > clock_timestamp()
    RETURNING 1
"""

_LOOK = """
    WITH owned AS (
        SELECT owner, count(*) AS count, sum(token)::bigint AS tokens, count(*) FILTER (WHERE wanted) AS wanted,
            count(*) FILTER (WHERE wanted AND not_before <= clock_timestamp()) AS due,
            coalesce(jsonb_agg(id) FILTER (WHERE owner = %(me)s AND NOT wanted), '[]') AS unwanted
        FROM instances GROUP BY owner
    )
    SELECT
        (SELECT coalesce(sum(wanted), 0)::bigint FROM owned),
        (SELECT coalesce(sum(due), 0)::bigint FROM owned WHERE NOT EXISTS (SELECT FROM workers w WHERE w.id = owner)),
        (SELECT count(*) FROM workers WHERE expires_at < clock_timestamp()),
        (SELECT jsonb_build_array(count, tokens, unwanted) FROM owned WHERE owner = %(me)s),
        (SELECT jsonb_agg(jsonb_build_array(w.capacity, coalesce(o.count, 0), w.healthy, w.draining))
            FROM workers w LEFT JOIN owned o ON o.owner = w.id
            WHERE w.id <> %(me)s AND w.expires_at >= clock_timestamp())
"""

_ALIVE = "SELECT 1 FROM workers WHERE id = %(me)s AND expires_at > clock_timestamp() FOR KEY SHARE"

_CANDIDATES = """
    SELECT id, n, token, claims, extract(epoch FROM clock_timestamp() - claimed_at)::float8
    FROM instances
    WHERE wanted AND not_before <= clock_timestamp()
        AND (owner IS NULL OR NOT EXISTS (SELECT FROM workers w WHERE w.id = instances.owner))
    ORDER BY random() LIMIT %(count)s
    FOR UPDATE OF instances SKIP LOCKED
"""

# That it is free is asked again, now that it is locked: its owner may have changed since the statement above began.
_TAKE = """
    UPDATE instances
    SET owner = %(me)s, token = token + 1, claims = %(claims)s, claimed_at = clock_timestamp(),
        not_before = clock_timestamp() + %(pause)s * interval '1 s'
    WHERE id = %(id)s
        AND (owner IS NULL OR NOT EXISTS (SELECT FROM workers w WHERE w.id = instances.owner))
    RETURNING token
"""

_PUT_OFF = """
    UPDATE instances SET claims = %(claims)s, not_before = clock_timestamp() + %(pause)s * interval '1 s'
    WHERE id = %(id)s
"""

_GIVE_AWAY = """
    UPDATE instances i SET owner = NULL, claims = greatest(i.claims - 1, 0), not_before = '-infinity'
    FROM unnest(%(ids)s::text[], %(tokens)s::bigint[]) AS given (id, token)
    WHERE i.id = given.id AND i.token = given.token AND i.owner = %(me)s
"""

_WANT = """
    WITH again AS (UPDATE instances SET wanted = true WHERE id = ANY(%(ids)s) AND NOT wanted)
    INSERT INTO instances (id)
    SELECT id FROM unnest(%(ids)s::text[]) AS listed (id)
    WHERE NOT EXISTS (SELECT FROM instances known WHERE known.id = listed.id)
    ON CONFLICT (id) DO NOTHING
"""

_PROVEN = """
    UPDATE instances SET claims = 0, not_before = '-infinity'
    WHERE id = ANY(%(ids)s) AND owner = %(me)s AND (claims > 0 OR not_before > '-infinity')
"""

_END_FORMER = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE application_name LIKE 'wa/%%' AND split_part(application_name, '/', 2) = ANY(%(numbers)s)
        AND application_name <> ALL(%(names)s)
"""

_END_DEAD = """
    SELECT count(pg_terminate_backend(a.pid)) FROM workers w
    JOIN pg_stat_activity a ON strpos(a.application_name, w.id::text) > 0
    WHERE w.expires_at < clock_timestamp() AND a.pid <> pg_backend_pid()
"""


class Claims:
    """Speaks to the state database for one worker. `close` may be called at any time."""

    def __init__(self, url: StateUrl, host: str, *, me: uuid.UUID | None = None) -> None:
        self.me = me or uuid.uuid4()
        self._url = url
        self._host = host
        self._sql: psycopg.Connection | None = None

    def close(self) -> None:
        sql, self._sql = self._sql, None
        if sql is not None:
            sql.close()

    # --- the worker

    def register(self, capacity: int) -> None:
        with self._connected() as sql:
            sql.execute(_REGISTER, self._with(host=self._host, version=__version__, capacity=capacity, ttl=TTL))

    def renew(self, capacity: int, *, through: bool, draining: bool) -> bool:
        """Says whether this worker is still alive: if not, it never will be again."""
        values = self._with(ttl=TTL, capacity=capacity, through=through, draining=draining)
        with self._connected() as sql:
            return sql.execute(_RENEW, values).fetchone() is not None

    def leave(self) -> None:
        """Takes the worker's own row away: what it still owned is free at once."""
        with self._connected() as sql:
            sql.execute("DELETE FROM workers WHERE id = %(me)s", self._with())

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
                ended = sql.execute(_END_DEAD).fetchone()
                log.warning("ended what a dead worker had under way", connections=ended and ended[0])
                raise
        for worker, host in dead:
            log.warning("a worker's lease has run out, its instances are free", worker=str(worker), host=host)
        return len(dead)

    # --- instances

    def look(self) -> View:
        with self._connected() as sql:
            row = sql.execute(_LOOK, self._with()).fetchone()
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
                if sql.execute(_ALIVE, self._with()).fetchone() is None:
                    return []
                rows = sql.execute(_CANDIDATES, self._with(count=count)).fetchall()
                found = [self._take(sql, *row) for row in rows]
            claimed = [each for each in found if each is not None]
            self._end_former(sql, claimed)
        return claimed

    def _take(
        self, sql: psycopg.Connection, instance: InstanceId, n: int, token: int, claims: int, since: float | None
    ) -> Claimed | None:
        verdict = judge(claims, since)
        values = self._with(id=instance, claims=verdict.claims, pause=verdict.pause)
        if not verdict.claim:
            sql.execute(_PUT_OFF, values)
            log.error(
                "an instance was taken by worker after worker and never got through: it is held for a while",
                instance=instance,
                claims=MOST_CLAIMS,
                seconds=verdict.pause,
            )
            return None
        try:
            with sql.transaction():
                row = sql.execute(_TAKE, values).fetchone()
                if row is None:
                    return None
                claimed = Claimed(instance, row[0], n)
                take_schema(sql, claimed, token)
                return claimed
        except (psycopg.Error, StateError) as error:
            if sql.broken:
                raise
            sql.execute(_PUT_OFF, values | {"claims": claims, "pause": DAMAGED_PAUSE})
            log.error("the keys of an instance cannot be taken over", instance=instance, error=damage_of(error))
            return None

    def _end_former(self, sql: psycopg.Connection, claimed: Sequence[Claimed]) -> None:
        """Ends the connections of sessions under other tokens: what they have under way ends before we read."""
        if not claimed:
            return
        values = {"numbers": [str(each.n) for each in claimed], "names": [each.application_name for each in claimed]}
        until = time.monotonic() + FORMER_SESSIONS
        while (row := sql.execute(_END_FORMER, values).fetchone()) and row[0]:
            if time.monotonic() > until:
                raise StateError(f"{row[0]} connections of former owners' sessions do not end")
            time.sleep(0.02)

    def give_away(self, instances: Sequence[Claimed]) -> None:
        """Says that they are nobody's, where they are ours under that token."""
        with self._connected() as sql:
            ids, tokens = [each.instance for each in instances], [each.token for each in instances]
            sql.execute(_GIVE_AWAY, self._with(ids=ids, tokens=tokens))

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
            sql.execute(_WANT, self._with(ids=list(instances)))

    def unwant(self, instances: Sequence[InstanceId]) -> None:
        """Notes that they are to be run by nobody: their owner hears of it at its next look."""
        with self._connected() as sql:
            sql.execute("UPDATE instances SET wanted = false WHERE id = ANY(%(ids)s)", self._with(ids=list(instances)))

    def proven(self, instances: Sequence[InstanceId]) -> None:
        """Notes that sessions of ours got through to WhatsApp: the count of their claims begins anew."""
        with self._connected() as sql:
            sql.execute(_PROVEN, self._with(ids=list(instances)))

    # --- how

    def _with(self, **values: object) -> dict[str, object]:
        return {"me": self.me, **values}

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection]:
        try:
            if self._sql is None:
                self._sql = connect(self._url, f"lease {self.me}", statement_timeout=STATEMENT)
            with state_errors(self._url):
                yield self._sql
        except StateError:
            self.close()
            raise
