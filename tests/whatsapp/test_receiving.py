"""A received message, from its bytes to the journal."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import attrs
import pytest
from neonize.proto import Neonize_pb2 as pb
from structlog.testing import capture_logs

from tests.journal.rows import SHOP, posted_bodies, read_only
from tests.test_metrics import scrape
from tests.whatsapp.message_events import GROUP, LID, ME, event, jid, made
from tests.whatsapp.test_folder_store import pair
from wa_worker.errors import JournalError
from wa_worker.journal import Journal, open_journal
from wa_worker.metrics import Metrics
from wa_worker.models import Jid
from wa_worker.whatsapp.folder_store import FolderStore
from wa_worker.whatsapp.receiving import Receiver, Told


@attrs.define
class At:
    journal: Journal
    store: FolderStore
    metrics: Metrics = attrs.Factory(Metrics)
    rung: int = 0
    receiver: Receiver = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.receiver = Receiver(self.journal.inbox, self.metrics, Told(self._ring))

    def _ring(self) -> None:
        assert posted_bodies(self.journal), "it is on disk by then"
        self.rung += 1

    def receive(self, data: bytes) -> bool:
        return self.receiver.receive(SHOP, self.store, ME, data)

    def counted(self, outcome: str) -> float:
        return scrape(self.metrics)[f"wa_worker_messages_received_total{{outcome={outcome}}}"]


@pytest.fixture
def at(tmp_path: Path) -> Iterator[At]:
    with open_journal(tmp_path / "journal.db") as journal:
        yield At(journal, FolderStore.of(tmp_path, SHOP))


def group_event(subject: str, at: int, **fields: object) -> pb.GroupInfoEvent:
    name = pb.GroupName(Name=subject, NameSetAt=at)
    return pb.GroupInfoEvent(JID=jid(GROUP), Sender=jid(LID), Timestamp=at, Name=name, **fields)


def rows(at: At) -> list[tuple[str, str | None]]:
    """What waits, in order: what was written, or changed, and what the group is called."""
    waiting = [row.message for key in at.journal.inbox.keys(0, 9) for row in at.journal.inbox.pending(key, 100)]
    return [
        (
            each.body if each.group_change is None else each.group_change.action.value,
            each.group.subject if each.group else None,
        )
        for each in waiting
    ]


def test_a_group_has_its_name_as_soon_as_that_is_known(at: At) -> None:
    def change(event: pb.GroupInfoEvent) -> bool:
        return at.receiver.group_change(SHOP, at.store, ME, event)

    asked: list[str] = []
    at.receiver.subjects.ask[SHOP] = asked.append
    assert at.receive(data(chat=GROUP, message=made(conversation="one"), wa_id="1"))
    assert at.receive(data(chat=GROUP, message=made(conversation="two"), wa_id="2"))
    assert asked == [GROUP, GROUP]
    assert change(group_event("Loja", 100))
    assert not change(group_event("Loja", 100)), "it may come again"
    assert at.receive(data(chat=GROUP, message=made(conversation="three"), wa_id="3"))
    assert change(group_event("Velha", 50)), "late, and told all the same"
    other = pb.GroupInfoEvent(JID=jid(GROUP), Sender=jid(LID), Timestamp=101, Join=[jid(LID)])
    assert change(other)
    assert at.receive(data(chat=GROUP, message=made(conversation="four"), wa_id="4"))
    assert rows(at) == [
        ("one", None),
        ("two", None),
        ("subject", "Loja"),
        ("three", "Loja"),
        ("subject", "Velha"),
        ("add", "Loja"),
        ("four", "Loja"),
    ]
    assert (at.rung, len(asked)) == (7, 2)
    assert at.receive(data())
    assert rows(at)[-1] == ("Oi", None)


def test_the_timer_of_a_group_is_kept(at: At) -> None:
    timer = pb.GroupEphemeral(IsEphemeral=True, DisappearingTimer=86_400)
    event = pb.GroupInfoEvent(JID=jid(GROUP), Timestamp=100, Ephemeral=timer)
    assert not at.receiver.group_change(SHOP, at.store, ME, event)
    kept = at.receiver.timer(SHOP, ME, Jid(GROUP))
    assert kept is not None
    assert (kept.expiration, kept.set_at) == (86_400, 100)


def test_a_change_that_is_not_understood_is_dropped_and_one_that_the_disk_does_not_take_is_not(at: At) -> None:
    assert not at.receiver.group_change(SHOP, at.store, ME, pb.GroupInfoEvent())
    read_only(at.journal, on=True)
    with pytest.raises(JournalError):
        at.receiver.group_change(SHOP, at.store, ME, group_event("Loja", 100))
    read_only(at.journal, on=False)
    assert at.receiver.group_change(SHOP, at.store, ME, group_event("Loja", 100))


def test_the_name_is_no_reason_to_lose_a_change(at: At) -> None:
    """The journal cannot be read either, as with a broken disk: both are tried again."""
    joined = pb.GroupInfoEvent(JID=jid(GROUP), Sender=jid(LID), Timestamp=101, Join=[jid(LID)])
    at.journal.database.close()
    with pytest.raises(JournalError):
        at.receiver.group_change(SHOP, at.store, ME, joined)
    with pytest.raises(JournalError):
        at.receive(data(chat=GROUP))


def data(**fields: object) -> bytes:
    serialised: bytes = event(**fields).SerializePartialToString()  # type: ignore[arg-type]  # a test's shorthand
    return serialised


def test_a_new_message_is_on_disk_before_anybody_hears_of_it(at: At) -> None:
    assert at.receive(data())
    assert posted_bodies(at.journal) == {1: ["Oi"]}
    assert (at.rung, at.counted("new")) == (1, 1)


def test_one_that_is_delivered_again_is_known(at: At) -> None:
    assert at.receive(data())
    assert not at.receive(data())
    assert posted_bodies(at.journal) == {1: ["Oi"]}
    assert (at.rung, at.counted("new"), at.counted("repeated")) == (1, 1, 1)


@pytest.mark.parametrize(
    "fields",
    [{"own": True, "chat": "1@broadcast"}, {"chat": "status@broadcast"}, {"message": made(pinInChatMessage={})}],
)
def test_what_nobody_asked_for_is_not_counted(at: At, fields: dict[str, object]) -> None:
    assert not at.receive(data(**fields))
    assert (posted_bodies(at.journal), at.rung) == ({}, 0)
    assert at.counted("new") == at.counted("not_understood") == 0


@pytest.mark.parametrize("spoiled", [b"\xff\xff\xff", data(wa_id=""), data(sender="")])
def test_what_is_not_understood_is_logged_and_ends_nothing(at: At, spoiled: bytes) -> None:
    with capture_logs() as lines:
        assert not at.receive(spoiled)
    assert [(line["log_level"], line["instance"]) for line in lines] == [("error", SHOP)]
    assert at.counted("not_understood") == 1
    assert at.receive(data())


def test_the_numbers_that_the_store_knows_are_used(at: At) -> None:
    pair(at.store)
    with closing(sqlite3.connect(at.store.file)) as sql, sql:
        sql.execute("UPDATE whatsmeow_lid_map SET pn = '5511977770007'")
    assert at.receive(data(chat=LID, sender=LID))
    (row,) = at.journal.inbox.pending(1, 10)
    assert (row.message.chat, row.message.sender_lid) == ("5511977770007@s.whatsapp.net", LID)


TIMED = made(extendedTextMessage={"text": "Oi", "contextInfo": {"expiration": 86_400}})
OFF = made(protocolMessage={"type": "EPHEMERAL_SETTING", "ephemeralExpiration": 0})


def seconds(at: At, chat: str = LID) -> int | None:
    timer = at.receiver.timer(SHOP, ME, Jid(chat))
    return None if timer is None else timer.expiration


def test_a_chat_s_timer_is_known_from_its_messages(at: At) -> None:
    assert seconds(at) is None
    assert at.receive(data(chat=LID, sender=LID, message=TIMED))
    assert seconds(at) == 86_400
    assert not at.receive(data(chat=LID, sender=LID, message=TIMED)), "it is known"
    assert not at.receive(data(chat=LID, sender=LID, message=OFF, timestamp=1_700_000_001_000)), "it is no message"
    assert seconds(at) == 0


def test_what_the_own_phone_sets_counts(at: At) -> None:
    setting = made(protocolMessage={"type": "EPHEMERAL_SETTING", "ephemeralExpiration": 86_400})
    assert not at.receive(data(chat=LID, sender=ME.jid, own=True, message=setting))
    assert (seconds(at), posted_bodies(at.journal)) == (86_400, {})
    assert at.receive(data(chat=LID, sender=ME.jid, own=True, message=TIMED))


def test_a_timer_that_the_disk_does_not_take_is_the_callers_to_wait_for(at: At) -> None:
    read_only(at.journal, True)
    with pytest.raises(JournalError):
        at.receive(data(chat=LID, sender=ME.jid, own=True, message=TIMED))
    read_only(at.journal, False)


def test_a_timer_that_is_not_understood_costs_no_message(at: At) -> None:
    own = event(chat="@lid", sender=ME.jid, own=True, message=OFF)
    with capture_logs() as lines:
        assert not at.receive(own.SerializePartialToString())
    assert [line["event"] for line in lines] == ["what a message says of its chat's timer was not understood"]
    assert at.counted("not_understood") == 0


def test_a_disk_that_takes_nothing_is_the_callers_to_wait_for(at: At) -> None:
    """WhatsApp believes that we have it: this must not be taken for a message that nobody asked for."""
    read_only(at.journal, True)
    with pytest.raises(JournalError):
        at.receive(data())
    assert (at.rung, at.counted("new")) == (0, 0)
    read_only(at.journal, False)
    assert at.receive(data())


def test_one_that_cannot_be_decrypted_is_counted(at: At) -> None:
    at.receiver.undecryptable()
    assert at.counted("undecryptable") == 1
