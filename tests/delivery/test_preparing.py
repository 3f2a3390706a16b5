"""What takes time before a send: it happens aside, bounded, and nothing of it is ever uncertain."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.delivery.sessions import Steady, preparing, words
from tests.delivery.test_sending import Sending, open_sending
from tests.journal.rows import ANA, BIA, states
from tests.link_host import LinkHost, open_link_host
from tests.media_files import picture
from tests.proxy_fixture import SHOP, until
from wa_worker.delivery.preparing import AT_ONCE_EACH, FILES_EACH
from wa_worker.errors import Failure, SendDelayed, SessionNotOpen, WorkerTrouble
from wa_worker.messages import (
    Accepted,
    MediaKind,
    OutgoingMedia,
    OutgoingMessage,
    QueuedMessage,
    Text,
    UploadedFile,
    UploadedMedia,
)
from wa_worker.models import InstanceId, Jid, WaMessageId

UPLOADED = UploadedFile("https://x", "/x", b"k", b"s", b"e", 9)


@attrs.define
class Uploading(Steady):
    """A session that takes files, `errors` first, and accepts what is sent."""

    errors: list[Exception] = attrs.Factory(list)
    send_errors: list[Exception] = attrs.Factory(list)
    files: list[bytes] = attrs.Factory(list)
    sent: list[OutgoingMessage] = attrs.Factory(list)
    typing: list[str] = attrs.Factory(list)

    async def upload(self, kind: MediaKind, file: Path) -> UploadedFile:
        self.files.append(await trio.Path(file).read_bytes())
        await trio.lowlevel.checkpoint()
        if self.errors:
            raise self.errors.pop(0)
        return UPLOADED

    def show_typing(self, to: Jid, *, recording: bool = False, over: bool = False) -> None:
        self.typing.append("over" if over else "recording" if recording else "writing")

    def send(self, message: OutgoingMessage) -> Accepted:
        if self.send_errors:
            raise self.send_errors.pop(0)
        self.sent.append(message)
        return Accepted(WaMessageId(f"W{len(self.sent)}"), 0)


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Sending]:
    async with open_sending(tmp_path) as opened:
        yield opened


@pytest.fixture
async def host() -> AsyncIterator[LinkHost]:
    async with open_link_host() as opened:
        yield opened


def queue(at: Sending, link: str, to: str = ANA, **more: Any) -> None:
    at.fixture.proxy.store.queue_row(SHOP, to, type="image", media={"link": link}, **more)


def statuses(at: Sending) -> list[str]:
    return [row.status for row in at.fixture.proxy.store.messages(SHOP)]


async def test_a_file_is_fetched_uploaded_sent_and_removed(at: Sending, host: LinkHost, tmp_path: Path) -> None:
    session = Uploading()
    queue(at, host.serve("/a", data := picture()))
    at.nursery.start_soon(at.run, session)
    await until(lambda: statuses(at) == ["sent"])
    assert session.files == [data]
    (message,) = session.sent
    assert isinstance(message.content, UploadedMedia)
    assert (message.content.file, message.content.facts.width) == (UPLOADED, 640)
    assert not [*(tmp_path / "out").iterdir()]
    assert host.asked["/a"] == 1


async def test_its_chat_waits_and_others_do_not(at: Sending, host: LinkHost) -> None:
    session = Uploading()
    queue(at, host.serve("/a", picture(), stall_at=10))
    at.fixture.proxy.store.queue_many(SHOP, [(ANA, "behind"), (BIA, "elsewhere")])
    at.nursery.start_soon(at.run, session)
    await until(lambda: statuses(at) == ["queued", "queued", "sent"])
    assert words(session.sent[0]) == "elsewhere"
    await until(lambda: states(at.journal) == {"1": "waiting", "2": "waiting", "3": "marked"})


async def test_files_of_a_chat_are_fetched_together_and_sent_in_order(at: Sending, host: LinkHost) -> None:
    session = Uploading()
    for name in ("/slow", "/b", "/c"):
        queue(at, host.serve(name, picture(), rate=30_000.0 if name == "/slow" else None))
    at.nursery.start_soon(at.run, session, trio.lowlevel.checkpoint, 0.02)
    await until(lambda: host.asked["/c"])
    assert not session.sent
    await until(lambda: statuses(at) == ["sent"] * 3)
    links = [message.content.media.link for message in session.sent if isinstance(message.content, UploadedMedia)]
    assert [link.rpartition("/")[2] for link in links] == ["slow", "b", "c"]


async def test_an_upload_that_fails_is_a_try_and_never_uncertain(at: Sending, host: LinkHost) -> None:
    session = Uploading(errors=[SendDelayed("500", pause=0.0)])
    queue(at, host.serve("/a", picture()))
    at.nursery.start_soon(at.run, session)
    await until(lambda: statuses(at) == ["sent"])
    assert len(session.files) == 2
    with at.journal.database.reading() as sql:
        assert tuple(sql.execute("SELECT attempts, doubts FROM ledger").fetchone()) == (2, 0)


async def test_one_that_never_succeeds_is_given_up_with_its_reason(at: Sending, host: LinkHost) -> None:
    session = Uploading(errors=[SendDelayed("x", pause=0.0, failure=Failure.NO_FILE)] * 99)
    queue(at, host.serve("/a", picture()))
    at.nursery.start_soon(at.run, session)
    await until(lambda: statuses(at) == ["failed"])
    assert at.fixture.proxy.store.messages(SHOP)[0].error == Failure.NO_FILE.value
    assert len(session.files) == 8


async def test_without_a_session_nothing_is_counted(at: Sending, host: LinkHost) -> None:
    session = Uploading(errors=[SessionNotOpen("closed", pause=0.0)] * 9)
    queue(at, host.serve("/a", picture()))
    at.nursery.start_soon(at.run, session)
    await until(lambda: statuses(at) == ["sent"])
    with at.journal.database.reading() as sql:
        assert tuple(sql.execute("SELECT attempts FROM ledger").fetchone()) == (1,)


async def test_an_error_that_nobody_expected_is_the_row_s(at: Sending, host: LinkHost) -> None:
    session = Uploading(errors=[ZeroDivisionError()])
    queue(at, host.serve("/a", picture()))
    at.fixture.proxy.store.queue(SHOP, BIA, "elsewhere")
    at.nursery.start_soon(at.run, session)
    await until(lambda: statuses(at)[1] == "sent" and "ZeroDivisionError" in str(errors(at)))
    assert statuses(at) == ["queued", "sent"]


def errors(at: Sending) -> list[tuple[Any, ...]]:
    with at.journal.database.reading() as sql:
        return sql.execute("SELECT error FROM ledger").fetchall()


async def test_what_is_uploaded_is_not_uploaded_again_for_the_next_try(at: Sending, host: LinkHost) -> None:
    session = Uploading(send_errors=[SendDelayed("429", pause=0.0)])
    queue(at, host.serve("/a", picture()), typing_ms=10)
    at.nursery.start_soon(at.run, session)
    await until(lambda: statuses(at) == ["sent"])
    assert (len(session.files), session.typing) == (1, ["writing", "over"])


async def test_a_row_that_was_changed_is_prepared_anew(tmp_path: Path) -> None:
    at = preparing(tmp_path)
    first = QueuedMessage(1, ANA, OutgoingMedia(MediaKind.IMAGE, "https://a"))
    assert at.begin(SHOP, first)
    assert not at.begin(SHOP, first), "it is under way"
    assert at.begin(SHOP, attrs.evolve(first, content=OutgoingMedia(MediaKind.IMAGE, "https://b")))


async def test_no_instance_prepares_more_than_so_many_at_once(tmp_path: Path) -> None:
    at = preparing(tmp_path)
    rows = [QueuedMessage(n, ANA, Text("x"), typing=1.0) for n in range(AT_ONCE_EACH + 1)]
    assert [at.begin(SHOP, row) for row in rows] == [True] * AT_ONCE_EACH + [False]
    file = OutgoingMedia(MediaKind.IMAGE, "https://a")
    files = [QueuedMessage(n, BIA, file) for n in range(100, 101 + AT_ONCE_EACH)]
    assert [at.begin(SHOP, row) for row in files] == [True] * AT_ONCE_EACH + [False], "files are counted by themselves"


async def test_a_link_that_is_signed_anew_for_each_listing_is_the_same_file(tmp_path: Path, host: LinkHost) -> None:
    link, at, session = host.serve("/a", picture()), preparing(tmp_path), Uploading()

    def signed(token: int) -> QueuedMessage:
        return QueuedMessage(1, ANA, OutgoingMedia(MediaKind.IMAGE, f"{link}?token={token}"))

    assert at.begin(SHOP, signed(1))
    assert not at.begin(SHOP, signed(2)), "it is under way"
    await at.run(SHOP, session, signed(1), ANA, lambda: None)
    assert not at.begin(SHOP, signed(3)), "it is ready"
    assert isinstance(at.take(SHOP, signed(4)), UploadedMedia)
    at.drop(SHOP, signed(5))
    assert at.take(SHOP, signed(4)) is None
    assert len(session.files) == 1


async def test_links_that_are_dead_keep_no_other_instance_s_files_waiting(
    tmp_path: Path, at: Sending, host: LinkHost
) -> None:
    preparation, dead = preparing(tmp_path), 64
    async with trio.open_nursery() as nursery:
        for number in range(dead):
            row = QueuedMessage(
                number, ANA, OutgoingMedia(MediaKind.IMAGE, host.serve(f"/{number}", picture(), stall_at=1))
            )
            if preparation.begin(SHOP, row):
                nursery.start_soon(preparation.run, SHOP, Uploading(), row, ANA, lambda: None)
        await until(lambda: sum(host.asked.values()) == FILES_EACH)
        ready = trio.Event()
        other, row = (
            InstanceId("other"),
            QueuedMessage(1, BIA, OutgoingMedia(MediaKind.IMAGE, host.serve("/x", picture()))),
        )
        assert preparation.begin(other, row)
        await preparation.run(other, Uploading(), row, BIA, ready.set)
        assert ready.is_set()
        assert sum(host.asked.values()) == FILES_EACH + 1
        nursery.cancel_scope.cancel()


async def test_what_the_worker_cannot_is_no_try_of_the_message(at: Sending, host: LinkHost) -> None:
    session = Uploading(errors=[WorkerTrouble("uploads hang", pause=0.01)] * 12)
    queue(at, host.serve("/a", picture()))
    at.nursery.start_soon(at.run, session)
    await until(lambda: statuses(at) == ["sent"])
    with at.journal.database.reading() as sql:
        assert tuple(sql.execute("SELECT attempts FROM ledger").fetchone()) == (1,)


async def test_a_library_that_does_not_show_it_keeps_no_message(at: Sending, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()

    class Stuck(Uploading):
        def show_typing(self, to: Jid, *, recording: bool = False, over: bool = False) -> None:
            answers.wait(60)

    monkeypatch.setattr("wa_worker.delivery.preparing.TYPING_PATIENCE", 0.1)
    at.fixture.proxy.store.queue_row(SHOP, ANA, body="x", typing_ms=50)
    at.nursery.start_soon(at.run, Stuck())
    try:
        await until(lambda: statuses(at) == ["sent"])
    finally:
        answers.set()


async def test_typing_is_shown_and_a_note_is_recorded(at: Sending) -> None:
    session = Uploading()
    at.fixture.proxy.store.queue_row(SHOP, ANA, body="x", typing_ms=50)
    at.nursery.start_soon(at.run, session)
    await until(lambda: statuses(at) == ["sent"])
    assert session.typing == ["writing", "over"]


async def test_it_ends_with_its_instance_and_leaves_no_file(tmp_path: Path, host: LinkHost) -> None:
    async with open_sending(tmp_path) as at:
        queue(at, host.serve("/a", picture(), stall_at=10))
        async with trio.open_nursery() as instance:
            instance.start_soon(at.run, Uploading())
            await until(lambda: host.asked["/a"])
            instance.cancel_scope.cancel()
        assert not [*(tmp_path / "out").iterdir()]


async def test_what_an_earlier_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").touch()
    preparing(tmp_path).clear()
    assert not [*(tmp_path / "out").iterdir()]
