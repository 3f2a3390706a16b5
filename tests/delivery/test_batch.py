"""A batch on its way, when the disk, the upkeep or the library do what nobody wants in the middle of it."""

from __future__ import annotations

import threading
import time

import attrs

from tests.delivery.sessions import Steady
from tests.journal.rows import ANA, SHOP, admit, read_only, states
from wa_worker.delivery.batch import SendBatch, Sender, SendRecord
from wa_worker.edge.wire import Rows
from wa_worker.errors import SessionNotOpen
from wa_worker.journal import Journal
from wa_worker.messages import Accepted, OutgoingMessage, QueuedMessage, Text
from wa_worker.models import WaMessageId


@attrs.define
class Disk(Steady):
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
    record = SendRecord(journal.ledger, True, lambda _instance, _outcome: None, lambda: None)
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
class Upkeep(Steady):
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


class Strange(Steady):
    """A session whose library does what nobody expected."""

    def send(self, message: OutgoingMessage) -> Accepted:
        raise RuntimeError("surprise")


def test_a_surprise_in_a_send_is_a_doubt_and_not_the_end(journal: Journal) -> None:
    batch(journal, Strange()).run()
    with journal.database.reading() as sql:
        assert sql.execute("SELECT state, doubts, error FROM ledger").fetchall() == [("waiting", 1, "surprise")]
