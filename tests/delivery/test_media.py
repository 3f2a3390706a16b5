"""Received files from WhatsApp's media host to the proxy's storage: whatever either of them does."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from tests.delivery.media_bed import MediaBed, open_media_bed
from tests.proxy_fixture import until
from tests.test_metrics import scrape
from wa_worker.delivery.keyed_queue import NothingAsked
from wa_worker.delivery.media import AT_ONCE
from wa_worker.delivery.media_endpoint import DOUBT
from wa_worker.delivery.media_refusals import QUICK, TRIES
from wa_worker.dev.proxy import Contract, Fault
from wa_worker.journal import FileStep
from wa_worker.messages import Wanted

DATA = random.Random(3).randbytes(400_000)


@pytest.fixture
async def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MediaBed]:
    async with open_media_bed(tmp_path, monkeypatch) as bed:
        bed.start()
        yield bed


@pytest.mark.parametrize("contract", [1, 2])
async def test_a_message_comes_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contract: Contract
) -> None:
    async with open_media_bed(tmp_path, monkeypatch, contract=contract) as at:
        at.start()
        ids = [at.receive(1, DATA[size:]) for size in (0, 1, 399_999, 400_000)]
        await until(lambda: all(at.has(wa_id) for wa_id in ids))
        assert [at.bytes_of(wa_id) for wa_id in ids] == [DATA, DATA[1:], DATA[-1:], b""]
        assert [wa_id for wa_id, _ in at.posted()] == ids
        await until(lambda: not at.left())
        assert scrape(at.fixture.metrics)["wa_worker_media_files_total{result=uploaded}"] == 4


async def test_a_file_that_a_former_owner_of_the_instance_has_got_meanwhile_goes_on(at: MediaBed) -> None:
    """It was there to be had when it was looked for. What that one has is on its own volume."""
    first = at.receive(1, DATA)
    await until(lambda: at.has(first) and not at.left())  # from now on nobody looks by itself
    wa_id = at.receive(1, DATA)
    (seq,) = at.journal.media.keys(FileStep.WANTED, 0, 9)
    at.journal.media.stored(seq)
    with pytest.raises(NothingAsked):
        await at.media._download(seq)
    await until(lambda: at.has(wa_id))
    assert at.bytes_of(wa_id) == DATA


async def test_a_chat_waits_for_a_file_and_others_do_not(at: MediaBed) -> None:
    slow = at.receive(1, DATA, delay=1.5)
    behind = at.receive(1, None)
    beside, picture = at.receive(2, None), at.receive(2, DATA[:10])
    await at.all_delivered()
    assert [wa_id for wa_id, _ in at.posted()] == [beside, picture, slow, behind]


async def test_a_message_goes_without_its_file_in_the_end_and_the_file_comes_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_media_bed(tmp_path, monkeypatch, patience=0.5) as at:
        at.start()
        began = trio.current_time()
        late, behind = at.receive(1, DATA, delay=2.0), at.receive(1, None)
        await until(lambda: at.has(late, error="pending"))
        assert trio.current_time() - began > 0.4
        await until(lambda: behind in dict(at.posted()))
        assert at.simulator.media.requested() == 1
        await until(lambda: at.has(late))
        assert at.bytes_of(late) == DATA
        assert at.of(late).get("error") is None
        await until(lambda: not at.left())


async def test_what_a_restart_finds_has_waited_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_media_bed(tmp_path, monkeypatch, patience=2.0) as at:
        wa_id = at.receive(1, DATA, delay=30.0)
        await trio.sleep(1.5)
        began = trio.current_time()
        at.start()
        await until(lambda: at.has(wa_id, error="pending"))
        assert trio.current_time() - began < 1.5


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ({"status": 403}, "expired"),
        ({"status": 404}, "expired"),
        ({"status": 410}, "expired"),
        ({"flip": 0}, "damaged"),
        ({"truncate": 0}, "damaged"),
        ({"length": 100}, "damaged"),
    ],
)
async def test_what_the_media_host_says_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: dict[str, Any], error: str
) -> None:
    async with open_media_bed(tmp_path, monkeypatch, spread=1.5) as at:
        at.start()
        wa_id, behind = at.receive(1, DATA, **behaviour), at.receive(1, None)
        await until(lambda: behind in dict(at.posted()))
        assert at.has(wa_id, error="pending"), "its message does not wait until that is believed"
        if error == "expired":
            served = at.receive(2, DATA)
            await until(lambda: at.has(served))
        await until(lambda: at.has(wa_id, error=error))
        assert at.simulator.media.requested() >= TRIES
        await until(lambda: not at.left())
        assert scrape(at.fixture.metrics)[f"wa_worker_media_files_total{{result={error}}}"] == 1


@pytest.mark.parametrize("behaviour", [{"status": 404}, {"flip": 7}])
async def test_a_file_that_the_media_host_has_again_comes_after_its_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: dict[str, Any]
) -> None:
    async with open_media_bed(tmp_path, monkeypatch, spread=6.0) as at:
        at.start()
        wa_id = at.receive(1, DATA, **behaviour)
        await until(lambda: at.has(wa_id, error="pending"))
        at.simulator.media.of.clear()
        await until(lambda: at.has(wa_id))
        assert at.bytes_of(wa_id) == DATA
        await until(lambda: not at.left())


@pytest.mark.parametrize(
    "behaviour",
    [
        {"status": 404},
        {"flip": 7},
        {"status": 500},
        {"status": 429},
        {"status": 302, "location": "https://evil.example/"},
        {"status": 400},
        {"length": 500_000},
        {"cut_at": 70_000},
    ],
)
async def test_what_may_pass_is_tried_again(at: MediaBed, behaviour: dict[str, Any]) -> None:
    speaks_of_the_file = behaviour in ({"status": 404}, {"flip": 7})
    wa_id = at.receive(1, DATA, **behaviour)
    with trio.fail_after(30):
        await at.simulator.media.wait_requested(2 if speaks_of_the_file else QUICK + 1)
    assert wa_id not in dict(at.posted())
    at.simulator.media.of.clear()
    await until(lambda: at.has(wa_id))
    assert at.bytes_of(wa_id) == DATA


async def test_a_media_host_that_is_away_is_asked_by_one_at_a_time(at: MediaBed) -> None:
    at.simulator.media.all.status = 503
    ids = [at.receive(chat, DATA[:1000]) for chat in range(30)]
    text = at.receive(99, None)
    await until(lambda: text in dict(at.posted()))
    await trio.sleep(3)
    assert at.simulator.media.requested() < 30 + 12
    at.simulator.media.all.status = None
    await until(lambda: all(at.has(wa_id) for wa_id in ids))


async def test_a_file_that_is_larger_than_its_sender_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_media_bed(tmp_path, monkeypatch, MEDIA_MAX_MB="1") as at:
        at.start()
        exactly = at.receive(1, bytes(2**20), declared=5)
        lies = at.receive(2, bytes(2**20 + 1), declared=5)
        says_so = at.receive(3, DATA, declared=2**20 + 1)
        much_larger = at.receive(4, bytes(6 * 2**20), declared=5)
        await until(lambda: at.has(lies, error="too_large") and at.has(says_so, error="too_large"))
        await until(lambda: at.has(much_larger, error="too_large"))
        assert at.bytes_of(exactly) == bytes(2**20)
        assert at.simulator.media.requested() == 1 + 2 * QUICK, "what says so is not asked for"
        taken = scrape(at.fixture.metrics)["wa_worker_media_bytes_total{step=downloaded}"]
        assert taken <= (1 + 2 * QUICK) * (2**20 + 100), "it is not read to its end"


async def test_files_are_bounded_in_number(at: MediaBed) -> None:
    at.simulator.media.all.delay = 0.5
    ids = [at.receive(chat, DATA[:100]) for chat in range(2 * AT_ONCE)]
    await until(lambda: all(at.has(wa_id) for wa_id in ids))
    assert at.simulator.media.most_active == AT_ONCE


async def test_files_are_bounded_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_media_bed(tmp_path, monkeypatch, MEDIA_MAX_MB="1", MEDIA_DISK_MB="3") as at:
        at.start()
        at.fixture.proxy.faults.set("storage", Fault(status=503))
        ids = [at.receive(chat, bytes([chat]) * 900_000) for chat in range(8)]
        await until(lambda: len(at.left()) == 3 and not any(name.endswith(".part") for name in at.left()))
        await trio.sleep(0.5)
        assert at.simulator.media.requested() == 3
        at.fixture.proxy.faults.clear()
        await until(lambda: all(at.has(wa_id) for wa_id in ids))
        await until(lambda: not at.left())


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=403),
        Fault(status=400, body=b"no"),
        Fault(status=413),
        Fault(status=200, body=b"<html>sign in</html>", content_type="text/html"),
        Fault(status=302, headers={"location": "http://127.0.0.1:1/"}),
        Fault(cut=True),
    ],
    ids=str,
)
@pytest.mark.parametrize("where", ["storage", "media-upload"])
async def test_no_word_of_the_proxy_or_its_storage_ends_a_file(at: MediaBed, fault: Fault, where: str) -> None:
    at.fixture.proxy.faults.set(where, fault)
    at.fixture.edge.evidence.accepted("media-upload", "another")  # it takes files
    wa_id = at.receive(1, DATA)
    await until(lambda: at.fixture.proxy.store.requests[where] >= QUICK + 1)
    assert not at.has(wa_id)
    at.fixture.proxy.faults.clear()
    await until(lambda: at.has(wa_id))
    assert at.bytes_of(wa_id) == DATA
    assert at.simulator.media.requested() == 1, "what is on the volume is not downloaded again"


async def test_a_file_that_is_there_already_is_there(at: MediaBed) -> None:
    at.fixture.proxy.faults.set("storage", Fault(after_apply=True, cut=True, times=1))
    wa_id = at.receive(1, DATA)
    await until(lambda: at.has(wa_id))
    assert at.bytes_of(wa_id) == DATA


@pytest.mark.parametrize("status", [404, 405, 501, 400])
async def test_a_proxy_that_takes_no_files(at: MediaBed, status: int) -> None:
    at.fixture.proxy.faults.set("media-upload", Fault(status=status))
    at.simulator.media.all.status = 503
    first = [at.receive(chat, DATA) for chat in range(2 * AT_ONCE)]
    await until(lambda: at.fixture.proxy.store.requests["media-upload"] == 1)
    await trio.sleep(2 * DOUBT)
    assert not any(map(at.has, first)), "not before the proxy has shown that it is the one that answers"
    assert at.fixture.proxy.store.requests["media-upload"] == 1
    await at.fixture.edge.disconnected_instances()
    with trio.fail_after(DOUBT + 3):  # whatever the media host does
        await until(lambda: all(at.has(each, error="no_upload") for each in first))
    others = [at.receive(chat, DATA) for chat in range(2, 9)]
    await until(lambda: all(at.has(each, error="no_upload") for each in others))
    assert at.fixture.proxy.store.requests["media-upload"] == 2
    assert at.simulator.media.requested() == 0, "nothing is downloaded for nobody"
    assert not at.left()


async def test_what_the_proxy_does_not_want_goes_to_no_storage(at: MediaBed) -> None:
    """Photos of the phone's owner, for one."""
    held = at.receive(1, DATA, own=True)
    await trio.sleep(0.5)
    assert at.simulator.media.requested() == 0, "it is not known yet whether they are wanted"
    at.fixture.edge.version.is_one()
    at.media.wakeup.ring()
    await at.all_delivered()
    wa_id = at.receive(1, DATA)
    await until(lambda: at.has(wa_id))
    await until(lambda: not at.journal.media.keys(FileStep.WANTED, 0, 9))
    assert held not in dict(at.posted())
    assert at.simulator.media.requested() == 1
    assert at.fixture.proxy.store.requests["storage"] == 1
    assert scrape(at.fixture.metrics).get("wa_worker_media_files_total{result=damaged}", 0) == 0


