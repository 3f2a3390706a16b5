"""Pairing hosts as the parent sees them: real processes that say what a test wants (scripted_host.py)."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from tests.proxy_fixture import PATIENCE, SHOP, until
from tests.whatsapp.scripted_host import script
from wa_worker.errors import SessionError
from wa_worker.models import InstanceId
from wa_worker.whatsapp.folder_store import FolderStore
from wa_worker.whatsapp.host_process import HostProcess
from wa_worker.whatsapp.pairing import (
    HOST_CAPACITY,
    EarlyMessage,
    Paired,
    PairingEnded,
    PairingEvent,
    PairingHosts,
    QrCode,
)


def commands(heard: Path) -> list[dict[str, Any]]:
    whole = heard.read_text().rpartition("\n")[0] if heard.exists() else ""  # the last line may be half written
    return [json.loads(line) for line in whole.splitlines()]


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def events(hosts: PairingHosts, folder: Path, many: int) -> list[PairingEvent]:
    with trio.fail_after(PATIENCE):
        async with hosts.pair(SHOP, FolderStore.of(folder, SHOP), "the device") as channel:
            return [await channel.receive() for _ in range(many)]


async def test_what_the_host_says_comes_in_its_order(tmp_path: Path, nursery: trio.Nursery) -> None:
    says = [
        {"is": "qr", "code": "2@a"},
        {"is": "nonsense"},
        {"is": "message", "me": "bWU=", "data": "ZGF0YQ=="},
        {"is": "paired"},
    ]
    got = await events(PairingHosts(nursery, script(None, *says)), tmp_path, 3)
    assert got == [QrCode("2@a"), EarlyMessage(b"data", b"me"), Paired()]
    assert "2@a" not in repr(got), "a code is not for a log"


async def test_it_is_told_what_to_open(tmp_path: Path, nursery: trio.Nursery) -> None:
    heard = tmp_path / "heard"
    await events(PairingHosts(nursery, script(heard, {"is": "paired"})), tmp_path, 1)
    told = commands(heard)[0]
    store = FolderStore.of(tmp_path, SHOP)
    assert (told["do"], told["dsn"], told["device_name"]) == ("pair", store.dsn.reveal(), "the device")
    assert store.folder.is_dir()


async def test_the_host_goes_with_its_last_pairing(tmp_path: Path, nursery: trio.Nursery) -> None:
    heard = tmp_path / "heard"
    hosts = PairingHosts(nursery, script(heard, {"is": "qr", "code": "2@"}))
    async with hosts.pair(SHOP, FolderStore.of(tmp_path, SHOP), "n") as first:
        await first.receive()
        (pid,) = {command["pid"] for command in commands(heard)}
        async with hosts.pair(InstanceId("other"), FolderStore.of(tmp_path, SHOP), "n") as second:
            await second.receive()
        await until(lambda: len(commands(heard)) == 3)
        assert [command["do"] for command in commands(heard)] == ["pair", "pair", "end"]
        assert {command["pid"] for command in commands(heard)} == {pid}
        assert runs(pid), "the first one still shows its code"
    await until(lambda: not runs(pid))


async def test_a_host_that_does_not_end_by_itself_is_killed(tmp_path: Path) -> None:
    """Once it has no pairing, and when the worker stops."""
    pid = tmp_path / "pid"
    for stops in (False, True):
        pid.unlink(missing_ok=True)
        async with trio.open_nursery() as nursery:
            hosts = PairingHosts(nursery, ["sh", "-c", f"echo $$ > '{pid}'; exec sleep 60"])
            async with hosts.pair(SHOP, FolderStore.of(tmp_path, SHOP), "n"):
                await until(lambda: pid.exists() and pid.read_text())
                assert runs(int(pid.read_text()))
                if stops:
                    nursery.cancel_scope.cancel()
            await until(lambda: not runs(int(pid.read_text())))
        assert not runs(int(pid.read_text()))


async def test_a_host_takes_so_many_and_no_more(tmp_path: Path, nursery: trio.Nursery) -> None:
    heard = tmp_path / "heard"
    hosts = PairingHosts(nursery, script(heard))
    async with AsyncExitStack() as stack:
        for number in range(HOST_CAPACITY + 2):
            instance = InstanceId(str(number))
            await stack.enter_async_context(hosts.pair(instance, FolderStore.of(tmp_path, instance), "n"))
        await until(lambda: len(commands(heard)) == HOST_CAPACITY + 2)
        taken = Counter(command["pid"] for command in commands(heard))
        assert sorted(taken.values()) == [2, HOST_CAPACITY]
    for pid in taken:
        await until(lambda: not runs(pid))  # noqa: B023 - awaited in this turn


async def test_a_host_that_dies_ends_its_pairings_and_the_next_gets_another(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    heard = tmp_path / "heard"
    hosts = PairingHosts(nursery, script(heard, dies_after=0.2))
    for _ in range(2):
        assert await events(hosts, tmp_path, 1) == [PairingEnded("the pairing host ended")]
    assert len({command["pid"] for command in commands(heard)}) == 2


async def test_a_command_that_says_nothing_and_ends_is_an_end(tmp_path: Path, nursery: trio.Nursery) -> None:
    assert await events(PairingHosts(nursery, ["true"]), tmp_path, 1) == [PairingEnded("the pairing host ended")]


async def test_what_it_logs_and_prints_is_in_our_log(tmp_path: Path, nursery: trio.Nursery) -> None:
    says: list[dict[str, Any]] = [
        {"is": "log", "level": "ERROR", "part": "Client", "text": "trouble"},
        {"is": "log", "level": "WARN", "part": "Client", "text": "careful"},
        {"is": "paired", "after": 0.2},
    ]
    with capture_logs() as lines:
        await events(PairingHosts(nursery, script(None, *says)), tmp_path, 1)
    said = [(line["log_level"], line["instance"], line["reason"]) for line in lines if line["event"] == "whatsmeow"]
    assert said == [("error", SHOP, "trouble"), ("warning", SHOP, "careful")]
    with capture_logs() as lines:
        await events(PairingHosts(nursery, ["sh", "-c", "echo fatal error: last words >&2; sleep 0.3"]), tmp_path, 1)
    assert [(line["event"], line["reason"]) for line in lines] == [
        ("the pairing host printed", "fatal error: last words")
    ]


LAST_WORDS = [f"goroutine {n} [running]" for n in range(2000)]


@pytest.mark.parametrize("newline", ["\n", ""])
async def test_the_last_words_of_one_that_aborts_are_in_our_log(
    tmp_path: Path, nursery: trio.Nursery, newline: str
) -> None:
    """All of them: it prints a lot, and is gone in the same moment."""
    (tmp_path / "words").write_text("\n".join(LAST_WORDS) + newline)
    with capture_logs() as lines:
        await events(PairingHosts(nursery, ["sh", "-c", f"cat '{tmp_path}/words'; kill -ABRT $$"]), tmp_path, 1)
    said = [line["reason"] for line in lines if line["event"] == "the pairing host printed"]
    assert said == LAST_WORDS


async def test_so_are_those_that_come_together_with_the_end(tmp_path: Path, nursery: trio.Nursery) -> None:
    """A worker that is busy at that moment sees the line closed and the words at once."""
    hosts = PairingHosts(nursery, ["sh", "-c", "printf 'fatal error: last words'; kill -ABRT $$"])
    with capture_logs() as lines, trio.fail_after(PATIENCE):
        async with hosts.pair(SHOP, FolderStore.of(tmp_path, SHOP), "n") as line:
            time.sleep(0.5)  # noqa: ASYNC251 - the worker is busy
            await line.receive()
    said = [line["reason"] for line in lines if line["event"] == "the pairing host printed"]
    assert said == ["fatal error: last words"]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_one_that_cannot_be_started_leaves_no_descriptor(tmp_path: Path, nursery: trio.Nursery) -> None:
    hosts, before = PairingHosts(nursery, ["no such command"]), descriptors()
    for _ in range(3):
        with pytest.raises(SessionError, match="no pairing host can be started"):
            await events(hosts, tmp_path, 1)
    assert descriptors() == before


async def test_nor_does_one_whose_start_is_cancelled(tmp_path: Path, nursery: trio.Nursery) -> None:
    hosts = PairingHosts(nursery, ["true"])
    await events(hosts, tmp_path, 1)
    await until(lambda: len(nursery.child_tasks) == 0)
    before = descriptors()
    with trio.CancelScope() as scope:
        scope.cancel()
        await hosts._nursery.start(HostProcess().run, ["true"], None)
    await until(lambda: len(nursery.child_tasks) == 0)
    assert descriptors() == before


async def test_its_environment_is_what_it_is_given(tmp_path: Path, nursery: trio.Nursery) -> None:
    hosts = PairingHosts(nursery, ["sh", "-c", "env; exit"], environ={"LANG": "pt_BR.UTF-8"})
    with capture_logs() as lines:
        await events(hosts, tmp_path, 1)
    said = {line["reason"].partition("=")[0] for line in lines if line["event"] == "the pairing host printed"}
    assert "LANG" in said
    assert said <= {"LANG", "PWD", "OLDPWD", "SHLVL", "_"}, "which a shell adds"


async def test_what_it_still_has_comes_before_the_end_of_a_pairing_that_is_ended(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    heard = tmp_path / "heard"
    last: list[dict[str, Any]] = [{"is": "message", "me": "bWU=", "data": "ZGF0YQ=="}, {"is": "paired", "after": 0.1}]
    with trio.fail_after(PATIENCE):
        async with PairingHosts(nursery, script(heard, at_end=last)).pair(
            SHOP, FolderStore.of(tmp_path, SHOP), "n"
        ) as line:
            await line.end()
            await line.end()
            assert [await line.receive(), await line.receive()] == [EarlyMessage(b"data", b"me"), Paired()]
            assert line.over
            await line.end()
    assert [command["do"] for command in commands(heard)] == ["pair", "end"]


async def test_messages_are_not_dropped_however_many_there_are(tmp_path: Path, nursery: trio.Nursery) -> None:
    """Unlike codes, of which only the newest counts: the host waits until there is room."""
    says: list[dict[str, Any]] = [{"is": "message", "me": "bWU=", "data": "ZGF0YQ=="}] * 600
    hosts = PairingHosts(nursery, script(None, *says, {"is": "paired"}))
    with trio.fail_after(PATIENCE):
        async with hosts.pair(SHOP, FolderStore.of(tmp_path, SHOP), "n") as line:
            await until(lambda: line._events.statistics().tasks_waiting_send)
            got = [await line.receive() for _ in range(601)]
    assert got == [*[EarlyMessage(b"data", b"me")] * 600, Paired()]


async def test_an_instance_that_does_not_keep_up_loses_events_and_not_the_host(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    says = [{"is": "qr", "code": str(n)} for n in range(520)]
    with capture_logs() as lines:
        async with PairingHosts(nursery, script(None, *says)).pair(SHOP, FolderStore.of(tmp_path, SHOP), "n") as got:
            await until(lambda: len(lines) >= 8)
            assert await got.receive() == QrCode("0")
    assert {line["event"] for line in lines} == {"a pairing event was dropped: its instance does not keep up"}


@pytest.mark.parametrize(
    ("reason", "outdated", "no_store"),
    [
        ("timeout", False, False),
        ("client outdated (405)", True, False),
        ("file is not a database", False, True),
        ("unable to open database file: is a directory", False, True),
        ("database is locked", False, False),
    ],
)
def test_what_the_reason_of_an_end_means(reason: str, outdated: bool, no_store: bool) -> None:
    ended = PairingEnded(reason)
    assert (ended.outdated, ended.no_store) == (outdated, no_store)
