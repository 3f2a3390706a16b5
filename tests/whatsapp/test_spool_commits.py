"""What was kept on the volume goes to the journal once that takes it: in order, for whosever instance it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import attrs
import pytest
import trio
from neonize.proto import Neonize_pb2 as pb
from structlog.testing import capture_logs

from tests.journal.rows import SHOP, posted_bodies, read_only
from tests.proxy_fixture import until
from tests.whatsapp.message_events import ME, event, made
from tests.whatsapp.test_receiving import group_event
from wa_worker.errors import JournalError, SessionError
from wa_worker.journal import Journal, open_journal
from wa_worker.messages import Receipt
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId
from wa_worker.whatsapp import spool_commits
from wa_worker.whatsapp.events import Code
from wa_worker.whatsapp.folder_store import FolderStore, FolderStores
from wa_worker.whatsapp.receiving import Receiver, Told
from wa_worker.whatsapp.spool import Spool, Spooled
from wa_worker.whatsapp.spool_commits import SpoolCommits

PUB = InstanceId("pub")


@attrs.define
class Stores(FolderStores):
    """Folders, of which some cannot be looked into now."""

    away: set[InstanceId] = attrs.Factory(set)

    def look(self, instance: InstanceId) -> FolderStore:
        if instance in self.away:
            raise SessionError("not now")
        return super().look(instance)


@attrs.define
class At:
    journal: Journal
    spool: Spool
    stores: Stores
    told: int = 0
    told_in_vain: int = 0
    tell_fails: bool = False
    receipts: list[Receipt] = attrs.Factory(list)
    on_message: Callable[[], None] = lambda: None

    def keep(self, body: str, instance: InstanceId = SHOP, wa_id: str = "") -> None:
        data = event(message=made(conversation=body), wa_id=wa_id or body).SerializePartialToString()
        self.spool.keep(Spooled(instance, ME.jid, ME.lid, Code.MESSAGE, data))

    def heard(self, _instance: InstanceId, receipt: Receipt) -> None:
        self.receipts.append(receipt)

    def tell(self) -> None:
        if self.tell_fails:
            self.told_in_vain += 1
            raise JournalError("away")
        self.told += 1

    def bodies(self) -> list[list[str]]:
        return sorted(posted_bodies(self.journal).values())

    def commits(self) -> SpoolCommits:
        receiver = Receiver(self.journal.inbox, Metrics(), Told(self.on_message))
        return SpoolCommits(self.spool, self.stores, receiver, self, told=self.tell)


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[At]:
    with open_journal(tmp_path / "journal.db") as journal:
        spool = Spool(tmp_path / "spool")
        spool.load()
        yield At(journal, spool, Stores(tmp_path))


async def test_what_waits_at_the_start_and_what_comes_is_committed_in_order(at: At, nursery: trio.Nursery) -> None:
    for body in ("one", "two", "three"):
        at.keep(body)
    nursery.start_soon(at.commits().run)
    await until(lambda: not at.spool.holds(SHOP))
    assert at.bodies() == [["one", "two", "three"]]
    await until(lambda: at.told == 1)
    at.keep("four")
    await until(lambda: not at.spool.holds(SHOP))
    assert at.bodies() == [["one", "two", "three", "four"]]
    await until(lambda: at.told == 2)
    nursery.cancel_scope.cancel()


async def test_a_number_that_hears_something_all_the_time_gets_out_of_it(at: At, nursery: trio.Nursery) -> None:
    """What comes while the rest is committed waits behind it, and is no reason for a pause."""
    more = iter(range(20))

    def hears_more() -> None:
        if (n := next(more, None)) is not None:
            at.keep(str(n))

    at.on_message = hears_more
    at.keep("first")
    with trio.fail_after(5):
        nursery.start_soon(at.commits().run)
        while at.spool.holds(SHOP) or not at.bodies():  # noqa: ASYNC110 - nothing tells
            await trio.sleep(0.02)
    assert at.bodies() == [["first", *map(str, range(20))]]
    nursery.cancel_scope.cancel()


async def test_it_waits_for_the_journal(at: At, nursery: trio.Nursery) -> None:
    read_only(at.journal, True)
    at.keep("one")
    with capture_logs() as lines:
        nursery.start_soon(at.commits().run)
        await trio.sleep(0.8)
    assert at.spool.holds(SHOP)
    assert 1 <= len([line for line in lines if line["event"] == "what was kept on the volume waits"]) <= 4, (
        "in no haste"
    )
    read_only(at.journal, False)
    await until(lambda: not at.spool.holds(SHOP))
    assert at.bodies() == [["one"]]
    nursery.cancel_scope.cancel()


async def test_an_instance_that_nobody_knows_yet_holds_up_no_other(at: At, nursery: trio.Nursery) -> None:
    at.stores.away.add(SHOP)
    at.keep("one")
    at.keep("two", PUB)
    nursery.start_soon(at.commits().run)
    await until(lambda: not at.spool.holds(PUB))
    assert at.spool.holds(SHOP)
    at.stores.away.clear()
    await until(lambda: not at.spool.holds(SHOP))
    assert at.bodies() == [["one"], ["two"]]
    nursery.cancel_scope.cancel()


async def test_who_is_to_look_for_the_rows_is_told_in_the_end(at: At, nursery: trio.Nursery) -> None:
    at.tell_fails = True
    at.keep("one")
    nursery.start_soon(at.commits().run)
    await until(lambda: at.told_in_vain)
    assert at.bodies() == [["one"]]
    at.tell_fails = False
    await until(lambda: at.told == 1)
    nursery.cancel_scope.cancel()


async def test_what_the_journal_has_already_is_recognised(at: At, nursery: trio.Nursery) -> None:
    at.keep("one", wa_id="A")
    at.keep("one", wa_id="A")
    nursery.start_soon(at.commits().run)
    await until(lambda: not at.spool.holds(SHOP))
    assert at.bodies() == [["one"]]
    nursery.cancel_scope.cancel()


async def test_nothing_can_be_made_of_it_and_what_is_behind_it_goes_on(
    at: At, nursery: trio.Nursery, tmp_path: Path
) -> None:
    at.spool.keep(Spooled(SHOP, ME.jid, ME.lid, Code.RECEIPT, b"\xff\xff\xff"))
    at.keep("one")
    nursery.start_soon(at.commits().run)
    await until(lambda: not at.spool.holds(SHOP))
    assert at.bodies() == [["one"]]
    assert len(list((tmp_path / "spool").glob("*.unreadable"))) == 1
    nursery.cancel_scope.cancel()


async def test_what_the_journal_refuses_for_what_it_is_is_set_aside_in_the_end(
    at: At, nursery: trio.Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_commits, "TOO_OFTEN", 3)
    with at.journal.database.transaction() as sql:
        sql.execute(REFUSES_POISON)
    at.keep("poison")
    at.keep("behind it")
    at.keep("of another", PUB)
    nursery.start_soon(at.commits().run)
    await until(lambda: not at.spool.holds(PUB))
    assert at.spool.holds(SHOP), "not at the first time"
    assert at.told, "though something waits"
    await until(lambda: not at.spool.holds(SHOP))
    assert at.bodies() == [["behind it"], ["of another"]]
    assert len(list((tmp_path / "spool").glob("*.unreadable"))) == 1
    nursery.cancel_scope.cancel()


async def test_what_it_refuses_for_another_reason_never_is(
    at: At, nursery: trio.Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_commits, "TOO_OFTEN", 1)
    read_only(at.journal, True)
    at.keep("one")
    nursery.start_soon(at.commits().run)
    await trio.sleep(1)
    assert at.spool.holds(SHOP)
    read_only(at.journal, False)
    await until(lambda: not at.spool.holds(SHOP))
    assert at.bodies() == [["one"]]
    nursery.cancel_scope.cancel()


REFUSES_POISON = """
CREATE TRIGGER poison BEFORE INSERT ON inbox WHEN new.wa_id = 'poison' BEGIN SELECT RAISE(ABORT, 'poison'); END"""


async def test_a_worker_that_stops_commits_what_waits_and_says_what_stays(at: At) -> None:
    with capture_logs() as lines:
        for body, takes in (("one", True), ("two", False)):
            with trio.CancelScope() as work:
                async with at.commits().rest_kept():
                    at.keep(body)
                    read_only(at.journal, not takes)
                    work.cancel()
                    await trio.sleep_forever()
    read_only(at.journal, False)
    assert at.bodies() == [["one"]]
    assert at.spool.holds(SHOP)
    stays = [line["events"] for line in lines if line["event"].startswith("what was received stays on the volume")]
    assert stays == [1]


async def test_all_that_a_session_commits_can_be_kept(at: At, nursery: trio.Nursery) -> None:
    """Each kind once: what a session has heard, as it would have committed it."""
    receipt = pb.Receipt(MessageIDs=["3EB0"], Type=pb.Receipt.READ, Timestamp=1_700_000_000)
    info = event(wa_id="V").Info
    for code, said in {
        Code.RECEIPT: receipt,
        Code.GROUP_INFO_EVENT: group_event("Loja", 100),
        Code.UNDECRYPTABLE_MESSAGE: pb.UndecryptableMessage(Info=info, IsUnavailable=True),
    }.items():
        at.spool.keep(Spooled(SHOP, ME.jid, ME.lid, code, said.SerializePartialToString()))
    nursery.start_soon(at.commits().run)
    await until(lambda: not at.spool.holds(SHOP))
    assert [each.wa_ids for each in at.receipts] == [("3EB0",)]
    rows = [row.message for key in at.journal.inbox.keys(0, 9) for row in at.journal.inbox.pending(key, 9)]
    assert sorted(row.group_change is not None for row in rows) == [False, True]
    nursery.cancel_scope.cancel()
