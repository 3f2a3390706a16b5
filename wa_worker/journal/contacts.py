"""Keeps whom an account knows, for PACE: who has written to it, to whom it began to write, and since when it is linked.

Nobody's address is kept here. A person is a keyed hash of the account's JID and their own: it is found again when the
account writes to them, and says nothing to who reads the table without the key. The key is in the same file: this keeps
addresses out of dumps and of looks at the table, and does not hide them from who has the whole journal.

Who has written lately is read from the inbox, which knows a week. `learn()` takes it over from there, and what the
ledger knows, before retention forgets it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Mapping

import attrs

from wa_worker.journal.database import Database, Sql
from wa_worker.journal.states import SKIP_LOCKED, SendState
from wa_worker.models import InstanceId, Jid

DAY = 86_400.0

KNOWN_FOR = 180 * DAY
"""Seconds after its last message for which a person is known: who comes back after half a year is new."""

ACCOUNT_KEPT = 730 * DAY
"""Seconds after its last login for which it is known since when an account is linked."""


@attrs.frozen
class Contact:
    """Says what is known of a person. heard_at: when they last wrote, in unix seconds; None: never. begun: they were
    written to."""

    heard_at: float | None = None
    begun: bool = False


NOBODY = Contact()


@attrs.frozen
class Account:
    """Says what is known of an account, for its first messages. Times in unix seconds.

    firsts: when it wrote first to somebody in the last 24 hours, ascending. restricted_for: seconds.
    """

    linked_at: float
    firsts: tuple[float, ...]
    restricted_for: float


class Contacts:
    """The tables of contacts. Any thread may call; every method raises JournalError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._key: bytes | None = None

    def linked(self, instance: InstanceId, account: Jid) -> None:
        """Notes that an instance is linked to an account, now and since it was noted first."""
        key = self._hash(account)
        with self._database.transaction(durable=False) as sql:
            sql.execute(_LINKED, (instance, key, time.time(), time.time()))

    def account(self, instance: InstanceId, account: Jid) -> Account:
        """Returns what is known of an account. A first message that the clock has not come to yet, for it was set back,
        counts as one of now."""
        key = self._hash(account)
        with self._database.reading() as sql:
            now = time.time()
            firsts = tuple(at for (at,) in sql.execute(_FIRSTS, (instance, now - DAY)))
            row = sql.execute(_ACCOUNT, (instance, key)).fetchone()
        if firsts and firsts[-1] > now:  # else they would count for longer than a day
            with self._database.transaction(durable=False) as sql:
                sql.execute(_CLAMP, (now, instance, now))
            firsts = tuple(min(at, now) for at in firsts)
        linked_at, until, written_at = row or (now, None, None)
        left = 0.0 if until is None else min(until - now, until - written_at)
        return Account(min(linked_at, now), firsts, max(left, 0.0))

    def find(self, instance: InstanceId, account: Jid, chats: Iterable[Jid]) -> Mapping[Jid, Contact]:
        """Returns what is known of each of these chats."""
        self._hash(account)  # the key is there, before the lock is taken
        with self._database.reading() as sql:
            return {chat: self._find(sql, instance, account, chat) for chat in set(chats)}

    def begin(self, instance: InstanceId, account: Jid, chat: Jid, *, first: bool) -> None:
        """Notes that somebody is written to; `first`: and that they have never written. To be called before the send.

        A commit that a kill -9 does not undo; the intent of the send, which follows, takes it to the disk.
        """
        now, person = time.time(), self._hash(account, chat)
        with self._database.transaction(durable=False) as sql:
            sql.execute(_BEGIN, (instance, person, now, now if first else None))

    def restrict(self, instance: InstanceId, account: Jid, seconds: float) -> None:
        """Notes for how long no first message is to be tried; 0 ends that."""
        now, key = time.time(), self._hash(account)
        with self._database.transaction() as sql:
            sql.execute(_RESTRICT, (now + seconds, now, instance, key))

    def learn(self, instance: InstanceId, account: Jid) -> None:
        """Takes over whom the inbox and the ledger know of an instance."""
        with self._database.reading() as sql:
            heard = sql.execute(_HEARD_OF, (instance,)).fetchall()
            begun = sql.execute(_WRITTEN_TO, (instance,)).fetchall()
        rows = [(instance, self._hash(account, jid), at, None) for jid, at in heard]
        rows += [(instance, self._hash(account, jid), None, at) for jid, at in begun]
        with self._database.transaction(durable=False) as sql:
            sql.executemany(_LEARN, rows)

    def purge(self, older_than: float, limit: int = 5000) -> int:
        """Forgets up to `limit` people who were not heard of, nor written to, for KNOWN_FOR, or `older_than` seconds if
        that is longer; and accounts that are not linked any more. Returns how many."""
        now = time.time()
        with self._database.transaction() as sql:
            people = sql.execute(_PURGE, (now - max(older_than, KNOWN_FOR), limit)).rowcount
            return people + sql.execute(_PURGE_ACCOUNTS, (now - max(older_than, ACCOUNT_KEPT), limit)).rowcount

    def _hash(self, *parts: Jid) -> bytes:
        """Hashes JIDs. Takes the lock at the first time."""
        if self._key is None:
            with self._database.transaction() as sql:
                sql.execute(_MAKE_KEY, (secrets.token_bytes(32),))
                key = bytes(sql.execute("SELECT key FROM contact_key").fetchone()[0])
            self._key = key  # it is committed: another worker has no other one
        return hashlib.blake2b("\0".join(parts).encode(), key=self._key, digest_size=16).digest()

    def _find(self, sql: Sql, instance: InstanceId, account: Jid, chat: Jid) -> Contact:
        """Looks a chat up under the address that was asked for, and under the one that WhatsApp has named instead."""
        other = sql.execute("SELECT jid FROM accounts WHERE asked = ?", (chat,)).fetchone()
        heard: list[float] = []
        begun = False
        for jid in {chat, *(other or ())}:
            row = sql.execute(_CONTACT, (instance, self._hash(account, jid))).fetchone() or (None, None)
            begun |= row[1] is not None
            heard += [at for at in (row[0], sql.execute(_HEARD, (instance, jid)).fetchone()[0]) if at is not None]
        return Contact(max(heard, default=None), begun)


