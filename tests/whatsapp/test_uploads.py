"""Uploads through the real library to the simulated media host: one at a time, with a deadline, never for ever."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import trio
from neonize.exc import UploadError

from tests.proxy_fixture import PATIENCE, until
from tests.whatsapp.test_session import Session, World, world
from wa_worker.errors import SendDelayed
from wa_worker.messages import MediaKind
from wa_worker.whatsapp.native_session import NativeSession
from wa_worker.whatsapp.uploads import MOST_ABANDONED, Uploads

__all__ = ["world"]

DATA = bytes(range(256)) * 500


def count(session: Session, what: str, text: str = "") -> int:
    return sum(line["is"] == what and text in line.get("text", "") for line in session.said)


@pytest.fixture
def file(tmp_path: Path) -> str:
    made = tmp_path / "a file"
    made.write_bytes(DATA)
    return str(made)


@pytest.mark.parametrize(
    ("kind", "place"), [(kind, "image" if kind is MediaKind.STICKER else kind.value) for kind in MediaKind]
)
async def test_a_file_goes_up_as_what_it_is_sent_as(world: World, file: str, kind: MediaKind, place: str) -> None:
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await session.tell("upload", kind=kind.value, file=file)
        uploaded = await session.hears("uploaded")
    assert (uploaded["size"], uploaded["sha256"]) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    (request,) = [each for each in world.simulator.media.requests if each.method == "POST"]
    assert request.path.startswith(f"/mms/{place}/")


def has_failed(session: Session, times: int) -> bool:
    return count(session, "error", "no answer to an upload") == times


async def test_an_upload_that_hangs_is_ended(world: World, file: str) -> None:
    """Its connection is cut, so that its thread, its memory and its file are given back; nothing else is."""
    world.simulator.media.uploads.delay = 3600.0
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        for number in range(2):
            await session.tell("upload", kind="image", file=file)
            await until(partial(has_failed, session, number + 1))
            await until(lambda: [line["count"] for line in session.said if line["is"] == "hanging"][-1:] == [0])
        assert {line["count"] for line in session.said if line["is"] == "hanging"} == {0, 1}
        world.simulator.media.uploads.delay = 0.0
        await session.tell("upload", kind="image", file=file)
        await session.hears("uploaded")
        await session.tell("send", to="5511988880005@s.whatsapp.net", text="meanwhile")
        await session.hears("sent")
        assert not [line for line in session.said if line.get("event") == "DISCONNECTED"]


async def test_one_at_a_time_and_none_while_too_many_hang(world: World, file: str) -> None:
    world.simulator.media.uploads.delay = 3600.0
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await session.tell("cut nothing")
        for _ in range(MOST_ABANDONED + 1):
            await session.tell("upload", kind="image", file=file)
        await until(lambda: world.simulator.media.requested(method="POST") == 1)
        assert not count(session, "error")
        await until(lambda: count(session, "error", "no answer to an upload") == MOST_ABANDONED)
        await until(lambda: count(session, "error", "uploads hang") == 1)
        assert world.simulator.media.requested(method="POST") == MOST_ABANDONED
        # what hangs keeps nobody from sending, nor the session from closing
        await session.tell("send", to="5511988880005@s.whatsapp.net", text="meanwhile")
        await session.hears("sent")
        await session.close()
        with trio.fail_after(PATIENCE):
            assert await session.process.wait() == 0


@pytest.mark.parametrize("status", [401, 404, 500, 507])
async def test_what_the_media_host_refuses_may_pass(world: World, file: str, status: int) -> None:
    world.simulator.media.uploads.status = status
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await session.tell("upload", kind="image", file=file)
        assert (await session.hears("error"))["kind"] == "SendDelayed"
        world.simulator.media.uploads.status = None
        await session.tell("upload", kind="image", file=file)
        await session.hears("uploaded")


async def test_a_file_that_is_gone_or_empty_is_no_crash(world: World, file: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await session.tell("upload", kind="image", file=str(tmp_path / "empty"))
        assert (await session.hears("error"))["kind"] == "SendDelayed"
        await session.tell("upload", kind="image", file=file)
        await session.hears("uploaded")


async def test_whoever_gives_up_before_it_begins_leaves_no_count(file: str) -> None:
    """Else, after a few sessions that ended just then, no file would ever go up again."""

    def refuses(_kind: MediaKind, _file: object) -> None:
        raise UploadError("no")

    native = cast("NativeSession", SimpleNamespace(closing=False, client=SimpleNamespace(upload_as=refuses)))
    uploads = Uploads()

    async def upload() -> None:
        with suppress(SendDelayed):
            await uploads.upload(native, MediaKind.IMAGE, Path(file))

    for moment in range(100):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(upload)
            for _ in range(moment % 10):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    await until(lambda: uploads.hanging == 0)


async def test_a_session_that_ends_in_an_upload_ends(world: World, file: str) -> None:
    world.simulator.media.uploads.delay = 3600.0
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await session.tell("upload", kind="image", file=file)
        await until(lambda: world.simulator.media.requested(method="POST") == 1)
        await session.close()
        with trio.fail_after(PATIENCE):
            assert await session.process.wait() == 0
