"""The journal, method by method: each one transaction, each either done or not done at all."""

from __future__ import annotations

import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wa_worker.errors import JournalError, SessionNotOpen
from wa_worker.journal import Admission, InboxResult, Journal, SendState, Settled, Telling, open_journal
from wa_worker.journal.database import SCHEMA_VERSION
from wa_worker.journal.holds import FORGOTTEN
from wa_worker.journal.items import InboundItem, State
from wa_worker.journal.outbox import TELL_AGAIN, key_of
from wa_worker.journal.review import open_review
from wa_worker.models import Accepted, ChatType, InboundMessage, InstanceId, Jid, MessageId, QueuedMessage, WaMessageId
from wa_worker.outbox import Dispatch, Sender

SHOP, OTHER = InstanceId("shop"), InstanceId("other")
ANA, BIA = Jid("5511988880001@s.whatsapp.net"), Jid("5511988880002@s.whatsapp.net")
ME = Jid("5511999990001@s.whatsapp.net")
YEAR = 365 * 86_400.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "@worker" / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with open_journal(path) as opened:
        yield opened


def letter(wa_id: str, chat: Jid = ANA, body: str = "Oi") -> InboundMessage:
    return InboundMessage(WaMessageId(wa_id), chat, ChatType.DIRECT, ME, chat, None, None, body, "text", 1_700_000_000)


def posted_bodies(journal: Journal) -> dict[int, list[str]]:
    return {
        lane: [row.message.body for row in journal.inbox.pending(lane, 100)] for lane in journal.inbox.lanes(0, 100)
    }


def read_only(journal: Journal, on: bool) -> None:
    """As a disk that does not take a write, and takes it again."""
    with journal.database.reading() as sql:
        sql.execute(f"PRAGMA query_only={int(on)}")


# --- the file


def test_it_is_private_durable_and_waits_for_others(journal: Journal, path: Path) -> None:
    journal.inbox.record(SHOP, letter("1"))
    files = sorted(path.parent.iterdir())
    assert {file.name for file in files} >= {"journal.db", "journal.db-wal"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with journal.database.reading() as sql:
        assert sql.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert sql.execute("PRAGMA synchronous").fetchone() == (2,)


def test_it_opens_again_with_what_it_had(path: Path) -> None:
    for body in ("one", "two"):
        with open_journal(path) as journal:
            assert journal.inbox.record(SHOP, letter(body, body=body))
            assert not journal.inbox.record(SHOP, letter("one", body="again"))
    with open_journal(path) as journal:
        assert posted_bodies(journal) == {1: ["one", "two"]}


def test_a_newer_format_is_refused_and_left_alone(path: Path) -> None:
    with open_journal(path):
        pass
    with closing(sqlite3.connect(path)) as sql:
        sql.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    with pytest.raises(JournalError, match="newer wa-worker"), open_journal(path):
        pass
    with closing(sqlite3.connect(path)) as sql:
        assert sql.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION + 1,)


def test_what_is_no_journal_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to look like one" * 100)
    with pytest.raises(JournalError, match=r"journal\.db"), open_journal(path):
        pass
    path.unlink()
    path.mkdir()
    with pytest.raises(JournalError, match="cannot open"), open_journal(path):
        pass


def test_a_closed_journal_says_so(path: Path) -> None:
    with open_journal(path) as journal:
        pass
    with pytest.raises(JournalError):
        journal.inbox.record(SHOP, letter("1"))


