"""A batch on its way, when the disk, the upkeep or the library do what nobody wants in the middle of it."""

from __future__ import annotations

import threading
import time

import attrs

from tests.journal.rows import ANA, SHOP, admit, read_only, states
from wa_worker.delivery.sending import Dispatch, Sender
from wa_worker.errors import SessionNotOpen
from wa_worker.journal import Journal
from wa_worker.messages import Accepted, QueuedMessage
from wa_worker.models import Jid, WaMessageId


@attrs.define
class Disk:
    """A session that accepts everything; the disk stops taking writes while it sends. With `closed` it is not open."""

    journal: Journal
    closed: bool = False
    copies: int = 0
    heals: threading.Timer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.heals = threading.Timer(0.2, read_only, (self.journal, False))

    def send(self, to: Jid, text: str) -> Accepted:
        read_only(self.journal, True)
        self.heals.start()
        if self.closed:
            raise SessionNotOpen("not connected", pause=1.0)
        self.copies += 1
        return Accepted(WaMessageId("W"), 0)


def dispatch(journal: Journal, sender: Sender) -> Dispatch:
    queued = [QueuedMessage(1, ANA, "Oi")]
    return Dispatch(SHOP, queued, [], time.time(), journal.ledger, sender, True, lambda: None)


def test_what_whatsapp_accepted_is_kept_until_the_disk_takes_it(journal: Journal) -> None:
    disk = Disk(journal)
    dispatch(journal, disk).run()
    assert states(journal) == {"1": "sent"}
    dispatch(journal, disk).run()
    assert disk.copies == 1


def test_an_intent_is_taken_back_even_if_the_disk_is_slow_to_take_it(journal: Journal) -> None:
    disk = Disk(journal, closed=True)
    try:
        dispatch(journal, disk).run()
    finally:
        disk.heals.join()
        assert admit(journal, 1).due == (1,)


@attrs.define
class Upkeep:
    """A session that accepts everything, while rows that have waited for long are forgotten."""

    journal: Journal
    copies: list[str] = attrs.Factory(list)

    def send(self, to: Jid, text: str) -> Accepted:
        self.copies.append(text)
        self.journal.ledger.purge(-1)
        return Accepted(WaMessageId("W"), 0)


def test_what_is_forgotten_in_the_middle_of_its_batch_is_sent_once_all_the_same(journal: Journal) -> None:
    """Rows that waited for a week, say while the account was banned, go out just when upkeep comes round."""
    upkeep = Upkeep(journal)
    queued = [QueuedMessage(n, ANA, str(n)) for n in range(3)]
    for _poll in range(2):
        Dispatch(SHOP, queued, [], time.time(), journal.ledger, upkeep, True, lambda: None).run()
    assert upkeep.copies == ["0", "1", "2"]
    assert set(states(journal).values()) == {"sent"}


class Strange:
    """A session whose library does what nobody expected."""

    def send(self, to: Jid, text: str) -> Accepted:
        raise RuntimeError("surprise")


def test_a_surprise_in_a_send_is_a_doubt_and_not_the_end(journal: Journal) -> None:
    dispatch(journal, Strange()).run()
    with journal.database.reading() as sql:
        assert sql.execute("SELECT state, doubts, error FROM ledger").fetchall() == [("waiting", 1, "surprise")]
