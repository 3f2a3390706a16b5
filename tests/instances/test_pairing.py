"""A round of pairing with a host that is a real process and says what each test wants."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from neonize.proto import Neonize_pb2 as pb
from structlog.testing import capture_logs
from trio.abc import Clock
from trio.testing import MockClock

from tests.instances.bed import Bed, open_bed
from tests.journal.rows import posted_bodies, read_only
from tests.proxy_fixture import PATIENCE, SHOP, until
from tests.whatsapp.message_events import event, jid
from tests.whatsapp.scripted_host import script
from wa_worker.dev.world.qr import read_png_data_url
from wa_worker.instances.lifecycle import Lifecycle
from wa_worker.instances.pairing import PARTING, SHORTEST_ROUND, archive, run_pairing
from wa_worker.instances.state import InstanceState
from wa_worker.models import RESERVED_FOLDER, InstanceId, Reason
from wa_worker.states import CONDITIONS, Action, Event, Move, State
from wa_worker.whatsapp.folder_store import FolderStore

ME = pb.Device(JID=jid("5511999990001@s.whatsapp.net")).SerializePartialToString()


async def pair(bed: Bed) -> tuple[Move | None, InstanceState, FolderStore]:
    """One round of an instance that is not paired."""
    state, store = bed.state(), bed.store(SHOP)
    state.apply(Event.UNPAIRED)
    with trio.fail_after(PATIENCE):
        return await run_pairing(bed.services, state, store), state, store


async def test_a_scanned_code_ends_the_round_without_a_move(tmp_path: Path) -> None:
    """Whether it is paired is read from the store."""
    async with open_bed(tmp_path, script(None, {"is": "qr", "code": "2@abc"}, {"is": "paired"})) as bed:
        move, state, _ = await pair(bed)
    assert move is None
    assert state.current is State.PAIRING


async def test_each_code_is_shown_as_a_picture(tmp_path: Path) -> None:
    codes = [{"is": "qr", "code": f"2@{n}"} for n in range(2)]
    host = script(None, codes[0], {**codes[1], "after": 0.5}, {"is": "paired", "after": 0.5})
    async with open_bed(tmp_path, host) as bed:
        state = bed.state()
        state.apply(Event.UNPAIRED)
        bed.nursery.start_soon(state.publisher.run)
        with trio.fail_after(PATIENCE):
            await run_pairing(bed.services, state, bed.store(SHOP))
        pictures = [change.qr_code for change in bed.fixture.proxy.store.statuses(SHOP) if change.qr_code]
    assert [read_png_data_url(picture) for picture in pictures] == ["2@0", "2@1"]


@attrs.frozen
class End:
    """What the host says, and what is made of it."""

    name: str
    says: list[dict[str, Any]]
    event: Event
    to: State
    action: Action


ENDS = [
    End("outdated", [{"is": "ended", "reason": "client outdated"}], Event.OUTDATED, State.HELD, Action.HOLD),
    End("no code at all", [{"is": "ended", "reason": "no"}], Event.OPEN_FAILED, State.RETRYING, Action.REOPEN),
    End(
        "a code for a moment",
        [{"is": "qr", "code": "2@"}, {"is": "ended", "reason": "no"}],
        Event.OPEN_FAILED,
        State.RETRYING,
        Action.REOPEN,
    ),
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name)
async def test_how_a_round_ends(tmp_path: Path, end: End) -> None:
    async with open_bed(tmp_path, script(None, *end.says)) as bed:
        move, _, _ = await pair(bed)
        snapshot = bed.services.registry.all()[SHOP]
    assert move is not None
    assert (snapshot.because, move.to, move.action) == (end.event, end.to, end.action)
    assert snapshot.detail == end.says[-1]["reason"]


@pytest.fixture
def fast() -> Clock:
    """A second takes 100 ms on this clock. pytest-trio runs the test by the clock that is among its arguments."""
    return MockClock(rate=10.0)


async def test_codes_that_run_out_are_followed_by_others_at_once(tmp_path: Path, fast: Clock) -> None:
    """And they were shown, so the pauses of earlier failures are over."""
    host = script(
        None, {"is": "qr", "code": "2@"}, {"is": "ended", "reason": "timeout", "after": SHORTEST_ROUND / 10 + 0.1}
    )
    async with open_bed(tmp_path, host) as bed:
        state = bed.state()
        state.apply(Event.UNPAIRED)
        for _ in range(6):
            state.apply(Event.OPEN_FAILED)
        state.apply(Event.UNPAIRED)
        with trio.fail_after(SHORTEST_ROUND + 10 * PATIENCE):
            move = await run_pairing(bed.services, state, bed.store(SHOP))
        assert move == Move(State.PAIRING, Action.PAIR)
        assert state.pause(state.apply(Event.OPEN_FAILED)) <= 1


async def slowly_until(holds: Callable[[], object]) -> None:
    """`until()` for the fast clock."""
    with trio.fail_after(10 * PATIENCE):
        while not holds():  # noqa: ASYNC110 - nothing tells
            await trio.sleep(0.1)


NAMES = [InstanceId(name) for name in ("a", "b", "c")]


async def test_those_for_whom_there_is_no_place_take_turns(tmp_path: Path, fast: Clock) -> None:
    """In the order in which they came; who has shown its codes goes to the end of the line."""
    heard = tmp_path / "heard"
    round_of_codes: list[dict[str, Any]] = [
        {"is": "qr", "code": "2@"},
        {"is": "ended", "reason": "timeout", "after": SHORTEST_ROUND / 10 + 0.1},
    ]
    async with open_bed(tmp_path, script(heard, *round_of_codes), pairings_at_once=1) as bed:
        now = bed.services.registry.all
        with capture_logs() as lines:
            for name in NAMES:
                bed.nursery.start_soon(Lifecycle(bed.services, bed.state(name)).run)
                await until(lambda: name in now() and now()[name].because in (Event.QR, Event.QUEUED))  # noqa: B023
        assert [now()[name].because for name in NAMES] == [Event.QR, Event.QUEUED, Event.QUEUED]
        assert [now()[name].state for name in NAMES] == [State.PAIRING] * 3
        waiting = [line for line in lines if line["event"] == "waiting for its turn to show QR codes"]
        assert [(line["instance"], line["ahead"]) for line in waiting] == [("b", 0), ("c", 1)]

        def shown() -> list[str]:
            return [
                pair["pairing"][0] for pair in map(json.loads, heard.read_text().splitlines()) if pair["do"] == "pair"
            ]

        for turn, name in enumerate([*NAMES, *NAMES[:2]], start=1):
            await slowly_until(lambda: len(shown()) >= turn)  # noqa: B023
            assert shown()[:turn] == list("abcab")[:turn]
            await until(lambda: now()[name].because is Event.QR)  # noqa: B023
            assert [each.because for each in now().values()].count(Event.QR) == 1


async def test_one_that_is_let_go_of_while_it_waits_leaves_the_line(tmp_path: Path) -> None:
    async with open_bed(tmp_path, script(None, {"is": "qr", "code": "2@"}), pairings_at_once=1) as bed:
        now, scopes = bed.services.registry.all, [trio.CancelScope() for _ in NAMES]

        async def run(name: InstanceId, scope: trio.CancelScope) -> None:
            with scope:
                await Lifecycle(bed.services, bed.state(name)).run()

        for name, scope in zip(NAMES, scopes, strict=True):
            bed.nursery.start_soon(run, name, scope)
            await until(lambda: name in now() and now()[name].because in (Event.QR, Event.QUEUED))  # noqa: B023
        scopes[1].cancel()
        scopes[0].cancel()
        await until(lambda: now()[NAMES[2]].because is Event.QR)


async def test_a_host_that_says_nothing_is_given_up_after_the_deadline(tmp_path: Path, fast: Clock) -> None:
    async with open_bed(tmp_path, script()) as bed:
        state = bed.state()
        state.apply(Event.UNPAIRED)
        deadline = CONDITIONS[State.PAIRING].deadline
        assert deadline is not None
        with trio.fail_after(deadline + 10 * PATIENCE):
            move = await run_pairing(bed.services, state, bed.store(SHOP))
        assert (move, state.current) == (Move(State.PAIRING, Action.PAIR), State.PAIRING)
        assert bed.services.registry.all()[SHOP].because is Event.DEADLINE


async def test_a_dead_host_ends_the_round(tmp_path: Path) -> None:
    async with open_bed(tmp_path, script(None, dies_after=0.1)) as bed:
        move, _, _ = await pair(bed)
        assert move is not None
        assert (move.action, bed.services.registry.all()[SHOP].detail) == (Action.REOPEN, "the pairing host ended")


async def test_a_message_of_the_first_login_is_in_the_journal(tmp_path: Path) -> None:
    data = event().SerializePartialToString()
    message = {"is": "message", "me": base64.b64encode(ME).decode(), "data": base64.b64encode(data).decode()}
    async with open_bed(tmp_path, script(None, message, {"is": "paired"})) as bed:
        assert (await pair(bed))[0] is None
        assert list(posted_bodies(bed.journal).values()) == [["Oi"]]


MESSAGE = {
    "is": "message",
    "me": base64.b64encode(ME).decode(),
    "data": base64.b64encode(event().SerializePartialToString()).decode(),
}


async def stop_after_the_scan(bed: Bed, heard: Path, *, stopped: Callable[[], None] = lambda: None) -> float:
    """Cancels a round when its host has been told of it; returns how long the end takes."""
    state = bed.state()
    state.apply(Event.UNPAIRED)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_pairing, bed.services, state, bed.store(SHOP))
        await until(heard.exists)
        nursery.cancel_scope.cancel()
        stopped()
        began = trio.current_time()
    return trio.current_time() - began


async def test_a_message_that_the_host_still_has_when_the_worker_stops_is_in_the_journal(tmp_path: Path) -> None:
    """WhatsApp has been told that we have it."""
    heard = tmp_path / "heard"
    last: list[dict[str, Any]] = [{**MESSAGE, "after": 0.2}, {"is": "qr", "code": "2@"}, {"is": "paired", "after": 0.2}]
    async with open_bed(tmp_path, script(heard, at_end=last)) as bed:
        assert await stop_after_the_scan(bed, heard) < PARTING
        assert list(posted_bodies(bed.journal).values()) == [["Oi"]]


async def test_nor_is_one_lost_that_the_disk_does_not_take_at_that_moment(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    async with open_bed(tmp_path, script(heard, MESSAGE, at_end=[{"is": "paired"}])) as bed:
        read_only(bed.journal, True)
        state = bed.state()
        state.apply(Event.UNPAIRED)
        async with trio.open_nursery() as nursery:
            with capture_logs() as lines:
                nursery.start_soon(run_pairing, bed.services, state, bed.store(SHOP))
                await until(lambda: any("the journal cannot commit" in line["event"] for line in lines))
            nursery.cancel_scope.cancel()
            read_only(bed.journal, False)
        assert list(posted_bodies(bed.journal).values()) == [["Oi"]]


async def test_a_disk_that_never_takes_it_and_a_host_that_is_silent_end_with_a_word_in_the_log(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    async with open_bed(tmp_path, script(heard, at_end=[MESSAGE])) as bed:
        read_only(bed.journal, True)
        with capture_logs() as lines:
            assert PARTING <= await stop_after_the_scan(bed, heard) < PARTING + 2
        read_only(bed.journal, False)
    assert "a received message may be lost: the disk did not take it in time" in {line["event"] for line in lines}


async def test_a_host_that_cannot_be_started_is_a_failed_opening(tmp_path: Path) -> None:
    async with open_bed(tmp_path, ["no such command"]) as bed:
        move, _, _ = await pair(bed)
        assert move is not None
        assert move.action is Action.REOPEN
        assert "no pairing host can be started" in bed.services.registry.all()[SHOP].detail


async def test_what_is_no_store_is_set_aside(tmp_path: Path) -> None:
    async with open_bed(tmp_path, script(None, {"is": "ended", "reason": "file is not a database"})) as bed:
        store = bed.store(SHOP)
        store.prepare()
        store.file.write_bytes(b"x" * 5000)
        move, state, _ = await pair(bed)
        assert move is not None
        assert move.action is Action.REOPEN
        assert not store.file.exists()
        assert [file.name for file in store.folder.glob("archive/*/*")] == ["session.db"]
        await archive(store, state)  # of nothing is no error


async def test_any_other_trouble_leaves_the_store_alone(tmp_path: Path) -> None:
    async with open_bed(tmp_path, script(None, {"is": "ended", "reason": "database is locked"})) as bed:
        store = bed.store(SHOP)
        store.prepare()
        store.file.touch()
        await pair(bed)
        assert store.file.exists()


async def test_no_host_is_asked_while_whatsapp_cannot_be_reached(tmp_path: Path) -> None:
    async with open_bed(tmp_path, ["no such command"], reachable=False) as bed:
        move, _, store = await pair(bed)
        assert move is not None
        assert move.action is Action.REOPEN
        assert "no TCP connection" in bed.services.registry.all()[SHOP].detail
        assert not store.folder.exists()


async def test_nor_while_the_volume_takes_no_write(tmp_path: Path) -> None:
    async with open_bed(tmp_path, ["no such command"]) as bed:
        (tmp_path / RESERVED_FOLDER / "trial").mkdir()
        move, _, _ = await pair(bed)
        assert move is not None
        assert bed.services.registry.all()[SHOP].detail == "the volume cannot be written: Is a directory"


async def test_cancelled_it_takes_the_codes_away(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    async with open_bed(tmp_path, script(heard, {"is": "qr", "code": "2@"})) as bed:
        state = bed.state()
        state.apply(Event.UNPAIRED)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_pairing, bed.services, state, bed.store(SHOP))
            await until(lambda: bed.services.registry.all()[SHOP].because is Event.QR)
            nursery.cancel_scope.cancel()
        with closing(heard.open()) as lines:
            command, end = map(json.loads, lines)
        assert (command["do"], end["do"]) == ("pair", "end")
        await until(lambda: not Path(f"/proc/{command['pid']}").exists())


@pytest.mark.parametrize("reason", ["passkey-request", "error: Failed to fetch passkey options: no answer"])
async def test_a_request_for_a_passkey_is_held_and_said(tmp_path: Path, reason: str) -> None:
    """However soon it comes: it says nothing of the store."""
    says = ({"is": "qr", "code": "2@"}, {"is": "ended", "reason": reason, "after": 0.1})
    async with open_bed(tmp_path, script(None, *says)) as bed:
        with capture_logs() as lines:
            move, state, _ = await pair(bed)
        assert move is not None
        assert (move.to, move.action, state.current) == (State.HELD, Action.HOLD, State.HELD)
        snapshot = bed.services.registry.all()[SHOP]
        assert (snapshot.because, snapshot.reason, snapshot.trouble) == (Event.PASSKEY, Reason.PASSKEY, Event.PASSKEY)
        assert snapshot.until is not None
    (line,) = [line for line in lines if line["log_level"] == "warning"]
    assert "docs/troubleshooting.md" in line["event"]
    assert line["reason"] == reason


async def test_a_full_volume_is_said_before_a_code_is_asked_for(tmp_path: Path) -> None:
    async with open_bed(tmp_path, ["no such command"]) as bed:
        (tmp_path / RESERVED_FOLDER / "trial").mkdir()
        move, _, _ = await pair(bed)
        assert move is not None
        assert (move.to, bed.services.registry.all()[SHOP].reason) == (State.RETRYING, Reason.VOLUME_FULL)
