"""Sends of which nobody knows whether they left: receipts that prove it, and the wait for them. The ledger is real.

The line is a number here, and what the session stores say is a table. The real ones are in tests/whatsapp/ and
tests/e2e/.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from tests.journal.rows import SHOP, admit, read_only, states
from tests.proxy_fixture import until
from wa_worker.delivery.uncertain import RECENT, UncertainSends
from wa_worker.errors import JournalError, SessionError
from wa_worker.journal import Journal, SendState, Settled, Trace, open_journal
from wa_worker.models import InstanceId, WaMessageId

A, B = WaMessageId("3EB0A"), WaMessageId("3EB0B")
WAIT = 0.3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@attrs.define
class Line:
    """`steady` seconds, whatever the clock says; it counts how often it was looked at."""

    up: float = 1000.0
    looks: int = 0

    @property
    def steady(self) -> float:
        self.looks += 1
        return self.up


@attrs.define
class World:
    journal: Journal
    uncertain: UncertainSends
    nursery: trio.Nursery
    sent: list[Settled]
    rings: list[int]
    """One for each time the proxy had something to hear."""
    line: Line = attrs.Factory(Line)
    went_on: int = 0
    """How often a chat could go on."""

    def follow(self) -> None:
        self.nursery.start_soon(self.uncertain.run, SHOP, self.line, self._go_on)

    def _go_on(self) -> None:
        self.went_on += 1

    def doubtful(self, message_id: int, wa_id: WaMessageId, *, held: bool = False) -> None:
        """A batch's send has failed, and its session has looked up the id."""
        self.uncertain.expect(SHOP, wa_id)
        state = SendState.UNCERTAIN if held else SendState.WAITING
        self.settle(Settled(message_id, state, error="?", doubt=True, maybe_id=wa_id), begin=True)

    def settle(self, outcome: Settled, *, begin: bool = False) -> None:
        if begin:
            admit(self.journal, outcome.message_id)
            self.journal.ledger.step(SHOP, [], outcome.message_id)
        self.journal.ledger.step(SHOP, [outcome], None)
        self.uncertain.settled(SHOP, outcome)

    def due(self) -> bool:
        return bool(admit(self.journal, 1).due)


@asynccontextmanager
async def open_world(path: Path, *, resend: bool = True, wait: float = WAIT) -> AsyncIterator[World]:
    sent: list[Settled] = []
    with open_journal(path) as journal:
        async with trio.open_nursery() as nursery:
            rings: list[int] = []
            uncertain = UncertainSends(journal.doubts, sent.append, lambda: rings.append(1), resend=resend, wait=wait)
            yield World(journal, uncertain, nursery, sent, rings)
            nursery.cancel_scope.cancel()


async def test_a_receipt_settles_it_at_once(path: Path) -> None:
    async with open_world(path, wait=60) as world:
        world.follow()
        world.doubtful(1, A)
        assert not world.due()
        world.uncertain.heard(SHOP, ["another", A])
        await until(lambda: states(world.journal) == {"1": "sent"})
        await until(lambda: (world.rings, world.went_on) == ([1], 1))
        assert world.sent == [Settled(1, SendState.SENT, A)]


async def test_a_receipt_between_the_look_up_and_the_commit_counts(path: Path) -> None:
    async with open_world(path, wait=60) as world:
        world.follow()
        world.uncertain.expect(SHOP, A)
        world.uncertain.heard(SHOP, [A])
        await trio.testing.wait_all_tasks_blocked()
        world.settle(Settled(1, SendState.WAITING, error="?", doubt=True, maybe_id=A), begin=True)
        await until(lambda: states(world.journal) == {"1": "sent"})


async def test_a_held_one_is_settled_by_a_late_receipt_too(path: Path) -> None:
    async with open_world(path, resend=False) as world:
        world.doubtful(1, A, held=True)
        world.follow()
        await trio.sleep(WAIT * 2)
        assert states(world.journal) == {"1": "uncertain"}
        assert world.line.looks == 0, "nothing is done while it waits"
        world.uncertain.heard(SHOP, [A])
        await until(lambda: states(world.journal) == {"1": "sent"})