_MAKE_KEY = """
INSERT INTO contact_key SELECT ? WHERE NOT EXISTS (SELECT 1 FROM contact_key) ON CONFLICT DO NOTHING"""

_WORDS = "kind NOT IN ('receipt', 'group_change', 'update')"

_LINKED = """
INSERT INTO linked_accounts (instance, account, linked_at, seen_at) VALUES (?, ?, ?, ?)
ON CONFLICT (instance, account) DO UPDATE SET seen_at = excluded.seen_at"""

_ACCOUNT = """
SELECT linked_at, restricted_until, restricted_at FROM linked_accounts WHERE instance = ? AND account = ?"""

_RESTRICT = """
UPDATE linked_accounts SET restricted_until = ?, restricted_at = ? WHERE instance = ? AND account = ?"""

_CLAMP = "UPDATE contacts SET first_at = ? WHERE instance = ? AND first_at > ?"

_FIRSTS = "SELECT first_at FROM contacts WHERE instance = ? AND first_at > ? ORDER BY first_at"

_CONTACT = "SELECT heard_at, begun_at FROM contacts WHERE instance = ? AND person = ?"

_HEARD = f"""
SELECT max(received_at) FROM inbox JOIN chats ON chats.id = chat WHERE instance = ? AND jid = ? AND {_WORDS}"""

_BEGIN = """
INSERT INTO contacts (instance, person, begun_at, first_at) VALUES (?, ?, ?, ?)
ON CONFLICT (instance, person) DO UPDATE SET begun_at = excluded.begun_at,
  first_at = coalesce(contacts.first_at, excluded.first_at)"""

_HEARD_OF = f"""
SELECT jid, max(received_at) FROM inbox JOIN chats ON chats.id = chat WHERE instance = ? AND {_WORDS} GROUP BY jid"""

_WRITTEN_TO = f"""
SELECT coalesce(sent_to, chat), max(changed_at) FROM ledger
WHERE instance = ? AND state IN ('{SendState.SENT}', '{SendState.MARKED}') AND coalesce(sent_to, chat) IS NOT NULL
GROUP BY 1"""

_LEARN = """
INSERT INTO contacts (instance, person, heard_at, begun_at) VALUES (?, ?, ?, ?)
ON CONFLICT (instance, person) DO UPDATE SET
  heard_at = max(coalesce(contacts.heard_at, excluded.heard_at), coalesce(excluded.heard_at, contacts.heard_at)),
  begun_at = max(coalesce(contacts.begun_at, excluded.begun_at), coalesce(excluded.begun_at, contacts.begun_at))"""

_PURGE = f"""
DELETE FROM contacts WHERE (instance, person) IN (
  SELECT instance, person FROM contacts WHERE max(coalesce(heard_at, 0), coalesce(begun_at, 0)) < ?
  LIMIT ? {SKIP_LOCKED})"""

_PURGE_ACCOUNTS = f"""
DELETE FROM linked_accounts WHERE (instance, account) IN (
  SELECT instance, account FROM linked_accounts WHERE seen_at < ? LIMIT ? {SKIP_LOCKED})"""
