"""A batch on its way, when the disk, the upkeep or the library do what nobody wants in the middle of it."""

from __future__ import annotations

import threading
import time

import attrs
import pytest

from tests.journal.rows import ANA, SHOP, admit, read_only, states
from wa_worker.delivery.batch import MAX_TRIES, SendBatch, Sender, SendRecord
from wa_worker.edge.wire import BadRow, Rows
from wa_worker.errors import Failure, SendDelayed, SendRefused, SessionNotOpen
from wa_worker.journal import Journal
from wa_worker.messages import Accepted, OutgoingMessage, QueuedMessage, Text
from wa_worker.models import WaMessageId


@attrs.define
class Disk:
    """A session that accepts everything; the disk stops taking writes while it sends. With `closed` it is not open."""

    journal: Journal
    closed: bool = False
    copies: int = 0
    heals: threading.Timer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.heals = threading.Timer(0.2, read_only, (self.journal, False))

    def send(self, message: OutgoingMessage) -> Accepted:
        read_only(self.journal, True)
        self.heals.start()
        if self.closed:
            raise SessionNotOpen("not connected", pause=1.0)
        self.copies += 1
        return Accepted(WaMessageId("W"), 0)


def batch(journal: Journal, sender: Sender, count: int = 1) -> SendBatch:
    record = SendRecord(journal.ledger, True, lambda _outcome: None, lambda: None)
    rows = tuple(QueuedMessage(n, ANA, Text(str(n))) for n in range(1, count + 1))
    return SendBatch(SHOP, sender, record, Rows(rows, ()), time.time())


def test_what_whatsapp_accepted_is_kept_until_the_disk_takes_it(journal: Journal) -> None:
    disk = Disk(journal)
    batch(journal, disk).run()
    assert states(journal) == {"1": "sent"}
    batch(journal, disk).run()
    assert disk.copies == 1


def test_an_intent_is_taken_back_even_if_the_disk_is_slow_to_take_it(journal: Journal) -> None:
    disk = Disk(journal, closed=True)
    try:
        batch(journal, disk).run()
    finally:
        disk.heals.join()
        assert admit(journal, 1).due == (1,)


@attrs.define
class Upkeep:
    """A session that accepts everything, while rows that have waited for long are forgotten."""

    journal: Journal
    copies: list[str] = attrs.Factory(list)

    def send(self, message: OutgoingMessage) -> Accepted:
        self.copies.append(message.content.body)
        self.journal.ledger.purge(-1)
        return Accepted(WaMessageId("W"), 0)


def test_what_is_forgotten_in_the_middle_of_its_batch_is_sent_once_all_the_same(journal: Journal) -> None:
    """Rows that waited for a week, say while the account was banned, go out just when upkeep comes round."""
    upkeep = Upkeep(journal)
    for _poll in range(2):
        batch(journal, upkeep, count=3).run()
    assert upkeep.copies == ["1", "2", "3"]
    assert set(states(journal).values()) == {"sent"}


class Strange:
    """A session whose library does what nobody expected."""

    def send(self, message: OutgoingMessage) -> Accepted:
        raise RuntimeError("surprise")


def test_a_surprise_in_a_send_is_a_doubt_and_not_the_end(journal: Journal) -> None:
    batch(journal, Strange()).run()
    with journal.database.reading() as sql:
        assert sql.execute("SELECT state, doubts, error FROM ledger").fetchall() == [("waiting", 1, "surprise")]


PRIVATE = "no LID found for 5511988880001@s.whatsapp.net (+55 (11) 98888-0001): Oi, Ana"
"""What a library may say."""


@attrs.define
class Talkative:
    """A session that refuses or delays everything, in the library's words."""

    delays: bool

    def send(self, message: OutgoingMessage) -> Accepted:
        raise SendDelayed(PRIVATE, pause=0.0) if self.delays else SendRefused(PRIVATE)


@pytest.mark.parametrize(
    ("delays", "failures"),
    [
        (False, {1: Failure.REFUSED, 2: Failure.REFUSED, 3: Failure.BAD_NUMBER, 4: Failure.NO_TO}),
        (True, {1: Failure.GIVEN_UP, 2: Failure.GIVEN_UP, 3: Failure.BAD_NUMBER, 4: Failure.NO_TO}),
    ],
)
def test_what_the_proxy_hears_is_of_the_list_whatever_the_library_says(
    journal: Journal, delays: bool, failures: dict[int, Failure]
) -> None:
    record = SendRecord(journal.ledger, True, lambda _outcome: None, lambda: None)
    good = (
        QueuedMessage(1, ANA, Text("Oi, Ana")),
        QueuedMessage(2, "+55 (11) 98888-0002", Text("Oi")),
        QueuedMessage(3, "call +55 (11) 98888-0003", Text("Oi")),
    )
    rows = Rows(good, (BadRow(PRIVATE, 4, Failure.NO_TO),))
    for _poll in range(MAX_TRIES):
        with journal.database.transaction() as sql:
            sql.execute("UPDATE ledger SET not_before = 0")
        SendBatch(SHOP, Talkative(delays), record, rows, time.time()).run()
    assert {mark.message_id: mark.error for mark in journal.ledger.unreported(0, 10)} == failures