def test_many_threads(journal: Journal) -> None:
    def record(chat: Jid) -> None:
        for n in range(30):
            assert journal.inbox.record(SHOP, letter(str(n), chat, body=str(n)))

    threads = [threading.Thread(target=record, args=(chat,)) for chat in (ANA, BIA)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(posted_bodies(journal).values()) == [[str(n) for n in range(30)]] * 2


def test_a_full_disk(journal: Journal) -> None:
    assert journal.inbox.record(SHOP, letter("before"))
    with journal.database.reading() as sql:
        pages = sql.execute("PRAGMA page_count").fetchone()[0]
        sql.execute(f"PRAGMA max_page_count={pages + 1}")
    with pytest.raises(JournalError, match="full"):
        journal.inbox.record(SHOP, letter("big", body="x" * 100_000))
    with pytest.raises(JournalError, match="full"):
        journal.outbox.admit(SHOP, {"x" * 100_000: ANA}, listed_at=time.time())
    assert posted_bodies(journal) == {1: ["Oi"]}, "reading goes on"
    assert journal.outbox.to_tell(0, 10) == []
    with journal.database.reading() as sql:
        sql.execute("PRAGMA max_page_count=1000000")
    assert journal.inbox.record(SHOP, letter("big", body="x" * 100_000)), "nothing of it had happened"
    assert journal.inbox.record(SHOP, letter("after"))
    assert [len(bodies) for bodies in posted_bodies(journal).values()] == [3]


def test_what_is_broken_off_leaves_nothing(journal: Journal) -> None:
    journal.inbox.record(SHOP, letter("1"))
    (row,) = journal.inbox.pending(1, 10)

    def results() -> Iterator[InboxResult]:
        yield InboxResult(row.seq)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        journal.inbox.settle(results())
    assert posted_bodies(journal) == {1: ["Oi"]}
    assert journal.inbox.record(SHOP, letter("2")), "and no transaction open"


# --- the inbox


def test_known_messages_are_known_by_instance_chat_and_id(journal: Journal) -> None:
    assert journal.inbox.record(SHOP, letter("1", ANA))
    assert not journal.inbox.record(SHOP, letter("1", ANA, body="edited"))
    assert journal.inbox.record(SHOP, letter("1", BIA))
    assert journal.inbox.record(OTHER, letter("1", ANA))
    (row,) = journal.inbox.pending(1, 10)
    journal.inbox.settle([InboxResult(row.seq)])
    assert not journal.inbox.record(SHOP, letter("1", ANA)), "posted ones too"


def test_lanes_are_scanned_from_where_one_left_off(journal: Journal) -> None:
    for n in range(5):
        chat = Jid(f"551198888000{n}@s.whatsapp.net")
        for m in range(3):
            journal.inbox.record(SHOP, letter(f"{m}", chat))
    lanes = journal.inbox.lanes
    assert lanes(0, 100) == [1, 2, 3, 4, 5]
    assert (lanes(0, 2), lanes(2, 2), lanes(4, 2), lanes(5, 2)) == ([1, 2], [3, 4], [5], [])
    journal.inbox.settle([InboxResult(row.seq) for row in journal.inbox.pending(3, 10)])
    assert lanes(0, 100) == [1, 2, 4, 5]
    assert journal.inbox.pending(3, 10) == []
    assert [row.message.wa_id for row in journal.inbox.pending(4, 2)] == ["0", "1"]


def test_settling(journal: Journal) -> None:
    for n in range(3):
        journal.inbox.record(SHOP, letter(str(n)))
    first, second, third = (row.seq for row in journal.inbox.pending(1, 10))
    journal.inbox.settle([InboxResult(first), InboxResult(second, "400", dead=True), InboxResult(third, "400")])
    (left,) = journal.inbox.pending(1, 10)
    assert (left.seq, left.rejections, left.instance, left.chat) == (third, 1, SHOP, 1)
    with journal.database.reading() as sql:
        rows = sql.execute("SELECT state, message IS NULL, rejections, error FROM inbox ORDER BY seq").fetchall()
    assert rows == [("posted", 1, 0, None), ("dead", 0, 1, "400"), ("pending", 0, 1, "400")]


def test_purging_the_inbox_forgets_only_what_was_posted_long_ago(journal: Journal) -> None:
    for n in range(4):
        journal.inbox.record(SHOP, letter(str(n)))
    rows = journal.inbox.pending(1, 10)
    journal.inbox.settle([*(InboxResult(row.seq) for row in rows[:2]), InboxResult(rows[2].seq, "400", dead=True)])
    assert journal.inbox.purge(3600) == 0
    assert (journal.inbox.purge(-1, limit=1), journal.inbox.purge(-1), journal.inbox.purge(-1)) == (1, 1, 0)
    assert posted_bodies(journal) == {1: ["Oi"]}
    assert journal.inbox.record(SHOP, letter("0"))
    assert not journal.inbox.record(SHOP, letter("2")), "the dead one is still there, for a person"


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"wa_id": "2"}', None, "[" * 100_000])
def test_a_row_that_cannot_be_read_is_set_aside_and_holds_up_nothing(journal: Journal, content: str | None) -> None:
    """A disk's error, or a format of another version: it would end the worker, at each of its starts."""
    for n in range(3):
        journal.inbox.record(SHOP, letter(str(n), body=str(n)))
    with journal.database.transaction() as sql:
        sql.execute("UPDATE inbox SET message = ? WHERE wa_id = '1'", (content,))
    assert posted_bodies(journal) == {1: ["0", "2"]}
    with journal.database.reading() as sql:
        rows = sql.execute("SELECT state, error FROM inbox WHERE state <> 'pending'").fetchall()
    assert [state for state, _ in rows] == ["dead"]
    assert rows[0][1].startswith("it cannot be read")
    with open_review(journal.database.path) as review:
        (item,) = review.items([State.DEAD], None, 9)
    assert isinstance(item, InboundItem)
    assert (item.wa_id, item.message) == ("1", None), "and a person is shown what is left of it"


