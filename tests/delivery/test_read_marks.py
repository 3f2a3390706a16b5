"""What the proxy has taken is marked as read: grouped per chat, once a session is there, and never waited for."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import attrs
import trio
import trio.testing
from structlog.testing import capture_logs

from tests.journal.rows import ANA, BIA, ME, SHOP
from tests.proxy_fixture import PATIENCE, until
from wa_worker.delivery.read_marks import KEPT, TOGETHER, ReadMarks
from wa_worker.errors import SessionError
from wa_worker.journal import PendingInbound
from wa_worker.messages import ChatType, InboundMessage
from wa_worker.models import Jid, WaMessageId

GROUP, LID = Jid("120363@g.us"), Jid("95511988880001@lid")
Call = tuple[Jid, Jid, list[str]]


@attrs.define
class Marking:
    """A session that marks, or fails as often as `failures` says."""

    calls: list[Call] = attrs.Factory(list)
    failures: int = 0
    threads: set[int] = attrs.Factory(set)

    def mark_read(self, chat: Jid, sender: Jid, wa_ids: Sequence[WaMessageId]) -> None:
        self.threads.add(threading.get_ident())
        if self.failures:
            self.failures -= 1
            raise SessionError("timed out")
        self.calls.append((chat, sender, list(wa_ids)))


def row(wa_id: str, chat: Jid = ANA, sender: Jid | None = None, **more: object) -> PendingInbound:
    kind = ChatType.GROUP if chat == GROUP else ChatType.DIRECT
    message = InboundMessage(
        WaMessageId(wa_id), chat, kind, ME, sender or chat, None, None, "Oi", "text", 1_700_000_000
    )
    return PendingInbound(1, 1, SHOP, attrs.evolve(message, **more), 0)  # type: ignore[arg-type]  # a test's shorthand


async def test_those_of_a_chat_are_one_call(nursery: trio.Nursery) -> None:
    reads, session = ReadMarks(wanted=True), Marking()
    nursery.start_soon(reads.run, SHOP, session, trio.lowlevel.checkpoint)
    reads.accepted([row("C"), row("B", BIA), row("A")])
    await until(lambda: len(session.calls) == 2)
    assert sorted(session.calls) == [(ANA, ANA, ["C", "A"]), (BIA, BIA, ["B"])]
    assert threading.get_ident() not in session.threads
    nursery.cancel_scope.cancel()


async def test_each_is_addressed_as_it_came_and_in_a_group_by_its_author(nursery: trio.Nursery) -> None:
    reads, session = ReadMarks(wanted=True), Marking()
    nursery.start_soon(reads.run, SHOP, session, trio.lowlevel.checkpoint)
    reads.accepted(
        [row("A", sender_address=LID), row("B", GROUP, ANA, sender_address=LID), row("C", GROUP, BIA)],
    )
    await until(lambda: len(session.calls) == 3)
    assert sorted(session.calls) == [(GROUP, BIA, ["C"]), (GROUP, LID, ["B"]), (LID, LID, ["A"])]
    nursery.cancel_scope.cancel()


async def test_what_the_account_wrote_itself_and_calls_are_not_marked(nursery: trio.Nursery) -> None:
    reads, session = ReadMarks(wanted=True), Marking()
    nursery.start_soon(reads.run, SHOP, session, trio.lowlevel.checkpoint)
    reads.accepted([row("A", from_me=True), row("B", message_type="call"), row("C")])
    await until(lambda: session.calls)
    assert session.calls == [(ANA, ANA, ["C"])]
    nursery.cancel_scope.cancel()


async def test_one_that_fails_is_dropped_and_said(nursery: trio.Nursery) -> None:
    reads, session = ReadMarks(wanted=True), Marking(failures=1)
    with capture_logs() as logs:
        nursery.start_soon(reads.run, SHOP, session, trio.lowlevel.checkpoint)
        reads.accepted([row("A"), row("B", BIA)])
        await until(lambda: session.calls)
    assert session.calls == [(BIA, BIA, ["B"])]
    assert [line["reason"] for line in logs] == ["timed out"]
    nursery.cancel_scope.cancel()


async def test_it_waits_for_a_session_that_is_connected(nursery: trio.Nursery) -> None:
    reads, session, connected = ReadMarks(wanted=True), Marking(), trio.Event()
    reads.accepted([row(f"old{number}") for number in range(20)])
    reads.accepted([row(f"{number:04}") for number in range(KEPT)])
    nursery.start_soon(reads.run, SHOP, session, connected.wait)
    await trio.testing.wait_all_tasks_blocked(0.7)
    assert session.calls == []
    connected.set()
    await until(lambda: len(session.calls) == KEPT / TOGETHER)
    assert max(len(wa_ids) for _, _, wa_ids in session.calls) == TOGETHER
    assert session.calls[0][2][0] == "0000", "the oldest stay unread"
    nursery.cancel_scope.cancel()


async def test_unless_it_is_wanted_nothing_is_kept() -> None:
    reads, session = ReadMarks(wanted=False), Marking()
    with trio.move_on_after(1.0):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reads.run, SHOP, session, trio.lowlevel.checkpoint)
            reads.accepted([row("A")])
    assert session.calls == []


async def test_a_call_that_hangs_is_left_behind() -> None:
    begun, leave = threading.Event(), threading.Event()

    class Hanging:
        def mark_read(self, _chat: Jid, _sender: Jid, _wa_ids: Sequence[WaMessageId]) -> None:
            begun.set()
            leave.wait(PATIENCE)

    reads = ReadMarks(wanted=True)
    with trio.fail_after(PATIENCE / 2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reads.run, SHOP, Hanging(), trio.lowlevel.checkpoint)
            reads.accepted([row("A")])
            await until(begun.is_set)
            nursery.cancel_scope.cancel()
    leave.set()
