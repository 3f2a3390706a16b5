"""PACE in the sending: what is held back, what goes meanwhile, and what the proxy hears. Proxy and journal are real."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import trio
from structlog.testing import capture_logs

from tests.delivery.sessions import Steady, preparing, words
from tests.journal.rows import ANA, BIA, ME, inbound_message, states
from tests.proxy_fixture import SHOP, ProxyFixture, open_proxy_fixture, until
from wa_worker.delivery.batch import SendPolicy
from wa_worker.delivery.marks import MarkReporter
from wa_worker.delivery.pacing import Pacing
from wa_worker.delivery.poll_timer import Activity, PollTimer
from wa_worker.delivery.sending import MessageSender
from wa_worker.errors import Failure, SendDelayed
from wa_worker.journal import Journal, open_journal
from wa_worker.messages import Accepted, OutgoingMessage
from wa_worker.messages.pacing import HeldReason, PaceLimits
from wa_worker.models import Jid, WaMessageId

QUICK = PaceLimits(per_minute=600, unknown_per_minute=600, first_per_day=2, warm_up_days=0)
CIDA = Jid("5511988880003@s.whatsapp.net")


@attrs.define
class Accepting(Steady):
    """A session that accepts everything but what goes to `refused`, which gets error 463. Typing takes no time."""

    texts: list[str] = attrs.Factory(list)
    typing: list[str] = attrs.Factory(list)
    refused: set[str] = attrs.Factory(set)
    tries: list[str] = attrs.Factory(list)

    def send(self, message: OutgoingMessage) -> Accepted:
        self.tries.append(words(message))
        if message.to in self.refused:
            raise SendDelayed("server returned error 463", pause=0.0, failure=Failure.LIMITED)
        self.texts.append(words(message))
        return Accepted(WaMessageId(f"W{len(self.texts)}"), 0)

    def show_typing(self, to: Jid, *, recording: bool = False, over: bool = False) -> None:
        self.typing.append("over" if over else "writing")


@attrs.frozen
class Sending:
    fixture: ProxyFixture
    journal: Journal
    sender: MessageSender
    nursery: trio.Nursery
    activity: Activity

    def queue(self, to: str, *bodies: str) -> None:
        """Rows that say of typing that there is none."""
        self.fixture.proxy.store.queue_rows(SHOP, [{"to": to, "body": body, "typing_ms": 0} for body in bodies])

    def start(self, session: Accepting) -> None:
        timer = PollTimer(0.05, 0.0, self.activity)
        self.nursery.start_soon(self.sender.run, SHOP, session, timer, trio.lowlevel.checkpoint)

    def counted(self, reason: HeldReason) -> float:
        (family,) = (f for f in self.fixture.metrics._paced.collect())
        return next(s.value for s in family.samples if s.labels == {"reason": reason.value})


@asynccontextmanager
async def open_sending(folder: Path, pace: PaceLimits | None = QUICK) -> AsyncIterator[Sending]:
    with open_journal(folder / "journal.db") as journal:
        async with (
            open_proxy_fixture(SHOP) as fixture,
            trio.open_nursery() as threads,
            trio.open_nursery() as nursery,
        ):
            marks = MarkReporter(journal.ledger, fixture.edge)
            threads.start_soon(marks.run)
            policy = SendPolicy(region="PT", pace=pace)
            sender = MessageSender(fixture.edge, journal, marks, fixture.metrics, threads, preparing(folder), policy)
            await sender.pacing.linked(SHOP, ME)
            yield Sending(fixture, journal, sender, nursery, Activity())
            nursery.cancel_scope.cancel()
            threads.cancel_scope.cancel()


async def test_first_messages_are_held_back_and_the_others_go(tmp_path: Path) -> None:
    async with open_sending(tmp_path) as at:
        at.journal.inbox.record(SHOP, inbound_message("1", ANA))
        people = [f"55119777700{n:02}" for n in range(6)]
        for person in people:
            at.queue(person, f"first to {person}", f"second to {person}")
        at.queue(ANA, "reply 1", "reply 2")
        at.queue("120363025246125486@g.us", "to a group")
        session = Accepting()
        with capture_logs() as lines:
            at.start(session)
            await until(lambda: len(session.texts) == 7)
            await until(lambda: at.counted(HeldReason.FIRST_PER_DAY) == 8)
        assert session.texts[:2] == ["reply 1", "reply 2"], "who has written is answered first"
        by_chat = [text for text in session.texts if text.startswith(("first", "second"))]
        told = [text.removeprefix("first to ") for text in by_chat if text.startswith("first")]
        assert len(told) == 2, "so many people a day"
        assert sorted(by_chat) == sorted(f"{which} to {person}" for which in ("first", "second") for person in told)
        assert all(by_chat.index(f"first to {p}") < by_chat.index(f"second to {p}") for p in told)
        assert list(states(at.journal).values()).count("waiting") == 8, "no try is counted"
        assert at.activity.held is not None
        view = at.activity.held.view(time.time())
        assert (view.messages, dict(view.reasons)) == (8, {HeldReason.FIRST_PER_DAY: 8})
        assert view.until is not None
        said = [line for line in lines if line["event"] == "messages are held back"]
        assert len(said) == 1, "once a minute"


async def test_the_days_first_messages_are_counted_over_restarts_and_a_clock_that_was_set_back(tmp_path: Path) -> None:
    for start in range(3):
        async with open_sending(tmp_path) as at:
            for person in ("5511977770001", "5511977770002", "5511977770003"):
                at.queue(person, "a first message")
            session = Accepting()
            at.start(session)
            await until(lambda: at.counted(HeldReason.FIRST_PER_DAY) >= 1)
            if start == 0:
                await until(partial(lambda texts: len(texts) == 2, session.texts))
            with at.journal.database.transaction() as sql:  # as if the clock had been two days ahead until now
                assert sql.execute("UPDATE contacts SET first_at = first_at + 2 * 86400").rowcount == 2
        assert "a first message" not in session.texts[2:]


async def test_an_error_463_ends_first_messages_for_an_hour_and_nothing_else(tmp_path: Path) -> None:
    limits = attrs.evolve(QUICK, first_per_day=100)
    async with open_sending(tmp_path, limits) as at:
        at.journal.inbox.record(SHOP, inbound_message("1", ANA))
        session = Accepting(refused={BIA})
        at.queue(BIA, "refused")
        at.start(session)
        await until(lambda: session.tries)
        at.queue(CIDA, "not even tried")
        at.queue(ANA, "a reply")
        await until(lambda: session.texts)
        await until(lambda: at.counted(HeldReason.RESTRICTED) >= 2)
        assert session.texts == ["a reply"]
        assert session.tries == ["refused", "a reply"], "the refused one itself is not tried again either"
        left = at.journal.contacts.account(SHOP, ME).restricted_for
        assert 3590 < left <= 3600
    async with open_sending(tmp_path, limits) as at:  # over a restart, too
        session = Accepting()
        at.queue(CIDA, "after a restart")
        at.start(session)
        await until(lambda: at.counted(HeldReason.RESTRICTED) >= 1)
        at.journal.contacts.restrict(SHOP, ME, 0.0)  # its hour is over
        await until(lambda: session.texts == ["after a restart"])


async def test_a_first_message_that_is_taken_ends_the_hour(tmp_path: Path) -> None:
    async with open_sending(tmp_path) as at:
        look = at.sender.pacing.of(SHOP)
        assert look is not None
        at.journal.contacts.restrict(SHOP, ME, 600.0)
        look.look([ANA]).over(1, ANA, accepted=True)
        assert at.journal.contacts.account(SHOP, ME).restricted_for == 0.0
        at.journal.contacts.restrict(SHOP, ME, 600.0)
        at.journal.inbox.record(SHOP, inbound_message("1", ANA))
        look.look([ANA]).over(2, ANA, accepted=True)
        assert at.journal.contacts.account(SHOP, ME).restricted_for > 0, "a reply says nothing of it"


async def test_without_pace_nothing_is_held_and_nobody_types(tmp_path: Path) -> None:
    async with open_sending(tmp_path, None) as at:
        at.fixture.proxy.store.queue_many(SHOP, [(f"551197777{n:04}", str(n)) for n in range(40)])
        session = Accepting()
        at.start(session)
        await until(lambda: len(session.texts) == 40)
        assert session.texts == [str(n) for n in range(40)]
        assert session.typing == []
        assert at.activity.held is None
        with at.journal.database.reading() as sql:
            assert sql.execute("SELECT count(*) FROM contacts").fetchone() == (0,), "nobody is remembered for it"
        await until(lambda: not at.fixture.proxy.store.queued(SHOP))
        assert at.fixture.proxy.store.requests["message-status"] == 0


async def test_typing_is_shown_before_a_text_that_says_nothing_of_it(tmp_path: Path) -> None:
    async with open_sending(tmp_path) as at:
        at.journal.inbox.record(SHOP, inbound_message("1", ANA))
        at.fixture.proxy.store.queue(SHOP, ANA, "oi")
        session = Accepting()
        began = trio.current_time()
        at.start(session)
        await until(lambda: session.texts == ["oi"])
        assert session.typing == ["writing", "over"]
        assert trio.current_time() - began >= 1.0
        at.queue(ANA, "at once")
        await until(lambda: len(session.texts) == 2)
        assert len(session.typing) == 2, "the proxy has said that there is none"


async def test_nothing_is_kept_in_memory_of_an_instance_that_has_ended(tmp_path: Path) -> None:
    async with open_sending(tmp_path) as at:
        before = at.sender.pacing.of(SHOP)
        assert at.sender.pacing.of(SHOP) is before, "one for all its sessions"
        at.sender.pacing.forget(SHOP)
        assert not at.sender.pacing._instances
        assert not at.sender.pacing._accounts
        assert at.sender.pacing.of(SHOP) is not before


async def test_what_the_inbox_forgets_stays_known(tmp_path: Path) -> None:
    async with open_sending(tmp_path) as at:
        at.journal.inbox.record(SHOP, inbound_message("1", ANA))
        await trio.to_thread.run_sync(at.sender.pacing.learn)
        with at.journal.database.transaction() as sql:
            sql.execute("DELETE FROM inbox")
            sql.execute("DELETE FROM chats")
        assert at.journal.contacts.find(SHOP, ME, [ANA])[ANA].heard_at is not None
        assert Pacing(None, at.journal.contacts, at.fixture.edge, at.fixture.metrics).of(SHOP) is None