LETTERS = st.builds(
    InboundMessage,
    wa_id=st.text(st.characters(codec="utf-8"), min_size=1).map(WaMessageId),
    chat=st.just(ANA),
    chat_type=st.sampled_from(ChatType),
    to=st.just(ME),
    sender=st.just(ANA),
    sender_lid=st.none() | st.just(Jid("98765432109876@lid")),
    push_name=st.none() | st.text(st.characters(codec="utf-8")),
    body=st.text(st.characters(codec="utf-8")),
    message_type=st.sampled_from(["text", "other"]),
    timestamp=st.integers(0, 10**12),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(LETTERS, max_size=10, unique_by=lambda message: message.wa_id))
def test_messages_come_out_as_they_went_in(messages: list[InboundMessage]) -> None:
    with TemporaryDirectory() as folder, open_journal(Path(folder) / "journal.db") as journal:
        assert all(journal.inbox.record(SHOP, message) for message in messages)
        assert [row.message for row in journal.inbox.pending(1, 10)] == messages


# --- the outbox


def admit(journal: Journal, *ids: MessageId, chat: Jid | None = ANA, at: float | None = None) -> Admission:
    return journal.outbox.admit(SHOP, dict.fromkeys(ids, chat), listed_at=time.time() if at is None else at)


def states(journal: Journal) -> dict[str, str]:
    with journal.database.reading() as sql:
        return dict(sql.execute("SELECT message_id, state FROM outbox ORDER BY seq").fetchall())


def send(journal: Journal, message_id: MessageId, state: SendState, **fields: object) -> None:
    journal.outbox.step(SHOP, [], message_id)
    journal.outbox.step(SHOP, [Settled(message_id, state, **fields)], None)  # type: ignore[arg-type]  # a test's shorthand


def test_a_message_from_listing_to_mark(journal: Journal) -> None:
    outbox = journal.outbox
    assert admit(journal, 7) == Admission((7,), {7: 0}, 0, 0)
    assert states(journal) == {"7": "waiting"}
    outbox.step(SHOP, [], 7)
    assert states(journal) == {"7": "intent"}
    assert admit(journal, 7).due == ()
    assert not outbox.has_untold(SHOP)
    outbox.step(SHOP, [Settled(7, SendState.SENT, WaMessageId("3EB0"))], None)
    assert states(journal) == {"7": "sent"}
    assert admit(journal, 7) == Admission((), {}, 0, 0)
    assert outbox.has_untold(SHOP)
    assert not outbox.has_untold(OTHER)
    (telling,) = outbox.to_tell(0, 10)
    assert telling == Telling(telling.seq, SHOP, 7, WaMessageId("3EB0"), None)
    outbox.told([telling.seq])
    assert states(journal) == {"7": "marked"}
    assert outbox.to_tell(0, 10) == []
    assert not outbox.has_untold(SHOP)


