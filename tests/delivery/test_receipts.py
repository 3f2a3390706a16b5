"""Receipts on their way to the proxy, over real HTTP: told by the furthest, batched, retried; dropped where there is no
call for them, on the proxy's own word."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from structlog.testing import capture_logs

from tests.journal.rows import ANA, SHOP, admit, read_only, send
from tests.proxy_fixture import PATIENCE
from tests.ticking_proxy import TickingProxy, open_ticking_proxy
from wa_worker.delivery.keyed_queue import RESCAN
from wa_worker.delivery.marks import MarkReporter
from wa_worker.delivery.optional_call import OptionalCall
from wa_worker.delivery.receipts import APART, ReceiptReporter
from wa_worker.edge.events import MESSAGE_STATUS
from wa_worker.errors import JournalError
from wa_worker.journal import Journal, SendState, open_journal
from wa_worker.messages import Progress, Receipt
from wa_worker.models import WaMessageId

DELIVERED, READ, PLAYED = Progress.DELIVERED, Progress.READ, Progress.PLAYED
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


async def until(holds: Callable[[], object]) -> None:
    """Waits for what rings no bell."""
    with trio.fail_after(2 * PATIENCE):
        while not holds():  # noqa: ASYNC110 - nothing tells
            await trio.sleep(0.01)


@attrs.frozen
class Ticking:
    proxy: TickingProxy
    journal: Journal
    receipts: ReceiptReporter
    marks: MarkReporter

    def sent(self, *ids: str) -> None:
        """WhatsApp has accepted these, and the proxy knows."""
        self.accepted(*ids)
        self.journal.ledger.reported(self.journal.ledger.unreported(0, 9999))

    def accepted(self, *ids: str) -> None:
        admit(self.journal, *ids)
        for each in ids:
            send(self.journal, each, SendState.SENT, wa_id=WaMessageId(each), to=ANA, timestamp=7)

    def heard(self, progress: Progress, *ids: str) -> None:
        self.receipts.heard(SHOP, Receipt(tuple(map(WaMessageId, ids)), progress, 1_700_000_000))

    @property
    def due(self) -> int:
        return len(self.journal.receipts.due(0, 9999))

    async def poll(self) -> None:
        await self.proxy.edge.disconnected_instances()


@asynccontextmanager
async def open_ticking(folder: Path, *, contract: int = 1, absent_for: float = 2.0) -> AsyncIterator[Ticking]:
    async with open_ticking_proxy(contract=contract) as proxy:
        with open_journal(folder / "journal.db") as journal:
            call = OptionalCall(proxy.edge.evidence, MESSAGE_STATUS, absent_for=absent_for, ask_again=0.2)
            receipts = ReceiptReporter(journal.receipts, proxy.edge, call)
            marks = MarkReporter(journal.ledger, proxy.edge, receipts.wakeup.ring)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(receipts.run)
                nursery.start_soon(marks.run)
                yield Ticking(proxy, journal, receipts, marks)
                nursery.cancel_scope.cancel()


@pytest.mark.parametrize("contract", [1, 2])
async def test_it_is_told_of(tmp_path: Path, contract: int) -> None:
    async with open_ticking(tmp_path, contract=contract) as at:
        at.sent("A")
        at.heard(READ, "A")
        await until(lambda: at.proxy.told)
        told = dict(at.proxy.told[0])
        assert (told.pop("event_id", None) is not None) is (contract == 2)
        assert told == {
            "instanceId": SHOP,
            "messageId": "A",
            "wa_message_id": "A",
            "chat_id": ANA,
            "status": "read",
            "timestamp": 1_700_000_000,
            "recipient_id": ANA,
        }
        await until(lambda: at.due == 0)


async def test_those_of_many_messages_are_one_call(tmp_path: Path) -> None:
    ids = [f"m{number}" for number in range(60)]
    async with open_ticking(tmp_path, contract=2) as at:
        at.sent(*ids)
        for each in ids:
            at.receipts._record([(SHOP, Receipt((WaMessageId(each),), DELIVERED, 1))])
        await until(lambda: len(at.proxy.told) == 60)
        assert len(at.proxy.batches) <= 3


async def test_a_read_right_after_a_delivered_is_told_alone(tmp_path: Path) -> None:
    async with open_ticking(tmp_path) as at:
        at.sent("A", "B")
        at.heard(DELIVERED, "A")
        await until(lambda: at.proxy.told)
        at.heard(DELIVERED, "B")
        at.heard(READ, "B")
        at.heard(DELIVERED, "B")
        await until(lambda: len(at.proxy.told) > 1 and at.due == 0)
        assert at.proxy.words() == [("A", "delivered"), ("B", "read")]


async def test_the_proxy_hears_of_a_status_after_it_has_heard_of_the_message(tmp_path: Path) -> None:
    async with open_ticking(tmp_path) as at:
        at.sent("B")
        at.proxy.marking = 503
        at.accepted("A")
        at.heard(DELIVERED, "A")
        at.heard(DELIVERED, "B")
        await until(lambda: at.proxy.told)
        assert at.proxy.words() == [("B", "delivered")]
        await trio.sleep(3 * APART)  # the look that the end of a call rings for is over
        at.proxy.marking = 200
        at.marks.wakeup.ring()
        await until(lambda: at.proxy.marked)
        with trio.fail_after(RESCAN / 2):
            await until(lambda: at.proxy.words() == [("B", "delivered"), ("A", "delivered")])
        assert at.proxy.marked == [{"messageId": "A", "wa_message_id": "A", "to": ANA, "timestamp": 7}]


@pytest.mark.parametrize("status", [500, 429, 403])
async def test_what_the_proxy_does_not_take_is_told_again(tmp_path: Path, status: int) -> None:
    async with open_ticking(tmp_path) as at:
        at.sent("A")
        at.proxy.status = status
        at.heard(READ, "A")
        await until(lambda: at.proxy.calls >= 1)
        at.proxy.status = 200
        await until(lambda: at.proxy.words() == [("A", "read")])


async def test_it_is_told_after_a_restart(tmp_path: Path) -> None:
    async with open_ticking(tmp_path) as at:
        at.proxy.status = 503
        at.sent("A")
        at.heard(READ, "A")
        await until(lambda: at.proxy.calls)
    async with open_ticking(tmp_path) as at:
        await until(lambda: at.proxy.words() == [("A", "read")])


@pytest.mark.parametrize(("contract", "status"), [(1, 404), (1, 405), (1, 501), (2, 404), (2, 400)])
async def test_a_proxy_without_the_call_is_left_alone(tmp_path: Path, contract: int, status: int) -> None:
    async with open_ticking(tmp_path, contract=contract) as at:
        at.sent("A", "B", "C", "D")
        at.proxy.status = status
        with capture_logs() as logs:
            for each in ("A", "D"):
                before = at.proxy.calls
                at.heard(DELIVERED, each)
                await until(lambda: at.proxy.calls > before)  # noqa: B023 - called at once
                await at.poll()
                await until(lambda: at.due == 0)
                assert at.proxy.calls >= before + 2, "not on one word"
            asked = at.proxy.calls
            at.heard(DELIVERED, "B")
            await until(lambda: at.due == 0)
            assert at.proxy.calls == asked
        assert [line["endpoint"] for line in logs if "has no such call" in line["event"]] == ["message-status"]
        with capture_logs() as logs:
            await trio.sleep(2.0)
            at.heard(READ, "A")
            await until(lambda: at.due == 0)
        assert at.proxy.calls == asked + 1, "asked again, once"
        assert [line for line in logs if line["log_level"] != "debug"] == [], "quietly"
        await trio.sleep(2.0)
        at.proxy.status = 200
        at.heard(DELIVERED, "C")
        await until(lambda: at.proxy.words() == [("C", "delivered")])


async def test_one_message_that_the_proxy_does_not_know_is_no_word_of_the_call(tmp_path: Path) -> None:
    async with open_ticking(tmp_path) as at:
        at.sent("A", "B")
        at.proxy.status = 404
        at.heard(DELIVERED, "A")
        await until(lambda: at.proxy.calls)
        await at.poll()
        await until(lambda: at.due == 0)
        at.proxy.status = 200
        at.heard(READ, "B")
        await until(lambda: at.proxy.words() == [("B", "read")])


async def test_that_there_is_none_is_not_believed_while_the_polls_fail_too(tmp_path: Path) -> None:
    async with open_ticking(tmp_path) as at:
        at.sent("A")
        at.proxy.status = at.proxy.polls = 404
        at.heard(DELIVERED, "A")
        await until(lambda: at.proxy.calls >= 3)
        assert at.due == 1
        at.proxy.status = at.proxy.polls = 200
        await until(lambda: at.due == 0)
        assert at.proxy.words() == [("A", "delivered")]


async def test_nor_of_a_call_that_the_proxy_took_a_moment_ago(tmp_path: Path) -> None:
    async with open_ticking(tmp_path, absent_for=8.0) as at:
        at.sent("A", "B")
        at.heard(DELIVERED, "A")
        await until(lambda: at.proxy.told)
        at.proxy.status = 404
        at.heard(DELIVERED, "B")
        await until(lambda: at.proxy.calls >= 2)
        await at.poll()
        await until(lambda: at.proxy.calls >= 4)
        assert at.due == 1
        at.proxy.status = 200
        await until(lambda: at.proxy.words() == [("A", "delivered"), ("B", "delivered")])
        at.sent("C")
        at.proxy.status = 404
        at.heard(DELIVERED, "C")
        began = trio.current_time()
        while at.due:
            await at.poll()
            await trio.sleep(0.1)
        assert trio.current_time() - began >= 7.9, "a message that it does not know any more is dropped at last"


async def test_in_version_1_a_refusal_is_no_word_of_the_call(tmp_path: Path) -> None:
    async with open_ticking(tmp_path) as at:
        at.sent("A")
        at.proxy.status = 400
        at.heard(DELIVERED, "A")
        await until(lambda: at.proxy.calls)
        await at.poll()
        await until(lambda: at.proxy.calls >= 3)
        assert at.due == 1


async def test_receipts_are_committed_on_the_threads_that_bring_them(tmp_path: Path) -> None:
    async with open_ticking(tmp_path) as at:
        at.sent("A")
        read_only(at.journal, on=True)
        with pytest.raises(JournalError):
            at.heard(DELIVERED, "A")
        read_only(at.journal, on=False)
        thread = threading.Thread(target=at.heard, args=(DELIVERED, "A"))
        thread.start()
        thread.join()
        assert at.due == 1 or at.proxy.told, "it is on disk when the call returns"
        await until(lambda: at.proxy.told)
