"""Marks, against a real journal and a real proxy: what is told is forgotten, what is refused holds nothing up."""

from __future__ import annotations

import gc
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

import attrs
import trio
from structlog.testing import capture_logs

from tests.delivery.sessions import Steady, preparing, words
from tests.proxy_fixture import PATIENCE, SHOP, open_proxy_fixture, until
from wa_worker.delivery.marks import MarkReporter
from wa_worker.delivery.poll_timer import PollTimer
from wa_worker.delivery.sending import MARKS_GRACE, MessageSender, Session
from wa_worker.dev.proxy import Contract, Fault, ReferenceProxy
from wa_worker.edge.client import EdgeClient
from wa_worker.errors import Failure
from wa_worker.journal import Journal, Mark, SendState, Settled, open_journal
from wa_worker.messages import Accepted, OutgoingMessage
from wa_worker.metrics import Metrics
from wa_worker.models import Jid, MessageId, WaMessageId

ANA = Jid("5511988880001@s.whatsapp.net")


@attrs.frozen
class Marking:
    proxy: ReferenceProxy
    edge: EdgeClient
    journal: Journal
    marks: MarkReporter
    folder: Path

    def sent(self, message_id: MessageId) -> None:
        """WhatsApp has accepted it."""
        self.journal.ledger.admit(SHOP, {message_id: ANA}, listed_at=time.time())
        self.journal.ledger.step(SHOP, [Settled(message_id, SendState.SENT, WaMessageId("W"))], None)
        self.marks.wakeup.ring()

    def failed(self, message_id: MessageId) -> None:
        """It will never be sent."""
        self.journal.ledger.admit(SHOP, {message_id: ANA}, listed_at=time.time())
        self.journal.ledger.step(SHOP, [Settled(message_id, SendState.FAILED, error="too long")], None)
        self.marks.wakeup.ring()

    @property
    def told_of_failures(self) -> int:
        return self.proxy.store.requests["mark-failed"]

    async def no_call_is_believed(self) -> None:
        """The proxy has said of a failure that it has no such call, answered a poll, and said it again."""
        await until(lambda: self.told_of_failures >= 1)
        await self.edge.queued_messages(SHOP)
        with trio.fail_after(PATIENCE):
            await self.marks.settled(SHOP)

    def polling(self, session: Session, threads: trio.Nursery) -> Callable[[], Awaitable[None]]:
        sender = MessageSender(self.edge, self.journal, self.marks, Metrics(), threads, preparing(self.folder))
        return partial(sender.run, SHOP, session, PollTimer(0.1, 0.1), trio.lowlevel.checkpoint)


@asynccontextmanager
async def open_fixture(folder: Path, *, contract: Contract = 1) -> AsyncIterator[Marking]:
    async with open_proxy_fixture(SHOP, contract=contract) as fixture:
        if contract == 2:
            fixture.edge.version.is_two()
        with open_journal(folder / "journal.db") as journal:
            yield Marking(fixture.proxy, fixture.edge, journal, MarkReporter(journal.ledger, fixture.edge), folder)


def marks_in_memory() -> int:
    gc.collect()
    return sum(isinstance(thing, Mark) for thing in gc.get_objects())


async def test_what_was_told_is_not_kept_in_memory(tmp_path: Path, nursery: trio.Nursery) -> None:
    """A mark under way is found again whenever a bell rings for another one."""
    async with open_fixture(tmp_path) as fixture:
        ids = fixture.proxy.store.queue_many(SHOP, [(ANA, str(n)) for n in range(120)])
        fixture.proxy.faults.set("mark-sent", Fault(delay=0.05))
        nursery.start_soon(fixture.marks.run)
        before = marks_in_memory()
        for message_id in ids:
            fixture.sent(message_id)
            await trio.sleep(0.01)
        with trio.fail_after(30):
            await fixture.marks.settled(SHOP)
        fixture.marks.wakeup.ring()
        await trio.sleep(0.5)
        assert marks_in_memory() - before <= 5
        nursery.cancel_scope.cancel()


@attrs.define
class Open(Steady):
    """A session that accepts everything."""

    texts: list[str] = attrs.Factory(list)

    def send(self, message: OutgoingMessage) -> Accepted:
        self.texts.append(words(message))
        return Accepted(WaMessageId(f"W{len(self.texts)}"), 0)


async def test_a_mark_that_the_proxy_never_takes_delays_no_other_message(tmp_path: Path, nursery: trio.Nursery) -> None:
    async with open_fixture(tmp_path) as fixture:
        fixture.sent("deleted at the proxy")  # which answers 404
        session = Open()
        nursery.start_soon(fixture.marks.run)
        async with trio.open_nursery() as sending:
            sending.start_soon(fixture.polling(session, nursery))
            started = trio.current_time()
            for n in range(5):
                fixture.proxy.store.queue(SHOP, ANA, str(n))
                with trio.fail_after(30):
                    await fixture.proxy.wait_for(lambda s: not s.queued(SHOP))
            assert trio.current_time() - started < MARKS_GRACE
            sending.cancel_scope.cancel()
        assert session.texts == ["0", "1", "2", "3", "4"]
        nursery.cancel_scope.cancel()


