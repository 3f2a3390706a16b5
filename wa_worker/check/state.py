"""The PostgreSQL database of `STATE_URL`: that a worker can work with it, how far it is, what it keeps, and its room.

Reads only, beside workers that run or not. Here is what is judged; state_facts.py reads it, and imports psycopg.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from wa_worker.check.result import Result, fail, not_checked, ok, quoted, warn
from wa_worker.errors import StateError, UnfitState
from wa_worker.postgres.fitness import OLDEST, TOO_OLD
from wa_worker.postgres.url import StateUrl

if TYPE_CHECKING:
    from wa_worker.check.state_facts import Connections, Facts

STATE, TLS, ROLE, FORMAT, DURABILITY, CONNECTIONS = NAMES = (
    "state",
    "state tls",
    "state role",
    "state format",
    "state durability",
    "state connections",
)
"""Results that only a worker with STATE_URL has."""

FAR = 0.005
"""Seconds for a trip to the server and back: within a region it is a fifth of that. A send takes 11 to 22 of them."""

PER_SESSION = 2
"""Connections that whatsmeow holds for a session until it has said nothing for 30 s (schema_store.IDLE)."""

OWN = 4
"""Connections of a worker besides: the lease, the journal, looks into the sessions' keys, and one that comes and goes
(changes of a schema, a proxy address, a look at the journal)."""

_REACHED = "is STATE_URL right (user, password, host, port, database), and PostgreSQL up and open to this machine?"
_CERTIFICATE = "sslrootcert must be the file of the authority that signed the server's certificate, for this very host"


async def check_state(url: StateUrl) -> list[Result]:
    """Results of these NAMES. Cancelled: a thread is left behind, until PostgreSQL or its time-out ends it."""
    try:
        from wa_worker.check.state_facts import read_facts  # psycopg is an extra
    except ModuleNotFoundError as error:
        return _only(fail(STATE, f"{error.name} is not installed", "pip install 'wa-worker[postgres]'"))
    try:
        facts = await trio.to_thread.run_sync(read_facts, url, abandon_on_cancel=True)
    except UnfitState as error:
        return _only(fail(STATE, quoted(error.found, url.password, longest=300), error.remedy))
    except StateError as error:
        remedy = _CERTIFICATE if "certificate" in str(error) else _REACHED
        return _only(fail(STATE, quoted(error, url.password, longest=300), remedy))
    if facts.version < OLDEST:
        return _only(fail(STATE, f"PostgreSQL {url.place} is of version {facts.version}", TOO_OLD))
    return [
        judge_server(url, facts),
        judge_tls(url, facts.tls),
        judge_role(facts),
        judge_format(facts),
        judge_durability(facts),
        judge_connections(facts.connections),
    ]


def _only(first: Result) -> list[Result]:
    return [first, *(not_checked(name, "STATE_URL does not work") for name in NAMES[1:])]


def judge_server(url: StateUrl, facts: Facts) -> Result:
    pooler = ", behind a pooler in session mode" if facts.pooler else ""
    found = f"PostgreSQL {facts.version} at {url.place}{pooler}, {facts.trip * 1000:.1f} ms away"
    if facts.replica:
        return fail(STATE, f"{found}, is a replica, which can only be read", "name the primary in STATE_URL")
    if facts.trip > FAR:
        remedy = "have it in the workers' region, within 5 ms: a send takes 11 to 22 trips to it"
        return warn(STATE, found, remedy)
    return ok(STATE, found)


def judge_tls(url: StateUrl, version: str | None) -> Result:
    if url.is_plain:
        found = (
            "none, and the server is another machine: messages, session keys and the password can be read on the way"
        )
        return warn(
            TLS, found, "end STATE_URL in ?sslmode=verify-full&sslrootcert=FILE, or at least in ?sslmode=require"
        )
    if version is None:
        return ok(TLS, "none, and none is needed: the server is this machine")
    unproven = "" if url.options["sslmode"].startswith("verify") else ", and whose certificate it is was not asked"
    return ok(TLS, f"{version}{unproven} (sslmode={url.options['sslmode']})")


def judge_role(facts: Facts) -> Result:
    if not facts.creates:
        found = f"{quoted(facts.user)} may make no schema in this database, and each instance needs one"
        return fail(ROLE, found, "ALTER DATABASE ... OWNER TO that role: docs/scaling.md")
    if facts.superuser:
        found = f"{quoted(facts.user)} is a superuser: it may read and end everything on that server"
        return warn(ROLE, found, "a role and a database of their own: docs/scaling.md")
    if not facts.asks:
        found = f"{quoted(facts.user)} may not ask which server and which timeline it is on (pg_control_system)"
        return fail(ROLE, found, "GRANT EXECUTE ON FUNCTION pg_control_system TO that role")
    return ok(ROLE, f"{quoted(facts.user)} {'owns' if facts.owns else 'may make schemas in'} the database")


def judge_format(facts: Facts) -> Result:
    if facts.format > facts.known_format:
        found = f"a newer wa-worker wrote the state (format {facts.format}, this one knows {facts.known_format})"
        return fail(FORMAT, found, "run that version")
    if not facts.format:
        return ok(FORMAT, "empty; the first worker makes its tables")
    if facts.format < facts.known_format:
        return ok(FORMAT, f"{facts.format}: the next worker that starts upgrades it to {facts.known_format}")
    return ok(FORMAT, f"{facts.format}, that of this version")


def judge_durability(facts: Facts) -> Result:
    if off := [name for name, value in sorted(facts.durability.items()) if value == "off"]:
        found = f"{' and '.join(off)} off: what was committed can be gone after a crash, and be sent or told again"
        return warn(DURABILITY, found, f"set {' and '.join(off)} to on, for this role and database too")
    return ok(DURABILITY, ", ".join(f"{name} {value}" for name, value in sorted(facts.durability.items())))


def judge_connections(those: Connections) -> Result:
    """All workers of the database share its connections, so it is judged for all of them."""
    workers, instances = max(1, those.workers), those.instances
    most = OWN * workers + PER_SESSION * instances
    found = (
        f"room for {those.room} of {those.most}; a worker needs {OWN}, and {PER_SESSION} for each session that was "
        f"active within 30 s: {most} at the most (workers: {workers}, instances: {instances})"
    )
    if those.room < OWN * workers + PER_SESSION:
        return fail(CONNECTIONS, found, "raise max_connections, or the limit of the role or the database")
    if those.room < most:
        sessions = (those.room - OWN * workers) // PER_SESSION
        remedy = f"raise max_connections, unless never more than {sessions} are active within the same 30 s"
        return warn(CONNECTIONS, found, remedy)
    return ok(CONNECTIONS, found)
