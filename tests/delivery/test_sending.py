"""`/queued-messages` to a session: when it is asked, what is sent, and how it stops. The proxy and the ledger are real.

The session is the far side here: one that accepts, one that takes its time. A real one is in tests/e2e/.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from tests.delivery.sessions import Steady, preparing, words
from tests.journal.rows import ANA, read_only, states
from tests.proxy_fixture import PATIENCE, SHOP, ProxyFixture, open_proxy_fixture, until
from wa_worker.delivery.batch import SendPolicy
from wa_worker.delivery.marks import MarkReporter
from wa_worker.delivery.poll_timer import PollTimer
from wa_worker.delivery.sending import MARKS_GRACE, SHUTDOWN_GRACE, MessageSender, Session
from wa_worker.dev.proxy import Contract, Fault
from wa_worker.errors import SendDelayed
from wa_worker.journal import Journal, Restored, open_journal
from wa_worker.journal.restored import FILE, LISTENING, write_gaps
from wa_worker.messages import Accepted, OutgoingMessage
from wa_worker.models import Jid, WaMessageId


@attrs.define
class Accepting(Steady):
    """A session that accepts everything, each message after `delay` seconds."""

    delay: float = 0.0
    texts: list[str] = attrs.Factory(list)
    receivers: list[str] = attrs.Factory(list)
    registered_as: Mapping[str, Jid] = attrs.Factory(dict)
    begun: threading.Event = attrs.Factory(threading.Event)

    def send(self, message: OutgoingMessage) -> Accepted:
        self.begun.set()
        time.sleep(self.delay)
        self.texts.append(words(message))
        self.receivers.append(message.to)
        return Accepted(WaMessageId(f"W{len(self.texts)}"), 0, self.registered_as.get(message.to))


class Delaying(Steady):
    """A session that says: not now."""

    def send(self, message: OutgoingMessage) -> Accepted:
        raise SendDelayed("server returned error 429", pause=60.0)


@attrs.frozen
class Sending:
    fixture: ProxyFixture
    journal: Journal
    sender: MessageSender
    nursery: trio.Nursery
    """Its tasks end before what they use is closed."""

    async def run(
        self, session: Session, connected: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint, every: float = 0.05
    ) -> None:
        await self.sender.run(SHOP, session, PollTimer(every, 0.0), connected)

    @property
    def polls(self) -> int:
        return self.fixture.proxy.store.requests["queued-messages"]


@asynccontextmanager
async def open_sending(folder: Path, contract: Contract = 1, listening: float | None = None) -> AsyncIterator[Sending]:
    """`listening`: the ledger is that of a backup, and for so many seconds lists without a doubt are to be answered."""
    with open_journal(folder / "journal.db") as journal:
        if listening is not None:
            write_gaps(folder / FILE, time.time(), [SHOP])
            journal = attrs.evolve(journal, restored=Restored(journal.database, folder / FILE, listening))  # noqa: PLW2901
        async with (
            open_proxy_fixture(SHOP, contract=contract) as fixture,
            trio.open_nursery() as threads,
            trio.open_nursery() as nursery,
        ):
            marks = MarkReporter(journal.ledger, fixture.edge)
            threads.start_soon(marks.run)
            sender = MessageSender(
                fixture.edge, journal, marks, fixture.metrics, threads, preparing(folder), SendPolicy(region="PT")
            )
            yield Sending(fixture, journal, sender, nursery)
            nursery.cancel_scope.cancel()
            threads.cancel_scope.cancel()


async def test_what_is_queued_is_sent_in_order_and_marked(tmp_path: Path) -> None:
    async with open_sending(tmp_path) as at:
        at.fixture.proxy.store.queue_many(SHOP, [(ANA, str(n)) for n in range(20)])
        session = Accepting()
        at.nursery.start_soon(at.run, session)
        await until(lambda: not at.fixture.proxy.store.queued(SHOP))
        assert session.texts == [str(n) for n in range(20)]
        assert [row.wa_message_id for row in at.fixture.proxy.store.messages()] == [f"W{n}" for n in range(1, 21)]


async def test_it_polls_only_while_connected(tmp_path: Path) -> None:
    connected = trio.Event()
    async with open_sending(tmp_path) as at:

        async def wait_connected() -> None:
            await connected.wait()

        at.nursery.start_soon(at.run, Accepting(), wait_connected)
        await trio.sleep(0.3)
        assert at.polls == 0
        connected.set()
        await until(lambda: at.polls >= 2)
        connected = trio.Event()
        await trio.sleep(0.1)  # the poll under way
        polls = at.polls
        await trio.sleep(0.3)
        assert at.polls <= polls + 1


async def test_empty_lists_end_the_doubt_about_a_restored_ledger_in_both_versions(tmp_path: Path) -> None:
    async with open_sending(tmp_path, listening=0.0) as at:
        assert at.sender.restored.has_gap(SHOP)
        at.nursery.start_soon(at.run, Accepting())
        await until(lambda: not at.sender.restored.has_gap(SHOP))
    async with open_sending(tmp_path, contract=2, listening=0.0) as at:
        at.sender.polled.nothing_for(frozenset({SHOP}))
        await until(lambda: not at.sender.restored.has_gap(SHOP))


@pytest.mark.parametrize("contract", [1, 2])
async def test_some_empty_lists_do_not_end_it(tmp_path: Path, contract: Contract) -> None:
    async with open_sending(tmp_path, contract, listening=LISTENING) as at:
        if contract == 1:
            at.nursery.start_soon(at.run, Accepting())
            await until(lambda: at.polls >= 3)
            at.fixture.proxy.store.queue(SHOP, ANA, "sent before the restore?")
            await until(lambda: not at.fixture.proxy.store.queued(SHOP))
        else:
            for _ in range(3):
                at.sender.polled.nothing_for(frozenset({SHOP}))
                await trio.testing.wait_all_tasks_blocked()
        assert at.sender.restored.has_gap(SHOP)


async def test_after_a_refusal_it_waits_for_as_long_as_the_proxy_says(tmp_path: Path) -> None:
    async with open_sending(tmp_path) as at:
        at.fixture.proxy.faults.set("queued-messages", Fault(status=429, headers={"Retry-After": "2"}, times=1))
        began = trio.current_time()
        at.nursery.start_soon(at.run, Accepting())
        await until(lambda: at.polls >= 2)
        assert 2 <= trio.current_time() - began < PATIENCE


async def test_without_a_word_of_it_there_are_pauses(tmp_path: Path) -> None:
    async with open_sending(tmp_path) as at:
        at.fixture.proxy.faults.set("queued-messages", Fault(status=503))
        with capture_logs() as lines:
            at.nursery.start_soon(at.run, Accepting())
            await trio.sleep(2.4)
            assert 2 <= at.polls <= 7, "about every half second at first"
            at.fixture.proxy.faults.clear()
            polls = at.polls
            await until(lambda: at.polls >= polls + 3)
        assert {line["event"] for line in lines} == {"queued messages not listed"}


async def test_after_a_batch_it_asks_again_at_once(tmp_path: Path) -> None:
    """The proxy lists a page at a time: what is behind it need not wait for an interval."""
    async with open_sending(tmp_path) as at:
        at.fixture.proxy.store.page_size = 2
        at.fixture.proxy.store.queue_many(SHOP, [(ANA, str(n)) for n in range(10)])
        at.nursery.start_soon(lambda: at.run(Accepting(), every=1.3))
        await until(lambda: at.polls >= 1)
        began = trio.current_time()
        await until(lambda: not at.fixture.proxy.store.queued(SHOP))
        assert trio.current_time() - began < 2.5, "with an interval between the pages it would be four at the least"


async def sent_without_a_mark(at: Sending, fault: Fault) -> Accepting:
    """One message has been sent, and its mark meets the fault."""
    at.fixture.proxy.store.queue(SHOP, ANA, "one")
    at.fixture.proxy.faults.set("mark-sent", fault)
    session = Accepting()
    at.nursery.start_soon(at.run, session)
    await until(lambda: session.texts)
    return session


async def test_it_waits_for_the_marks_before_it_asks_again(tmp_path: Path) -> None:
    """The proxy would only list the same messages once more."""
    async with open_sending(tmp_path) as at:
        await sent_without_a_mark(at, Fault(delay=0.8))
        polls = at.polls
        await trio.sleep(0.5)
        assert at.polls == polls
        await until(lambda: at.polls > polls)
        assert not at.fixture.proxy.store.queued(SHOP)


async def test_a_proxy_that_takes_no_mark_is_asked_again_all_the_same(tmp_path: Path) -> None:
    async with open_sending(tmp_path) as at:
        session = await sent_without_a_mark(at, Fault(status=500))
        polls, sent = at.polls, trio.current_time()
        await until(lambda: at.polls > polls)
        assert trio.current_time() - sent >= MARKS_GRACE - 0.5
        at.fixture.proxy.store.queue(SHOP, ANA, "two")
        await until(lambda: session.texts == ["one", "two"])


async def test_what_waits_for_another_try_is_not_asked_for_without_a_pause(tmp_path: Path) -> None:
    async with open_sending(tmp_path) as at:
        at.fixture.proxy.store.queue(SHOP, ANA, "later")
        at.nursery.start_soon(lambda: at.run(Delaying(), every=0.2))
        await until(lambda: states(at.journal) == {"1": "waiting"})
        polls = at.polls
        await trio.sleep(1)
        assert 2 <= at.polls - polls <= 9


async def test_nothing_is_sent_while_the_journal_cannot_commit(tmp_path: Path) -> None:
    async with open_sending(tmp_path) as at:
        at.fixture.proxy.store.queue(SHOP, ANA, "careful")
        read_only(at.journal, True)
        session = Accepting()
        at.nursery.start_soon(at.run, session)
        await until(lambda: at.polls >= 3)
        assert session.texts == []
        read_only(at.journal, False)
        await until(lambda: session.texts == ["careful"])


@pytest.mark.parametrize("delay", [0.3, SHUTDOWN_GRACE + 0.8])
async def test_a_send_under_way_is_finished_and_recorded_after_a_cancel(tmp_path: Path, delay: float) -> None:
    """Within the grace by who waits for it, beyond it by its thread alone. The next message is not begun."""
    async with open_sending(tmp_path) as at:
        at.fixture.proxy.store.queue_many(SHOP, [(ANA, "under way"), (ANA, "behind it")])
        session = Accepting(delay)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(at.run, session)
            await until(session.begun.is_set)
            began = trio.current_time()
            nursery.cancel_scope.cancel()
        took = trio.current_time() - began
        assert took < min(delay, SHUTDOWN_GRACE) + 1
        if delay > SHUTDOWN_GRACE:
            assert took >= SHUTDOWN_GRACE - 0.1
            assert session.texts == []
        await until(lambda: states(at.journal).get("1") in ("sent", "marked"))
        assert session.texts == ["under way"]
        assert states(at.journal)["2"] == "waiting"


async def test_a_number_without_country_code_is_dialled_in_the_workers_region(tmp_path: Path) -> None:
    async with open_sending(tmp_path) as at:
        at.fixture.proxy.store.queue(SHOP, "\u202a912 345 678\u202c", "Olá")
        session = Accepting()
        at.nursery.start_soon(at.run, session)
        await until(lambda: session.receivers)
        assert session.receivers == ["351912345678@s.whatsapp.net"]


async def test_the_proxy_hears_to_whom_it_went_in_fact(tmp_path: Path) -> None:
    account = Jid("553188880005@s.whatsapp.net")
    written = {
        "5531988880005@s.whatsapp.net": account,
        "+55 (31) 98888-0005": account,
        "+55 (31) 98888-0006": "5531988880006@s.whatsapp.net",
        "5531988880006@s.whatsapp.net": "5531988880006@s.whatsapp.net",
        "98765432109876@lid": "98765432109876@lid",
        "5511988880005-1600000000@g.us": "5511988880005-1600000000@g.us",
        "912 345 678": "351912345678@s.whatsapp.net",
    }
    async with open_sending(tmp_path) as at:
        at.fixture.proxy.store.queue_many(SHOP, [(to, "Olá") for to in written])
        session = Accepting(registered_as={"5531988880005@s.whatsapp.net": account})
        at.nursery.start_soon(at.run, session)
        await until(lambda: not at.fixture.proxy.store.queued(SHOP))
        assert {row.to: row.sent_to for row in at.fixture.proxy.store.messages()} == written


async def test_it_hears_so_after_a_restart_too(tmp_path: Path) -> None:
    account = Jid("553188880005@s.whatsapp.net")
    async with open_sending(tmp_path) as at:
        at.fixture.proxy.faults.set("mark-sent", Fault(status=503))
        at.fixture.proxy.store.queue(SHOP, "5531988880005", "Olá")
        session = Accepting(registered_as={"5531988880005@s.whatsapp.net": account})
        at.nursery.start_soon(at.run, session)
        await until(lambda: at.fixture.proxy.store.requests["mark-sent"])
        at.nursery.cancel_scope.cancel()
    with open_journal(tmp_path / "journal.db") as journal:
        assert [mark.to for mark in journal.ledger.unreported(0, 9)] == [account]