async def test_without_a_receipt_it_is_sent_again_after_the_wait(path: Path) -> None:
    async with open_world(path) as world:
        world.follow()
        began = time.monotonic()
        world.doubtful(1, A)
        await until(world.due)
        assert time.monotonic() - began >= WAIT
        await until(lambda: world.went_on)


@pytest.mark.parametrize("up", [-1000.0, 0.0, WAIT / 2])
async def test_never_while_the_line_is_down_or_has_not_been_up_for_long(path: Path, up: float) -> None:
    async with open_world(path) as world:
        world.line.up = up
        world.follow()
        world.doubtful(1, A)
        await until(lambda: world.line.looks >= 4)
        assert not world.due()
        world.line.up = WAIT
        await until(world.due)


async def test_each_waits_for_its_own_time(path: Path) -> None:
    async with open_world(path, wait=1.0) as world:
        world.follow()
        world.doubtful(1, A)
        await trio.sleep(0.6)
        world.doubtful(2, B)
        await until(world.due)
        assert admit(world.journal, 2).due == ()


async def test_a_receipt_after_the_wait_counts_until_the_next_try_begins(path: Path) -> None:
    async with open_world(path) as world:
        world.follow()
        world.doubtful(1, A)
        await until(world.due)
        world.uncertain.heard(SHOP, [A])
        await until(lambda: states(world.journal) == {"1": "sent"})


@pytest.mark.parametrize(
    "outcome",
    [
        Settled(1, SendState.WAITING, error="later", pause=60.0),
        Settled(1, SendState.WAITING, error="?", doubt=True, maybe_id=B),
        Settled(1, SendState.FAILED, error="given up"),
    ],
    ids=["delayed", "uncertain once more", "failed"],
)
async def test_a_receipt_during_the_next_try_counts_unless_that_succeeds(path: Path, outcome: Settled) -> None:
    async with open_world(path) as world:
        world.follow()
        world.doubtful(1, A)
        await until(world.due)
        world.journal.ledger.step(SHOP, [], 1)
        world.uncertain.heard(SHOP, [A])
        await trio.sleep(WAIT)
        assert states(world.journal) == {"1": "intent"}
        world.settle(outcome)
        await until(lambda: [(one.message_id, one.wa_id) for one in world.journal.ledger.unreported(0, 9)] == [(1, A)])


async def test_what_is_sent_under_another_id_is_waited_for_no_longer(path: Path) -> None:
    async with open_world(path) as world:
        world.follow()
        world.doubtful(1, A)
        await until(world.due)
        world.journal.ledger.step(SHOP, [], 1)
        world.settle(Settled(1, SendState.SENT, B))
        with world.journal.database.reading() as sql:
            assert isinstance(sql, sqlite3.Connection)
            changes = sql.total_changes
        world.uncertain.heard(SHOP, [A])
        await trio.sleep(WAIT)
        with world.journal.database.reading() as sql:
            assert isinstance(sql, sqlite3.Connection)
            assert sql.total_changes == changes


class Steps(trio.abc.Instrument):
    """Counts how often the task that follows the sends has run."""

    count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += "UncertainSends.run" in task.name


async def test_a_receipt_that_nobody_waits_for_wakes_nobody(path: Path) -> None:
    async with open_world(path) as world:
        world.follow()
        world.doubtful(1, A, held=True)
        await trio.testing.wait_all_tasks_blocked(0.05)
        steps = Steps()
        trio.lowlevel.add_instrument(steps)
        world.uncertain.heard(SHOP, ["x", "y"])
        world.uncertain.heard(InstanceId("other"), [A])
        await trio.sleep(WAIT)
        assert steps.count == 0
        world.uncertain.heard(SHOP, ["x", A])
        await until(lambda: states(world.journal) == {"1": "sent"})
        assert steps.count > 0


async def test_while_the_journal_cannot_commit_a_proof_is_kept_and_nothing_sent_again(path: Path) -> None:
    async with open_world(path) as world:
        world.follow()
        world.doubtful(1, A)
        read_only(world.journal, True)
        with capture_logs() as lines:
            world.uncertain.heard(SHOP, [A])
            await trio.sleep(WAIT * 3)
        assert {line["event"] for line in lines} == {"the journal cannot commit, trying again"}
        read_only(world.journal, False)
        await until(lambda: states(world.journal) == {"1": "sent"})


