"""Keeps what is known of sends that may or may not have left (P2): their ids, until a receipt proves that they did.

The rows are the ledger's (ledger.py). One that is to be sent again is `unproven` until no receipt has come in time; it
keeps its ids after that, as long as nothing else has settled it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping

import attrs

from wa_worker.journal.database import Database
from wa_worker.journal.items import BY_A_PERSON
from wa_worker.journal.ledger import key_of
from wa_worker.journal.states import ADDED, SendState
from wa_worker.models import InstanceId, MessageId, WaMessageId


@attrs.frozen
class CutOff:
    """Describes an intent that the last process left behind. `begun`: when, in unix seconds."""

    seq: int
    instance: InstanceId
    secret: bytes | None = attrs.field(repr=False)
    store: str | None
    begun: float


@attrs.frozen
class MaybeSent:
    """Describes a message of which a receipt for one of `wa_ids` would prove that it was sent.

    `unproven`: it is sent again when no receipt comes in time.
    """

    instance: InstanceId
    message_id: MessageId
    wa_ids: tuple[WaMessageId, ...]
    unproven: bool


class Doubts:
    """Keeps the ids of uncertain sends. Any thread may call; every method raises JournalError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def cut_off(self, instance: InstanceId | None = None) -> list[CutOff]:
        """Returns the intents of a process that died, those of one instance if it is named. For the start, and for an
        instance that was another worker's, before SendLedger.recover()."""
        with self._database.reading() as sql:
            return [CutOff(*row) for row in sql.execute(_FIND_INTENTS, {"instance": instance})]

    def found(
        self,
        found: Mapping[int, WaMessageId | None],
        *,
        resend: bool,
        tries: int,
        instance: InstanceId | None = None,
    ) -> int:
        """Records what the session stores say of these intents, by `seq`: the id under which one may have left, or None
        for one that certainly did not. That one waits to be sent, whatever the policy is. Returns how many of these
        there were.

        Those with an id are left to SendLedger.recover(). Without `resend` all that wait for a receipt are held,
        or all of `instance`.
        """
        now, never_left = time.time(), 0
        with self._database.transaction() as sql:
            for seq, wa_id in found.items():
                if wa_id is None:
                    never_left += sql.execute(_NEVER_LEFT, {"seq": seq, "now": now, "tries": tries}).rowcount
                else:
                    sql.execute(_ADD_ID, {"seq": seq, "maybe_id": wa_id, "resend": resend, "tries": tries})
            if not resend:
                sql.execute(_HOLD, {"instance": instance})
        return never_left

    def maybe_sent(self, instance: InstanceId | None = None) -> list[MaybeSent]:
        """Returns the messages of which a receipt may yet prove that they were sent; of one instance if it is named."""
        with self._database.reading() as sql:
            rows = sql.execute(_FIND_MAYBE_SENT, {"instance": instance}).fetchall()
        return [
            MaybeSent(instance, json.loads(key), tuple(json.loads(ids)), bool(unproven))
            for instance, key, ids, unproven in rows
        ]

    def prove(self, instance: InstanceId, sent: Mapping[MessageId, WaMessageId]) -> list[MessageId]:
        """Records messages as sent under these ids, because receipts say so. Returns those that are being sent once
        more right now, which it leaves alone. One that a later try took for failed is sent; one that a person has
        discarded stays so."""
        now = time.time()
        busy: list[MessageId] = []
        with self._database.transaction() as sql:
            for message_id, wa_id in sent.items():
                key = key_of(message_id)
                proven = sql.execute(_PROVE, (wa_id, now, int(now), instance, key)).rowcount
                if not proven and sql.execute(_IS_INTENT, (instance, key)).fetchone():
                    busy.append(message_id)
        return busy

    def release(self, instance: InstanceId, messages: Iterable[MessageId]) -> None:
        """No receipt has come for these in time: they are sent again when the proxy lists them."""
        with self._database.transaction() as sql:
            sql.executemany(_RELEASE, [(instance, key_of(message_id)) for message_id in messages])

    def distrust(self, instance: InstanceId) -> None:
        """That the session store does not know a send of this instance that is under way proves nothing any more."""
        with self._database.transaction() as sql:
            sql.execute(_DISTRUST, (instance,))


_OF = "AND (CAST(:instance AS TEXT) IS NULL OR instance = :instance)"

_FIND_INTENTS = f"""
SELECT seq, instance, secret, store, changed_at FROM ledger
WHERE state = '{SendState.INTENT}' {_OF} /* owned: instance */"""

_NEVER_LEFT = f"""
UPDATE ledger SET state = CASE WHEN attempts < :tries THEN '{SendState.WAITING}' ELSE '{SendState.UNCERTAIN}' END,
  secret = NULL, store = NULL, changed_at = :now, error = 'the worker stopped before it left'
WHERE seq = :seq AND state = '{SendState.INTENT}' /* owned: instance */"""

_ADD_ID = f"""
UPDATE ledger SET maybe_ids = {ADDED},
  unproven = CASE WHEN :resend = 1 AND attempts < :tries THEN 1 ELSE 0 END
WHERE seq = :seq AND state = '{SendState.INTENT}' /* owned: instance */"""

_HOLD = f"""
UPDATE ledger SET state = '{SendState.UNCERTAIN}', unproven = 0
WHERE state = '{SendState.WAITING}' AND unproven = 1 {_OF} /* owned: instance */"""

_OPEN = f"""
state IN ('{SendState.WAITING}', '{SendState.UNCERTAIN}', '{SendState.FAILED}')
AND coalesce(error, '') <> '{BY_A_PERSON}'"""

_FIND_MAYBE_SENT = f"""
SELECT instance, message_id, maybe_ids, unproven FROM ledger
WHERE {_OPEN} AND maybe_ids IS NOT NULL {_OF} /* owned: instance */"""

_PROVE = f"""
UPDATE ledger SET state = '{SendState.SENT}', wa_id = ?, error = NULL, reported = 0, unproven = 0, changed_at = ?,
  sent_at = ?
WHERE instance = ? AND message_id = ? AND {_OPEN}"""

_IS_INTENT = f"SELECT 1 FROM ledger WHERE instance = ? AND message_id = ? AND state = '{SendState.INTENT}'"

_RELEASE = "UPDATE ledger SET unproven = 0 WHERE instance = ? AND message_id = ?"

_DISTRUST = f"UPDATE ledger SET store = NULL WHERE instance = ? AND state = '{SendState.INTENT}'"
