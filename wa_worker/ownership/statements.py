"""The SQL of claims.py. All times are the server's own: no clock of a worker's host is ever written."""

from __future__ import annotations

LISTEN = "LISTEN wa_look; LISTEN wa_rows"
"""Has the server say on this connection that there is something to look at: an instance is free, or is wanted, or not;
or (ROWS) that a worker has written rows for instances that are not its own. A hint: where it does not arrive, as
through a pooler, the next look comes by itself."""

ROWS = "wa_rows"

REGISTER = """
    INSERT INTO workers (id, host, version, capacity, healthy, expires_at)
    VALUES (%(me)s, %(host)s, %(version)s, %(capacity)s, false, clock_timestamp() + %(ttl)s * interval '1 s')
"""

RENEW = """
    UPDATE workers
    SET expires_at = clock_timestamp() + %(ttl)s * interval '1 s', capacity = %(capacity)s, healthy = %(through)s,
        draining = %(draining)s
    WHERE id = %(me)s AND expires_at > clock_timestamp()
    RETURNING 1
"""

LOOK = """
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

ALIVE = "SELECT 1 FROM workers WHERE id = %(me)s AND expires_at > clock_timestamp() FOR KEY SHARE"

CANDIDATES = """
    SELECT id, n, token, owner, claims, extract(epoch FROM clock_timestamp() - claimed_at)::float8
    FROM instances
    WHERE wanted AND not_before <= clock_timestamp()
        AND (owner IS NULL OR NOT EXISTS (SELECT FROM workers w WHERE w.id = instances.owner))
    ORDER BY random() LIMIT %(count)s
    FOR UPDATE OF instances SKIP LOCKED
"""

# That it is free is asked again, now that it is locked: its owner may have changed since the statement above began.
TAKE = """
    UPDATE instances
    SET owner = %(me)s, token = token + 1, claims = %(claims)s, claimed_at = clock_timestamp(),
        not_before = clock_timestamp() + %(pause)s * interval '1 s'
    WHERE id = %(id)s
        AND (owner IS NULL OR NOT EXISTS (SELECT FROM workers w WHERE w.id = instances.owner))
    RETURNING token
"""

PUT_OFF = """
    UPDATE instances SET claims = %(claims)s, not_before = clock_timestamp() + %(pause)s * interval '1 s'
    WHERE id = %(id)s
"""

GIVE_AWAY = """
    WITH free AS (
        UPDATE instances i SET owner = NULL, claims = greatest(i.claims - 1, 0), not_before = '-infinity'
        FROM unnest(%(ids)s::text[], %(tokens)s::bigint[]) AS given (id, token)
        WHERE i.id = given.id AND i.token = given.token AND i.owner = %(me)s
        RETURNING 1
    )
    SELECT pg_notify('wa_look', '') WHERE EXISTS (SELECT FROM free)
"""

# What a person has let go of, at whatever worker, is wanted by nobody until it is taken up again.
WANT = """
    WITH again AS (
        UPDATE instances SET wanted = true
        WHERE id = ANY(%(ids)s) AND NOT wanted AND NOT EXISTS (SELECT FROM let_go l WHERE l.instance = instances.id)
        RETURNING 1
    ),
    new AS (
        INSERT INTO instances (id)
        SELECT id FROM unnest(%(ids)s::text[]) AS listed (id)
        WHERE NOT EXISTS (SELECT FROM instances known WHERE known.id = listed.id)
            AND NOT EXISTS (SELECT FROM let_go l WHERE l.instance = listed.id)
        ON CONFLICT (id) DO NOTHING
        RETURNING 1
    )
    SELECT pg_notify('wa_look', '') WHERE EXISTS (SELECT FROM again) OR EXISTS (SELECT FROM new)
"""

UNWANT = """
    WITH ended AS (UPDATE instances SET wanted = false WHERE id = ANY(%(ids)s) AND wanted RETURNING owner)
    SELECT pg_notify('wa_look', '') WHERE EXISTS (SELECT FROM ended WHERE owner <> %(me)s)
"""

LEAVE = """
    WITH gone AS (DELETE FROM workers WHERE id = %(me)s RETURNING 1)
    SELECT pg_notify('wa_look', '') WHERE EXISTS (SELECT FROM gone)
"""

PROVEN = """
    UPDATE instances SET claims = 0, not_before = '-infinity'
    WHERE id = ANY(%(ids)s) AND owner = %(me)s AND (claims > 0 OR not_before > '-infinity')
"""

END_FORMER = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'wa/%%'
        AND split_part(application_name, '/', 2) = ANY(%(numbers)s)
        AND application_name <> ALL(%(names)s)
"""

END_DEAD = """
    SELECT count(pg_terminate_backend(a.pid)) FROM workers w
    JOIN pg_stat_activity a ON strpos(a.application_name, w.id::text) > 0
    WHERE w.expires_at < clock_timestamp() AND a.datname = current_database() AND a.pid <> pg_backend_pid()
"""
