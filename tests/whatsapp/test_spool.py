"""What came from WhatsApp and the journal does not take now: kept on the volume, in order, over a crash too."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.journal.rows import SHOP
from wa_worker.errors import JournalError
from wa_worker.models import InstanceId, Jid
from wa_worker.postgres.patience import seconds_left
from wa_worker.whatsapp import spool as spool_module
from wa_worker.whatsapp.spool import PATIENCE, Kept, Spool, Spooled

PUB = InstanceId("pub")
ME, LID = Jid("5511999990001@s.whatsapp.net"), Jid("123@lid")


def an_event(data: bytes = b"one", instance: InstanceId = SHOP, lid: Jid | None = LID) -> Spooled:
    return Spooled(instance, ME, lid, 17, data)


def refused() -> bool:
    raise JournalError("PostgreSQL is away")


def noted(committed: list[bytes], data: bytes) -> bool:
    committed.append(data)
    return True


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / "spool")
    assert spool.load() == 0
    return spool


def kept(spool: Spool, instance: InstanceId = SHOP) -> list[bytes]:
    events = [spool.read(path) for path in spool.waiting().get(instance, [])]
    return [event.data for event in events if event is not None]


def test_what_the_journal_takes_touches_no_disk(spool: Spool, tmp_path: Path) -> None:
    assert spool.take(an_event(), lambda: True) is True
    assert spool.take(an_event(), lambda: False) is False
    assert not spool.holds(SHOP)
    assert list(tmp_path.iterdir()) == [], "not even a folder, on a single box"


def test_what_it_does_not_take_is_there_for_the_next_process(spool: Spool, tmp_path: Path) -> None:
    rung: list[bool] = []
    spool.on_kept = lambda: rung.append(spool.holds(SHOP))
    with pytest.raises(Kept, match="PostgreSQL is away"):
        spool.take(an_event(lid=None), refused)
    assert rung == [True]
    (file,) = (tmp_path / "spool").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    later = Spool(tmp_path / "spool")
    assert later.load() == 1
    (path,) = later.waiting()[SHOP]
    assert later.read(path) == an_event(lid=None)
    later.drop(path)
    assert not later.holds(SHOP)
    assert Spool(tmp_path / "spool").load() == 0


def test_what_comes_behind_it_waits_behind_it_and_others_do_not(spool: Spool) -> None:
    committed: list[bytes] = []
    with pytest.raises(Kept):
        spool.take(an_event(b"one"), refused)
    with pytest.raises(Kept):
        spool.take(an_event(b"two"), partial(noted, committed, b"two"))
    assert spool.take(an_event(b"three", PUB), partial(noted, committed, b"three")) is True
    assert committed == [b"three"]
    assert kept(spool) == [b"one", b"two"]
    for path in spool.waiting()[SHOP]:
        spool.drop(path)
    assert spool.take(an_event(b"four"), lambda: True) is True


def test_the_order_goes_on_after_a_restart(spool: Spool, tmp_path: Path) -> None:
    for n in range(12):
        spool.keep(an_event(str(n).encode()))
    later = Spool(tmp_path / "spool")
    assert later.load() == 12
    later.keep(an_event(b"12"))
    assert kept(later) == [str(n).encode() for n in range(13)]


def test_where_neither_disk_takes_it_the_library_is_told_to_wait(spool: Spool, tmp_path: Path) -> None:
    in_the_way = tmp_path / "spool" / "000000000001.json"
    in_the_way.mkdir(parents=True)
    with capture_logs() as lines:
        for _ in range(3):
            with pytest.raises(JournalError):
                spool.take(an_event(), refused)
    assert not spool.holds(SHOP)
    assert [line["reason"] for line in lines] == ["Is a directory"], "said once"
    assert list((tmp_path / "spool").iterdir()) == [in_the_way], "no half of a file stays"
    in_the_way.rmdir()
    with pytest.raises(Kept):
        spool.take(an_event(), refused)
    assert kept(spool) == [b"one"]


def test_what_cannot_wait_behind_what_is_kept_does_not_overtake_it(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "MOST", 1)
    spool.keep(an_event())
    committed: list[bytes] = []
    with pytest.raises(JournalError, match="what came before it"):
        spool.take(an_event(b"two"), partial(noted, committed, b"two"))
    assert committed == []


def test_a_commit_is_not_waited_for_for_long(spool: Spool) -> None:
    left: list[float | None] = []

    def commit() -> bool:
        left.append(seconds_left())
        return True

    assert spool.take(an_event(), commit)
    assert left[0] is not None
    assert PATIENCE - 1 < left[0] <= PATIENCE
    assert seconds_left() is None, "what else this thread does may take its time"


def test_there_is_an_end_to_it(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "MOST", 3)
    for _ in range(3):
        assert spool.keep(an_event())
    assert not spool.keep(an_event(instance=PUB))
    with pytest.raises(JournalError):
        spool.take(an_event(instance=PUB), refused)
    assert spool.take(an_event(instance=PUB), lambda: True) is True


UNREADABLE = [
    b"",
    b"\xff\xfe\x00",
    b"[]",
    b"{}",
    b'{"instance": "shop"',
    b'{"instance": "../x", "jid": "a", "lid": null, "code": 1, "data": ""}',
]


@pytest.mark.parametrize("said", UNREADABLE)
def test_what_cannot_be_understood_is_set_aside_and_holds_nothing_up(tmp_path: Path, said: bytes) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "000000000007.json").write_bytes(said)
    (folder / "000000000008.json.tmp").write_text("of a process that was killed")
    assert Spool(folder).load() == 0
    assert [path.name for path in folder.iterdir()] == ["000000000007.unreadable"]
    spool = Spool(folder)
    assert spool.load() == 0
    spool.keep(an_event())
    assert kept(spool) == [b"one"]
    assert {path.name for path in folder.iterdir()} == {"000000000007.unreadable", "000000000008.json"}


def test_what_may_not_be_read_stays_and_the_worker_starts(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    (folder / "000000000007.json").mkdir(parents=True)  # root may read every file
    with capture_logs() as lines:
        assert Spool(folder).load() == 0
    assert [line["log_level"] for line in lines] == ["error"]
    assert (folder / "000000000007.json").exists()


def test_what_somebody_has_deleted_holds_nothing_up(spool: Spool) -> None:
    spool.keep(an_event(b"one"))
    spool.keep(an_event(b"two"))
    (first, _) = spool.waiting()[SHOP]
    first.unlink()
    assert kept(spool) == [b"two"]
    assert len(spool.waiting()[SHOP]) == spool.count() == 1


def test_what_is_being_committed_when_the_process_ends_is_kept(spool: Spool) -> None:
    """A commit may hang for longer than the lease lasts. Should it be done all the same, it is recognised."""
    begun, goes_on = threading.Event(), threading.Event()

    def commit() -> bool:
        begun.set()
        return goes_on.wait(10)

    thread = threading.Thread(target=spool.take, args=(an_event(), commit))
    thread.start()
    assert begun.wait(10)
    spool.keep_in_hand()
    assert kept(spool) == [b"one"]
    goes_on.set()
    thread.join()
    spool.keep_in_hand()
    assert kept(spool) == [b"one"]