def test_a_mark_that_the_proxy_lost_is_told_again_and_nothing_sent(journal: Journal) -> None:
    before = time.time() - 10
    admit(journal, 7)
    send(journal, 7, SendState.SENT, wa_id=WaMessageId("3EB0"))
    journal.outbox.told([1])
    assert admit(journal, 7, at=before) == Admission((), {}, 0, 0), "listed before the mark: nothing is lost"
    assert admit(journal, 7, at=time.time() + 1) == Admission((), {}, 1, 0)
    assert [(t.message_id, t.wa_id) for t in journal.outbox.to_tell(0, 10)] == [(7, "3EB0")]


def test_a_failure_is_told_once_and_again_only_after_a_while(journal: Journal) -> None:
    admit(journal, 7)
    send(journal, 7, SendState.FAILED, error="not on WhatsApp")
    (telling,) = journal.outbox.to_tell(0, 10)
    assert (telling.wa_id, telling.error) == (None, "not on WhatsApp")
    journal.outbox.told([telling.seq])
    assert journal.outbox.to_tell(0, 10) == []
    assert admit(journal, 7, at=time.time() + TELL_AGAIN / 2) == Admission((), {}, 0, 0)
    assert admit(journal, 7, at=time.time() + TELL_AGAIN + 1) == Admission((), {}, 1, 0)
    assert states(journal) == {"7": "failed"}
    assert [t.error for t in journal.outbox.to_tell(0, 10)] == ["not on WhatsApp"]


def test_a_number_and_its_text_are_two_messages(journal: Journal) -> None:
    batch: dict[MessageId, Jid | None] = {7: ANA, "7": ANA, "ação": ANA, 10**30: ANA}
    assert journal.outbox.admit(SHOP, batch, listed_at=0).due == (7, "7", "ação", 10**30)
    send(journal, "7", SendState.SENT, wa_id=WaMessageId("W"))
    assert [key_of(7), key_of("7")] == ["7", '"7"']
    assert journal.outbox.admit(SHOP, batch, listed_at=0).due == (7, "ação", 10**30)
    assert [t.message_id for t in journal.outbox.to_tell(0, 10)] == ["7"]
    assert journal.outbox.admit(OTHER, {"7": ANA}, listed_at=0).due == ("7",), "another instance's"


def test_behind_one_that_pauses_its_chat_waits(journal: Journal) -> None:
    batch: dict[MessageId, Jid | None] = {1: ANA, 2: BIA, 3: ANA, 4: None}
    journal.outbox.admit(SHOP, batch, listed_at=0)
    send(journal, 1, SendState.WAITING, error="later", pause=3600.0)
    again = journal.outbox.admit(SHOP, batch, listed_at=0)
    assert again.due == (2, 4)
    send(journal, 1, SendState.WAITING, error="later", pause=0.0)
    assert journal.outbox.admit(SHOP, batch, listed_at=0).attempts == {1: 2, 2: 0, 3: 0, 4: 0}


def test_the_outcome_and_the_next_intent_are_one_commit(journal: Journal) -> None:
    admit(journal, 1, 2)
    journal.outbox.step(SHOP, [], 1)
    journal.outbox.step(SHOP, [Settled(1, SendState.SENT, WaMessageId("A"))], 2)
    assert states(journal) == {"1": "sent", "2": "intent"}
    read_only(journal, True)
    with pytest.raises(JournalError):
        journal.outbox.step(SHOP, [Settled(2, SendState.SENT, WaMessageId("B"))], None)
    read_only(journal, False)
    assert states(journal) == {"1": "sent", "2": "intent"}