@pytest.mark.parametrize("step", ["wanted", "stored"])
async def test_the_file_of_what_turned_out_not_to_be_wanted_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async with open_media_bed(tmp_path, monkeypatch) as at:
        at.receive(1, DATA, own=True)
        if step == "stored":
            at.journal.media.stored(1)
            at.folder.mkdir()
            (at.folder / "1").write_bytes(DATA)
        at.fixture.edge.version.is_one()
        at.start()
        await until(lambda: not at.journal.media.keys(FileStep(step), 0, 9))
        await until(lambda: not at.left())
        assert at.fixture.proxy.store.requests["storage"] == at.fixture.proxy.store.requests["media-upload"] == 0


async def test_own_files_go_where_they_are_wanted(at: MediaBed) -> None:
    at.fixture.edge.wants._setting = frozenset({Wanted.FROM_ME})
    at.fixture.edge.version.is_one()
    wa_id = at.receive(1, DATA, own=True)
    await until(lambda: at.has(wa_id))
    assert at.bytes_of(wa_id) == DATA


async def test_no_chat_waits_for_files_once_they_are_turned_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_media_bed(tmp_path, monkeypatch, MEDIA_IN="off") as at:
        wa_id, behind = at.receive(1, DATA), at.receive(1, None)
        at.nursery.start_soon(at.inbound.run)
        await until(lambda: at.inbound._queue._waiting.keys)
        await at.media.turn_off()
        await until(lambda: at.has(wa_id, error="off"))
        await until(lambda: behind in dict(at.posted()))


