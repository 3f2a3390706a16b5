"""A process with one session of a paired store, for a test that tells it what to do and hears what it reports.

    python -m wa_worker.dev.simulator.trust tests.whatsapp.session_process AUTH_DIR [OBSTACLE]

It takes and gives JSON objects, one a line. In: `{"do": "send", "to", "text"}`, `{"do": "begin to send", "to",
"text"}` (commands go on meanwhile), `{"do": "upload", "kind", "file"}` (so here), `{"do": "cut nothing"}`, `{"do":
"mark read", "chat", "ids"}`, `{"do": "steady"}`, `{"do": "give up"}`, `{"do": "close"}`, `{"do": "cancel"}`. Out:
`{"is": "open"}`, `{"is": "report", "event"}`, `{"is": "message"}`, `{"is": "sent", "id", "to", "at"}`, `{"is":
"uploaded", "path", "size", "sha256"}`, `{"is": "hanging", "count"}`, `{"is": "error", "kind", "text", "wa_id",
"failure"}`, `{"is": "steady", "seconds"}`, what receipts.py tells (`{"is": "expect" | "heard" | "distrust", "ids"}`),
`{"is": "receipt", "ids", "progress", "at"}`, and at the end `{"is": "closed", "seconds", "native_threads"}`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

_OUT = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # the library prints there

import wa_worker.whatsapp.libmagic  # noqa: E402,F401 - before neonize

# isort: split
import attrs  # noqa: E402
import trio  # noqa: E402

from tests.whatsapp.receipts import Receipts  # noqa: E402
from wa_worker.errors import SendDelayed, SendError, SendRefused, SendUncertain, SessionError  # noqa: E402
from wa_worker.journal import open_journal  # noqa: E402
from wa_worker.messages import MediaKind, OutgoingMessage, Receipt, Text  # noqa: E402
from wa_worker.metrics import Metrics  # noqa: E402
from wa_worker.models import RESERVED_FOLDER, InstanceId, Jid, WaMessageId  # noqa: E402
from wa_worker.postgres.url import StateUrl  # noqa: E402
from wa_worker.states import Event, Report  # noqa: E402
from wa_worker.whatsapp.folder_store import FolderStore  # noqa: E402
from wa_worker.whatsapp.gate import StartGate  # noqa: E402
from wa_worker.whatsapp.receiving import Receiver, Told  # noqa: E402
from wa_worker.whatsapp.schema_store import IDLE, SchemaStores  # noqa: E402
from wa_worker.whatsapp.session import Session, open_session  # noqa: E402
from wa_worker.whatsapp.session_host import SessionHost  # noqa: E402
from wa_worker.whatsapp.store import SessionStore  # noqa: E402
from wa_worker.whatsapp.uploads import Uploads  # noqa: E402

SHOP = InstanceId("shop")
PATIENCE = 1.0
"""Seconds for an upload."""


def say(what: str, **fields: Any) -> None:
    _OUT.write(json.dumps({"is": what, **fields}) + "\n")


async def send(session: Session, to: str, text: str) -> None:
    try:
        accepted = await trio.to_thread.run_sync(session.send, OutgoingMessage(Jid(to), Text(text)))
        say("sent", id=accepted.wa_id, to=accepted.to, at=accepted.timestamp)
    except SendError as error:
        wa_id = error.wa_id if isinstance(error, SendUncertain) else None
        failure = error.failure.value if isinstance(error, SendRefused | SendDelayed) else None
        say("error", kind=type(error).__name__, text=str(error), wa_id=wa_id, failure=failure)


async def upload(session: Session, kind: str, file: str) -> None:
    try:
        uploaded = await session.upload(MediaKind(kind), Path(file))
        say("uploaded", path=uploaded.direct_path, size=uploaded.size, sha256=uploaded.sha256.hex())
    except SendError as error:
        say("error", kind=type(error).__name__, text=str(error))


async def tell_reports(session: Session) -> None:
    while True:
        report = await session.next_report()
        say(
            "report",
            event=report.event.name,
            detail=report.detail,
            seconds=report.seconds,
            synced=session.offline_synced,
        )


def store_of(auth_dir: Path) -> SessionStore:
    """The instance's folder, or the schema that the test names."""
    if (schema := os.environ.get("TEST_SCHEMA")) is None:
        return FolderStore.of(auth_dir, SHOP)
    idle = float(os.environ.get("TEST_IDLE", IDLE))
    stores = SchemaStores(StateUrl.of(os.environ["TEST_STATE_URL"]), idle=idle)
    stores.gained(SHOP, schema, schema.replace("_", "/"))
    return stores.of(SHOP)


