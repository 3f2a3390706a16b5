"""What answers behind `STATE_URL`, and no worker can work with: shared connections, servers that are too old.

A session's connections have settings of their own: `search_path` is its schema, so through a pooler that gives each
transaction another connection it would find the keys of another instance, or none. Nothing here connects.
"""

from __future__ import annotations

from wa_worker.errors import UnfitState

OLDEST = 14
"""The first PostgreSQL with `idle_session_timeout`, without which whatsmeow's connections are never given back."""

POOLER = "use the direct port of PostgreSQL, or the pooler's session-mode port"

TOO_OLD = f"use PostgreSQL {OLDEST} or later"


def shares_connections(place: str, how: str) -> UnfitState:
    """Returns the error for a pooler in transaction mode. how: by what it is known."""
    return UnfitState(
        f"{place} is a pooler in transaction mode, such as PgBouncer's or Supavisor's, and a worker needs connections "
        f"of its own ({how})",
        POOLER,
    )


def unfit(place: str, words: str) -> UnfitState | None:
    """Returns the error for what a server says when it refuses a connection of ours. None: that says nothing of it."""
    if "unsupported startup parameter" in words:  # PgBouncer's words, in either mode
        return shares_connections(
            place, f"it refuses the settings of a connection: {words.rpartition('FATAL:')[2].strip()}"
        )
    if 'unrecognized configuration parameter "idle_session_timeout"' in words:
        return UnfitState(f"PostgreSQL {place} is older than {OLDEST}", TOO_OLD)
    return None
