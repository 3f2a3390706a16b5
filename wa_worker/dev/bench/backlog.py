"""A backlog of 100,000 messages that the proxy does not take: what it costs in memory, and in a callback's commit."""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import trio

from wa_worker.dev.bench.bed import Bed
from wa_worker.dev.bench.measure import percentile, usage
from wa_worker.dev.bench.scenarios import Row
from wa_worker.dev.proxy import Fault
from wa_worker.journal import open_journal
from wa_worker.messages import ChatType, InboundMessage
from wa_worker.models import JOURNAL_FILE, RESERVED_FOLDER, InstanceId, Jid, WaMessageId

CHATS = 1000


async def backlog(bed: Bed, messages: int) -> list[Row]:
    """Fills the journal behind a stopped worker's back, then runs a worker on it while the proxy answers 503."""
    name = min(bed.jids)
    path = bed.auth_dir / RESERVED_FOLDER / JOURNAL_FILE
    async with bed.worker() as worker:
        await bed.all_connected()
        await trio.sleep(3)
        empty = usage(worker.pid).rss
    await trio.to_thread.run_sync(_fill, path, name, messages)
    commits = await trio.to_thread.run_sync(_commits, path, name, 1000)
    for call in ("inbound", "events"):
        bed.proxy.faults.set(call, Fault(status=503))
    async with bed.worker() as worker:
        await bed.all_connected()
        await trio.sleep(5)
        full = usage(worker.pid).rss
        began = time.perf_counter()
        await trio.run_process(
            [sys.executable, "-m", "wa_worker", "journal", "stats", "--json", "--auth-dir", str(bed.auth_dir)],
            capture_stdout=True,
        )
        stats = time.perf_counter() - began
    bed.proxy.faults.clear()
    condition = bed.condition(f"{messages:,} messages pending in {CHATS:,} chats, the proxy answers 503")
    return [
        Row("backlog", condition, "memory (RSS) above that without", full - empty, "MB"),
        Row("backlog", condition, "commit of a message p50", 1000 * percentile(commits, 0.5), "ms"),
        Row("backlog", condition, "commit of a message p99", 1000 * percentile(commits, 0.99), "ms"),
        Row("backlog", condition, "wa-worker journal stats", stats, "s"),
    ]


def _message(n: int, wa_id: str) -> InboundMessage:
    chat = Jid(f"55116{n % CHATS:08}@s.whatsapp.net")
    return InboundMessage(
        WaMessageId(wa_id), chat, ChatType.DIRECT, chat, chat, None, "Ana", "a message of some length" * 4, "text", n
    )


def _fill(path: Path, instance: str, messages: int) -> None:
    """By plain SQL, since a hundred thousand commits would take a while. `_message` gives the content its real size."""
    with open_journal(path) as journal:
        journal.inbox.record(InstanceId(instance), _message(0, "seed"))
    with closing(sqlite3.connect(path)) as sql, sql:
        (content,) = sql.execute("SELECT message FROM inbox WHERE wa_id = 'seed'").fetchone()
        fields = json.loads(content)
        now = time.time()
        sql.executemany(
            "INSERT OR IGNORE INTO chats (instance, jid) VALUES (?, ?)",
            [(instance, _message(n, "").chat) for n in range(CHATS)],
        )
        chats = dict(sql.execute("SELECT jid, id FROM chats WHERE instance = ?", (instance,)))
        sql.executemany(
            "INSERT INTO inbox (chat, wa_id, message, received_at) VALUES (?, ?, ?, ?)",
            [
                (chats[_message(n, "").chat], f"B{n}", json.dumps({**fields, "wa_id": f"B{n}"}), now)
                for n in range(messages)
            ],
        )


def _commits(path: Path, instance: str, count: int) -> list[float]:
    """Returns seconds that single commits take, as a callback makes them: one process, one connection."""
    took: list[float] = []
    with open_journal(path) as journal:
        for n in range(count):
            began = time.perf_counter()
            journal.inbox.record(InstanceId(instance), _message(n, f"C{n}"))
            took.append(time.perf_counter() - began)
            time.sleep(0.002)  # as they come, not as a batch
    return took
