"""A worker's volume whose journal is open in a running worker, and `wa-worker journal` on it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import attrs
from click.testing import CliRunner, Result

from wa_worker.cli.commands import cli
from wa_worker.journal import InboxResult, Journal, SendState, Settled
from wa_worker.messages import ChatType, InboundMessage
from wa_worker.models import InstanceId, Jid, MessageId, WaMessageId

SHOP, BAR = InstanceId("shop"), InstanceId("bar")
PHONE = "5511988880002"
CHAT = Jid(f"{PHONE}@s.whatsapp.net")
SECRET_TEXT = "the secret text"
ESCAPE = "\x1b[2J"


def message(wa_id: str, *, body: str = SECRET_TEXT) -> InboundMessage:
    return InboundMessage(
        wa_id=WaMessageId(wa_id),
        chat=CHAT,
        chat_type=ChatType.DIRECT,
        to=Jid("5511999990001@s.whatsapp.net"),
        sender=CHAT,
        sender_lid=None,
        push_name="Ana Maria",
        body=body,
        message_type="text",
        timestamp=1_750_000_000,
    )


@attrs.frozen
class Volume:
    """A worker's AUTH_DIR, and the journal as the running worker has it open."""

    auth_dir: Path
    journal: Journal

    def run(self, *arguments: str, answer: str | None = None) -> Result:
        environment = {"AUTH_DIR": str(self.auth_dir), "EDGE_BASE_URL": None, "WORKER_SECRET": None}
        return CliRunner().invoke(cli, ["journal", *arguments], env=environment, input=answer)

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        result = self.run("list", "--json", *arguments)
        assert result.exit_code == 0, result.output
        found: list[dict[str, Any]] = json.loads(result.stdout)
        return found

    def states(self) -> dict[str, str]:
        return {row["id"]: row["state"] for row in self.rows("--limit", "9999")}

    def dead(self, wa_id: str, *, instance: InstanceId = SHOP, error: str = "answered 422") -> None:
        self.journal.inbox.record(instance, message(wa_id, body="poison"))
        (seq,) = self._sql("SELECT seq FROM inbox ORDER BY seq DESC LIMIT 1")[0]
        self.journal.inbox.settle([InboxResult(seq, error, dead) for dead in (False, False, True)])

    def send(self, message_id: MessageId, state: SendState) -> None:
        """A message to send that got as far as `state`."""
        ledger = self.journal.ledger
        ledger.admit(SHOP, {message_id: CHAT}, listed_at=time.time())
        if state is SendState.WAITING:
            return
        ledger.step(SHOP, [], message_id)
        if state is SendState.INTENT:
            return
        got = SendState.SENT if state is SendState.MARKED else state
        ledger.step(
            SHOP, [Settled(message_id, got, WaMessageId("3EB0"), None if got is SendState.SENT else "why")], None
        )
        if state is SendState.MARKED:
            ledger.reported(row for row in ledger.unreported(0, 99) if row.message_id == message_id)

    def due(self, message_id: MessageId) -> bool:
        """Whether the worker would send it if the proxy listed it now."""
        return message_id in self.journal.ledger.admit(SHOP, {message_id: CHAT}, listed_at=0.0).due

    def pending(self) -> list[str]:
        """What the worker would post, in order."""
        inbox = self.journal.inbox
        return [row.message.wa_id for lane in inbox.keys(0, 99) for row in inbox.pending(lane, 9999)]

    def _sql(self, query: str) -> list[Any]:
        with self.journal.database.reading() as sql:
            return sql.execute(query).fetchall()