def test_an_intent_taken_back_was_no_try(journal: Journal) -> None:
    admit(journal, 1)
    journal.outbox.step(SHOP, [], 1)
    journal.outbox.step(SHOP, [], 1, undo=True)
    assert admit(journal, 1) == Admission((1,), {1: 0}, 0, 0)


def test_behind_one_that_an_earlier_session_still_sends_its_chat_waits(journal: Journal) -> None:
    admit(journal, 1, 2)
    journal.outbox.step(SHOP, [], 1)
    assert admit(journal, 1, 2).due == ()
    send(journal, 1, SendState.SENT, wa_id=WaMessageId("A"))
    assert admit(journal, 1, 2).due == (2,)


def test_a_message_that_kills_the_process_is_held_in_the_end(path: Path) -> None:
    deaths = 0
    while True:
        with open_journal(path) as journal:
            journal.outbox.recover(resend=True, tries=3)
            if not admit(journal, 1).due:
                break
            journal.outbox.step(SHOP, [], 1)
            deaths += 1
    assert deaths == 3
    with open_journal(path) as journal:
        assert states(journal) == {"1": "uncertain"}


@attrs.frozen
class Recovery:
    resend: bool
    state: str
    due: tuple[int, ...]
    held: int


@pytest.mark.parametrize(
    "case", [Recovery(True, "waiting", (1, 2), 0), Recovery(False, "uncertain", (2,), 1)], ids=["resend", "hold"]
)
def test_after_a_crash_an_intent_is_in_doubt(path: Path, case: Recovery) -> None:
    with open_journal(path) as journal:
        admit(journal, 1, 2, 3)
        journal.outbox.step(SHOP, [], 1)
        send(journal, 3, SendState.SENT, wa_id=WaMessageId("C"))
    with open_journal(path) as journal:
        assert journal.outbox.recover(resend=case.resend, tries=8) == 1
        assert journal.outbox.recover(resend=case.resend, tries=8) == 0
        assert states(journal) == {"1": case.state, "2": "waiting", "3": "sent"}
        admission = admit(journal, 1, 2, 3)
        assert (admission.due, admission.held) == (case.due, case.held)
        with journal.database.reading() as sql:
            assert sql.execute("SELECT doubts, error FROM outbox WHERE message_id = '1'").fetchone() == (
                1,
                "the worker stopped while it was being sent",
            )


def test_purging_the_outbox_keeps_what_is_not_settled(journal: Journal) -> None:
    ids = ("waiting", "intent", "sent", "marked", "failed", "told", "uncertain")
    admit(journal, *ids)
    journal.outbox.step(SHOP, [], "intent")
    for name in ("sent", "marked"):
        send(journal, name, SendState.SENT, wa_id=WaMessageId(name))
    for name in ("failed", "told"):
        send(journal, name, SendState.FAILED, error="no")
    send(journal, "uncertain", SendState.UNCERTAIN, error="?", doubt=True)
    journal.outbox.told([t.seq for t in journal.outbox.to_tell(0, 10) if t.message_id in ("marked", "told")])
    assert journal.outbox.purge(YEAR) == 0
    assert (journal.outbox.purge(-1, limit=1), journal.outbox.purge(-1), journal.outbox.purge(-1)) == (1, 2, 0)
    gone = ("waiting", "marked", "told")  # one that still waits after so long is one the proxy no longer lists
    assert set(states(journal)) == {f'"{name}"' for name in ids if name not in gone}


def test_tellings_are_paged(journal: Journal) -> None:
    admit(journal, *range(5))
    for n in range(5):
        send(journal, n, SendState.SENT, wa_id=WaMessageId(str(n)))
    seqs = [t.seq for t in journal.outbox.to_tell(0, 2)]
    assert seqs == [1, 2]
    assert [t.message_id for t in journal.outbox.to_tell(2, 10)] == [2, 3, 4]