async def test_files_that_are_given_up_leave_their_room_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_media_bed(tmp_path, monkeypatch, MEDIA_MAX_MB="1", MEDIA_DISK_MB="2", patience=0.5) as at:
        at.start()
        at.fixture.proxy.faults.set("storage", Fault(status=503))
        old = [at.receive(chat, DATA + bytes(500_000)) for chat in range(2)]
        await until(lambda: at.left() == ["1", "2"])
        await until(lambda: all(at.has(wa_id, error="pending") for wa_id in old))
        await at.media.tidy()
        assert at.left() == ["1", "2"], "they are on their way"
        new = at.receive(3, DATA)
        assert at.journal.media.give_up(0.0, limit=2) == 2
        await at.media.tidy()
        await until(lambda: "3" in at.left())
        assert at.left() == ["3"]
        at.fixture.proxy.faults.clear()
        await until(lambda: at.has(new))
        at.inbound.wakeup.ring()
        await until(lambda: all(at.has(wa_id, error="expired") for wa_id in old))


async def test_what_the_media_host_was_not_asked_says_nothing_of_it(at: MediaBed) -> None:
    at.simulator.media.all.status = 503
    for chat in range(8):
        at.receive(chat, DATA)
    await until(lambda: at.media._downloads.breaker.is_open)
    large = [at.receive(chat, DATA, declared=2**40) for chat in range(8, 12)]
    await until(lambda: all(at.has(wa_id, error="too_large") for wa_id in large))
    assert at.media._downloads.breaker.is_open
    assert at.media._downloads._last_success == 0.0


