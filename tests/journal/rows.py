"""Rows for the journal's tests, and looks at them."""

from __future__ import annotations

import sqlite3
import time

from wa_worker.journal import Admission, Journal, SendState, Settled
from wa_worker.messages import ChatType, InboundMessage
from wa_worker.models import InstanceId, Jid, MessageId, WaMessageId

SHOP, OTHER = InstanceId("shop"), InstanceId("other")
ANA, BIA = Jid("5511988880001@s.whatsapp.net"), Jid("5511988880002@s.whatsapp.net")
ME = Jid("5511999990001@s.whatsapp.net")
YEAR = 365 * 86_400.0


def inbound_message(wa_id: str, chat: Jid = ANA, body: str = "Oi") -> InboundMessage:
    return InboundMessage(WaMessageId(wa_id), chat, ChatType.DIRECT, ME, chat, None, None, body, "text", 1_700_000_000)


def posted_bodies(journal: Journal) -> dict[int, list[str]]:
    return {key: [row.message.body for row in journal.inbox.pending(key, 100)] for key in journal.inbox.keys(0, 100)}


def read_only(journal: Journal, on: bool) -> None:
    """As a disk that does not take a write, and takes it again."""
    with journal.database.reading() as sql:
        if isinstance(sql, sqlite3.Connection):
            sql.execute(f"PRAGMA query_only={int(on)}")
        else:  # for the connections that come, too
            sql.execute("SET default_transaction_read_only = off")
            sql.execute(f"ALTER ROLE CURRENT_USER SET default_transaction_read_only = {'on' if on else 'off'}")
            sql.execute(f"SET default_transaction_read_only = {'on' if on else 'off'}")


def admit(journal: Journal, *ids: MessageId, at: float | None = None) -> Admission:
    return journal.ledger.admit(SHOP, dict.fromkeys(ids, ANA), listed_at=time.time() if at is None else at)


def states(journal: Journal) -> dict[str, str]:
    with journal.database.reading() as sql:
        return dict(sql.execute("SELECT message_id, state FROM ledger ORDER BY seq").fetchall())


def send(
    journal: Journal, message_id: MessageId, state: SendState, *, instance: InstanceId = SHOP, **fields: object
) -> None:
    journal.ledger.step(instance, [], message_id)
    journal.ledger.step(instance, [Settled(message_id, state, **fields)], None)  # type: ignore[arg-type]  # a test's shorthand