async def test_what_is_proved_is_never_released_though_the_proof_is_not_on_disk_yet(path: Path) -> None:
    async with open_world(path) as world:
        world.follow()
        world.doubtful(1, A)
        with world.journal.database.transaction() as sql:
            sql.execute(
                "CREATE TRIGGER refused BEFORE UPDATE ON ledger WHEN NEW.state = 'sent'"
                " BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        world.uncertain.heard(SHOP, [A])
        await trio.sleep(WAIT * 4)
        assert not world.due()
        with world.journal.database.transaction() as sql:
            sql.execute("DROP TRIGGER refused")
        await until(lambda: states(world.journal) == {"1": "sent"})


# --- at the start


@contextmanager
def died(path: Path, *ids: int) -> Any:
    """A worker that died with these sends under way."""
    with open_journal(path) as journal:
        admit(journal, *ids)
        for message_id in ids:
            journal.ledger.step(SHOP, [], message_id, trace=Trace(bytes([message_id]) * 32, "mark"))
        yield journal


def look_up(_instance: InstanceId, secret: bytes, mark: str | None) -> WaMessageId | None:
    """The first never left, the second has an id, of the third nobody knows anything."""
    if secret[0] == 2:
        return A
    if secret[0] == 3 or mark != "mark":
        raise SessionError("no witness")
    return None


async def test_after_a_crash_a_receipt_that_waited_settles_it_and_what_never_left_is_certain(path: Path) -> None:
    with died(path, 1, 2, 3):
        pass
    async with open_world(path, wait=60) as world:
        assert world.uncertain.recover(look_up, 8) == 1
        assert world.journal.ledger.recover(resend=True, tries=8) == 2
        world.uncertain.load()
        world.follow()
        with world.journal.database.reading() as sql:
            assert sql.execute("SELECT doubts FROM ledger ORDER BY seq").fetchall() == [(0,), (1,), (1,)]
        assert admit(world.journal, 1).due == (1,)
        assert admit(world.journal, 2).due == ()
        assert admit(world.journal, 3).due == (3,)
        world.uncertain.heard(SHOP, [A])
        await until(lambda: states(world.journal)["2"] == "sent")


async def test_after_a_crash_it_waits_anew(path: Path) -> None:
    with died(path, 2):
        pass
    async with open_world(path) as world:
        world.uncertain.recover(look_up, 8)
        world.journal.ledger.recover(resend=True, tries=8)
        world.uncertain.load()
        world.line.up = 0.0
        world.follow()
        await until(lambda: world.line.looks >= 3)
        assert admit(world.journal, 2).due == ()
        world.line.up = 1000.0
        await until(lambda: admit(world.journal, 2).due == (2,))


@pytest.mark.parametrize("shift", [RECENT + 60, -3600.0], ids=["long ago", "in the future"])
def test_an_old_store_is_no_witness_of_what_never_left(path: Path, shift: float) -> None:
    """As from a copy of the volume that somebody has put back."""
    with died(path, 1, 2) as journal:
        with journal.database.transaction() as sql:
            sql.execute("UPDATE ledger SET changed_at = changed_at - ?", (shift,))
        uncertain = UncertainSends(journal.doubts, lambda _: None, lambda: None, resend=True)
        assert uncertain.recover(look_up, 8) == 0
        assert journal.ledger.recover(resend=True, tries=8) == 2
        assert [row.wa_ids for row in journal.doubts.maybe_sent()] == [(A,)], "an id is one however old it is"


def test_what_an_older_version_began_is_uncertain_as_before(path: Path) -> None:
    with open_journal(path) as journal:
        admit(journal, 1)
        journal.ledger.step(SHOP, [], 1)
        uncertain = UncertainSends(journal.doubts, lambda _: None, lambda: None, resend=True)
        assert uncertain.recover(look_up, 8) == 0
        assert journal.ledger.recover(resend=True, tries=8) == 1


def test_a_journal_that_cannot_commit_is_told_of(path: Path) -> None:
    with died(path, 1) as journal:
        read_only(journal, True)
        with pytest.raises(JournalError):
            UncertainSends(journal.doubts, lambda _: None, lambda: None, resend=True).recover(look_up, 8)