async def test_many_rows_that_are_no_messages_beside_many_that_are(tmp_path: Path, nursery: trio.Nursery) -> None:
    """The event loop, and so every instance, waits for as long as it takes to look them through."""
    bad = [{"id": f"bad {n}", "to": ANA} for n in range(10_000)]
    good = [{"id": f"good {n}", "to": ANA, "body": "x"} for n in range(10_000)]
    async with open_fixture(tmp_path) as fixture:
        fixture.proxy.faults.set("queued-messages", Fault(body=json.dumps(bad + good).encode(), times=1))
        session, longest = Open(), 0.0
        with capture_logs():
            async with trio.open_nursery() as sending:
                sending.start_soon(fixture.polling(session, nursery))
                with trio.fail_after(60):
                    while len(session.texts) < 10:
                        before = trio.current_time()
                        await trio.sleep(0.01)
                        longest = max(longest, trio.current_time() - before)
                sending.cancel_scope.cancel()
        assert longest < 2
        nursery.cancel_scope.cancel()


async def test_a_proxy_without_the_call_is_asked_twice_and_a_poll_must_go_well_between(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with open_fixture(tmp_path) as fixture:
        fixture.proxy.store.has_mark_failed = False
        fixture.failed("a")
        nursery.start_soon(fixture.marks.run)
        await until(lambda: fixture.told_of_failures >= 2)
        assert fixture.journal.ledger.has_unreported(SHOP, 0.0), "no poll has gone well: it may be a router's word"
        await fixture.edge.queued_messages(SHOP)
        with trio.fail_after(PATIENCE):
            await fixture.marks.settled(SHOP)
        nursery.cancel_scope.cancel()


async def test_one_failure_that_the_proxy_does_not_know_silences_no_other(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with open_fixture(tmp_path) as fixture:
        (known,) = fixture.proxy.store.queue_many(SHOP, [(ANA, "x")])
        fixture.failed("deleted there")
        nursery.start_soon(fixture.marks.run)
        await fixture.no_call_is_believed()
        fixture.failed(known)
        await until(lambda: not fixture.proxy.store.queued(SHOP))
        nursery.cancel_scope.cancel()


async def test_one_that_goes_on_being_listed_is_not_told_each_time(tmp_path: Path, nursery: trio.Nursery) -> None:
    async with open_fixture(tmp_path) as fixture:
        fixture.proxy.store.has_mark_failed = False
        fixture.failed("a")
        nursery.start_soon(fixture.marks.run)
        await fixture.no_call_is_believed()
        told = fixture.told_of_failures
        with fixture.journal.database.transaction() as sql:  # as the ledger does a minute later
            sql.execute("UPDATE ledger SET reported = 0")
        fixture.marks.wakeup.ring()
        with trio.fail_after(PATIENCE):
            await fixture.marks.settled(SHOP)
        assert fixture.told_of_failures == told
        nursery.cancel_scope.cancel()


async def test_a_failure_that_an_older_version_wrote_in_the_librarys_words_is_told_in_ours(tmp_path: Path) -> None:
    async with open_fixture(tmp_path) as at, trio.open_nursery() as nursery:
        words = f"no LID found for {ANA} from server"
        (message,) = at.proxy.store.queue_many(SHOP, [(ANA, "Oi")])
        at.journal.ledger.admit(SHOP, {message: ANA}, listed_at=time.time())
        at.journal.ledger.step(SHOP, [Settled(message, SendState.FAILED, error=words)], None)
        nursery.start_soon(at.marks.run)
        await until(lambda: at.proxy.store.messages()[0].status == "failed")
        assert at.proxy.store.messages()[0].error == Failure.OTHER
        nursery.cancel_scope.cancel()


async def test_marks_that_follow_each_other_go_together(tmp_path: Path, nursery: trio.Nursery) -> None:
    async with open_fixture(tmp_path, contract=2) as fixture:
        ids = fixture.proxy.store.queue_many(SHOP, [(ANA, str(n)) for n in range(60)])
        nursery.start_soon(fixture.marks.run)
        for message_id in ids:
            fixture.sent(message_id)
            await trio.sleep(0.005)
        with trio.fail_after(30):
            await fixture.marks.settled(SHOP)
        assert {row.status for row in fixture.proxy.store.messages(SHOP)} == {"sent"}
        assert fixture.proxy.store.requests["events"] <= 25
        nursery.cancel_scope.cancel()


async def test_a_journal_that_cannot_be_read_is_asked_again(tmp_path: Path) -> None:
    """It is a task of the instance that asks: an error would end its session."""
    async with open_fixture(tmp_path) as fixture:
        with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as other:
            other.execute("ALTER TABLE ledger RENAME TO away")
            with capture_logs() as said, trio.fail_after(PATIENCE):
                async with trio.open_nursery() as waiting:
                    waiting.start_soon(fixture.marks.settled, SHOP)
                    await until(lambda: any(line["event"] == "the journal cannot be read" for line in said))
                    other.execute("ALTER TABLE away RENAME TO ledger")