class Ticks:
    """Tells of receipts that say how far messages have come."""

    def heard(self, _instance: InstanceId, receipt: Receipt) -> None:
        say("receipt", ids=receipt.wa_ids, progress=receipt.progress.word, at=receipt.timestamp)


class Line:
    """The commands of the test."""

    def __init__(
        self, leave: trio.CancelScope, doing: trio.CancelScope, threads: trio.Nursery, uploads: Uploads
    ) -> None:
        self._uploads = uploads
        self._threads = threads
        self._leave = leave
        self._doing = doing
        self.session: Session | None = None

    async def follow(self) -> None:
        async with trio.lowlevel.FdStream(os.dup(0)) as stdin:
            rest = b""
            async for chunk in stdin:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    await self._do(json.loads(line))

    async def _do(self, command: dict[str, str]) -> None:
        if command["do"] == "cancel":
            self._doing.cancel()
        elif command["do"] == "close":
            self._leave.cancel()
        elif self.session is not None and command["do"] == "send":
            await send(self.session, command["to"], command["text"])
        elif self.session is not None and command["do"] == "mark read":
            ids = [WaMessageId(wa_id) for wa_id in command["ids"].split()]
            chat = Jid(command["chat"])
            try:
                await trio.to_thread.run_sync(self.session.mark_read, chat, chat, ids)
                say("marked")
            except SessionError as error:
                say("error", kind=type(error).__name__, text=str(error))
        elif self.session is not None and command["do"] == "steady":
            say("steady", seconds=self.session.steady, synced=self.session.offline_synced)
        elif self.session is not None and command["do"] == "begin to send":
            self._threads.start_soon(send, self.session, command["to"], command["text"])
        elif command["do"] == "cut nothing":
            self._uploads.cut = lambda before, seconds: 0
        elif self.session is not None and command["do"] == "upload":
            self._threads.start_soon(upload, self.session, command["kind"], command["file"])
        elif self.session is not None:
            self.session.give_up(Report(Event.VOLUME_FAILED, "the test says so"))


async def main(auth_dir: Path, obstacle: str | None) -> None:
    with open_journal(auth_dir / RESERVED_FOLDER / "journal.db") as journal:
        async with trio.open_nursery() as threads:
            receiver = Receiver(journal.inbox, Metrics(), Told(lambda: None, file=lambda: None))
            receipts = Receipts(lambda what, ids: say(what, ids=ids))
            host = SessionHost(receiver, StartGate(), threads, "wa-worker", receipts, journal.accounts)
            uploads = Uploads(patience=PATIENCE, told=lambda hanging: say("hanging", count=hanging))
            host = attrs.evolve(host, receipts=Ticks(), uploads=uploads)
            store, leave, left = store_of(auth_dir), trio.CancelScope(), 0.0
            with trio.CancelScope() as doing:
                line = Line(leave, doing, threads, host.uploads)
                threads.start_soon(line.follow)
                try:
                    async with open_session(
                        SHOP, store, host, on_message=lambda: say("message"), obstacle=lambda: obstacle
                    ) as session:
                        say("open")
                        line.session = session
                        with leave:
                            await tell_reports(session)
                        left = time.monotonic()
                except SessionError as error:
                    say("error", kind=type(error).__name__, text=str(error))
            if line.session is not None:
                await send(line.session, "5511988880005@s.whatsapp.net", "after the end")
            native = len(threads.child_tasks) - 1  # without the line to the test
            say("closed", seconds=time.monotonic() - left if left else None, native_threads=native)
            threads.cancel_scope.cancel()
    os._exit(0)


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