# --- a batch, when the disk fails in the middle of it


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
    return Dispatch(SHOP, queued, [], time.time(), journal.outbox, sender, True, lambda: None)


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
        self.journal.outbox.purge(-1)
        return Accepted(WaMessageId("W"), 0)


def test_what_is_forgotten_in_the_middle_of_its_batch_is_sent_once_all_the_same(journal: Journal) -> None:
    """Rows that waited for a week, say while the account was banned, go out just when upkeep comes round."""
    upkeep = Upkeep(journal)
    queued = [QueuedMessage(n, ANA, str(n)) for n in range(3)]
    for _poll in range(2):
        Dispatch(SHOP, queued, [], time.time(), journal.outbox, upkeep, True, lambda: None).run()
    assert upkeep.copies == ["0", "1", "2"]
    assert set(states(journal).values()) == {"sent"}


# --- the clock is set back


def set_back(journal: Journal, seconds: float) -> None:
    """What is in the ledger looks as if it had been written that much later."""
    with journal.database.transaction() as sql:
        sql.execute("UPDATE outbox SET changed_at = changed_at + ?, not_before = not_before + ?", (seconds, seconds))


def test_a_pause_is_not_prolonged_by_a_clock_that_is_set_back(journal: Journal) -> None:
    admit(journal, 1)
    send(journal, 1, SendState.WAITING, error="later", pause=10.0)
    assert admit(journal, 1).due == ()
    set_back(journal, YEAR)
    assert admit(journal, 1).due == (1,)


def test_a_lost_mark_is_noticed_though_the_clock_was_set_back(journal: Journal) -> None:
    admit(journal, 1)
    send(journal, 1, SendState.SENT, wa_id=WaMessageId("A"))
    journal.outbox.told([1])
    set_back(journal, YEAR)
    assert admit(journal, 1) == Admission((), {}, 1, 0)
    journal.outbox.told([1])
    assert admit(journal, 1, at=time.time() - 1) == Admission((), {}, 0, 0), "but once"


# --- holds


def test_holds_are_remembered_and_counted_by_reason(path: Path) -> None:
    with open_journal(path) as journal:
        holds = journal.holds
        assert holds.get(SHOP) is None
        assert holds.times(SHOP, "REPLACED") == 0
        now = time.time()
        holds.put(SHOP, "REPLACED", 180)
        holds.put(SHOP, "REPLACED", 360)
        hold = holds.get(SHOP)
        assert hold is not None
        assert (hold.reason, hold.count) == ("REPLACED", 2)
        assert now + 360 <= hold.until <= time.time() + 360
        assert holds.times(SHOP, "BANNED") == holds.times(OTHER, "REPLACED") == 0
        holds.put(OTHER, "REPLACED", 60)
    with open_journal(path) as journal:
        holds = journal.holds
        assert holds.times(SHOP, "REPLACED") == 2, "over a restart"
        holds.put(SHOP, "REPLACED", 60, anew=True)
        assert holds.times(SHOP, "REPLACED") == 1
        holds.put(SHOP, "BANNED", 60)
        assert (holds.times(SHOP, "BANNED"), holds.times(SHOP, "REPLACED")) == (1, 0)
        holds.put(SHOP, "BANNED", -FORGOTTEN - 1)
        assert holds.times(SHOP, "BANNED") == 0, "a day after its end nobody remembers"
        assert holds.times(OTHER, "REPLACED") == 1


class Strange:
    """A session whose library does what nobody expected."""

    def send(self, to: Jid, text: str) -> Accepted:
        raise RuntimeError("surprise")


def test_a_surprise_in_a_send_is_a_doubt_and_not_the_end(journal: Journal) -> None:
    dispatch(journal, Strange()).run()
    with journal.database.reading() as sql:
        assert sql.execute("SELECT state, doubts, error FROM outbox").fetchall() == [("waiting", 1, "surprise")]