async def test_a_lie_about_a_size_binds_nobody(at: MediaBed) -> None:
    """The proxy may be asked before the file is downloaded: by the sender's word."""
    wa_id = at.receive(1, DATA, declared=5)
    await until(lambda: at.has(wa_id))
    assert at.bytes_of(wa_id) == DATA
    assert at.fixture.proxy.store.requests["media-upload"] == 2


async def test_a_proxy_that_takes_files_is_not_believed_so_soon_that_it_does_not(at: MediaBed) -> None:
    first = at.receive(1, DATA)
    await until(lambda: at.has(first))
    at.fixture.proxy.faults.set("media-upload", Fault(status=404))
    wa_id = at.receive(1, DATA)
    await until(lambda: at.fixture.proxy.store.requests["media-upload"] >= 3)
    await at.fixture.edge.disconnected_instances()
    await until(lambda: at.fixture.proxy.store.requests["media-upload"] >= 4)
    assert not at.has(wa_id, error="no_upload")
    at.fixture.proxy.faults.clear()
    await until(lambda: at.has(wa_id))


async def test_what_a_crash_has_left_is_deleted_and_what_is_whole_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_media_bed(tmp_path, monkeypatch) as at:
        whole, changed, lost = (at.receive(chat, DATA) for chat in (1, 2, 3))
        for seq in (1, 2, 3):
            at.journal.media.stored(seq)
        at.folder.mkdir()
        (at.folder / "1").write_bytes(DATA)
        (at.folder / "2").write_bytes(DATA[:-1] + b"x")
        for name in ("1.part", "77", "notes"):
            (at.folder / name).write_bytes(b"left")
        at.start()
        await until(lambda: all(at.has(wa_id) for wa_id in (whole, changed, lost)))
        assert [at.bytes_of(wa_id) for wa_id in (whole, changed, lost)] == [DATA] * 3
        assert at.simulator.media.requested() == 2
        await until(lambda: not at.left())


async def test_nothing_private_is_said(at: MediaBed) -> None:
    at.fixture.proxy.faults.set("storage", Fault(status=400, body=b"no room for W1 at /storage", times=2))
    with capture_logs() as lines:
        await until(lambda: at.has(at.receive(1, DATA, status=404), error="expired") or True)
        wa_id = at.receive(1, DATA)
        await until(lambda: at.has(wa_id))
    said = str(lines)
    assert "mmg" not in said
    assert "/v/t62" not in said
    assert "55119888" not in said
