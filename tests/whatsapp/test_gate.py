"""The start gate: starts and stops alone with the native maps, and after the sends that just passed."""

from __future__ import annotations

import threading
import time
from typing import cast

import pytest
import trio

from tests.proxy_fixture import SHOP, until
from wa_worker.whatsapp.client import Callbacks, QuietClient
from wa_worker.whatsapp.gate import SETTLE, StartGate
from wa_worker.whatsapp.native_session import MAPS_CHANGED, NativeSession


async def passes(gate: StartGate) -> None:
    """Within two seconds: a gate that stays closed fails a test, it does not hang it."""
    with trio.fail_after(10):
        await trio.to_thread.run_sync(gate.pass_through, abandon_on_cancel=True)


async def test_an_open_gate_lets_pass_at_once() -> None:
    gate = StartGate()
    start = time.monotonic()
    for _ in range(1000):
        gate.pass_through()
    assert time.monotonic() - start < 5


async def test_a_start_keeps_sends_waiting() -> None:
    gate = StartGate()
    passed: list[int] = []
    async with trio.open_nursery() as nursery:

        async def send(number: int) -> None:
            await passes(gate)
            passed.append(number)

        async with gate.exclusive():
            for number in range(5):
                nursery.start_soon(send, number)
            await trio.sleep(0.05)
            assert passed == []
    assert sorted(passed) == [0, 1, 2, 3, 4]


async def test_a_start_that_takes_its_time_lets_sends_pass_but_no_other_start() -> None:
    gate = StartGate()
    second_began = trio.Event()
    second_may_end = trio.Event()

    async def second() -> None:
        async with gate.exclusive():
            second_began.set()
            await second_may_end.wait()

    async with trio.open_nursery() as nursery:
        async with gate.exclusive():
            nursery.start_soon(second)
            gate.let_pass()
            await passes(gate)
            await trio.sleep(0.05)
            assert not second_began.is_set()
        await second_began.wait()
        with trio.move_on_after(0.05) as send:
            await trio.to_thread.run_sync(gate.pass_through, abandon_on_cancel=True)
        assert send.cancelled_caught, "the next start closes it again"
        second_may_end.set()


async def test_a_send_that_has_just_passed_delays_a_start() -> None:
    gate = StartGate()
    for _ in range(3):
        gate.pass_through()
        passed = time.monotonic()
        async with gate.exclusive():
            assert time.monotonic() - passed >= SETTLE * 0.9


async def test_one_that_passed_long_ago_does_not() -> None:
    gate = StartGate()
    gate.pass_through()
    await trio.sleep(2 * SETTLE)
    start = time.monotonic()
    async with gate.exclusive():
        assert time.monotonic() - start < SETTLE


async def test_starts_are_one_at_a_time_and_in_turn() -> None:
    gate = StartGate()
    order: list[str] = []

    async def start(name: str) -> None:
        async with gate.exclusive():
            order.append(f"{name} begins")
            await trio.sleep(0.01)
            order.append(f"{name} ends")

    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(start, name)
            await trio.sleep(0.001)
    assert order == [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]


async def test_no_send_reads_the_maps_while_they_change() -> None:
    gate = StartGate()
    changing = threading.Event()
    clashes: list[float] = []
    passages = 0
    done = False

    def send() -> None:
        nonlocal passages
        while not done:
            gate.pass_through()
            passages += 1
            if changing.is_set():  # a send reads in its first microseconds
                clashes.append(time.monotonic())
            time.sleep(0.0005)

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(trio.to_thread.run_sync, send)
        try:
            for _ in range(30):
                async with gate.exclusive():
                    changing.set()
                    await trio.sleep(0.001)
                    changing.clear()
                await trio.sleep(0.001)
        finally:
            done = True
    assert clashes == []
    assert passages > 30


async def test_cancelling_opens_the_gate_again() -> None:
    gate = StartGate()
    with trio.move_on_after(0.01) as inside:
        async with gate.exclusive():
            await trio.sleep_forever()
    assert inside.cancelled_caught

    await passes(gate)
    with trio.CancelScope() as settling:
        settling.cancel()
        async with gate.exclusive():
            raise AssertionError("not reached: it was cancelled before its turn")

    async def wait_in_line() -> None:
        with trio.move_on_after(0.01) as in_line:
            async with gate.exclusive():
                raise AssertionError("not reached: somebody else is in there")
        assert in_line.cancelled_caught

    async with gate.exclusive(), trio.open_nursery() as nursery:
        nursery.start_soon(wait_in_line)

    await passes(gate)
    with trio.fail_after(10):
        async with gate.exclusive():
            pass


async def test_an_error_inside_opens_the_gate_again() -> None:
    gate = StartGate()
    with pytest.raises(ZeroDivisionError):
        async with gate.exclusive():
            _ = 1 / 0
    await passes(gate)


class Library:
    """The library's client, as far as a session's thread calls it: blocks until it is stopped."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._stopped = threading.Event()

    def run(self, _callbacks: object, _codes: object) -> str:
        self.calls.append("run")
        self._stopped.wait(20)
        return ""

    def disconnect(self) -> None:
        self.calls.append("disconnect")

    def stop(self) -> None:
        self.calls.append("stop")
        self._stopped.set()


CALLBACKS = Callbacks(lambda _code, _data: None, lambda _level, _part, _text: None)


def native(gate: StartGate, threads: trio.Nursery) -> tuple[NativeSession, Library]:
    library = Library()
    return NativeSession(SHOP, cast(QuietClient, library), gate, threads), library


async def start(session: NativeSession) -> None:
    await session.start(CALLBACKS, lambda _error: None, lambda: None)


async def test_a_session_holds_the_gate_until_its_first_sign_of_life(nursery: trio.Nursery) -> None:
    gate = StartGate()
    session, _library = native(gate, nursery)
    nursery.start_soon(start, session)
    await trio.sleep(0.2)
    with trio.move_on_after(0.3) as send:
        await trio.to_thread.run_sync(gate.pass_through, abandon_on_cancel=True)
    assert send.cancelled_caught
    session.alive.ring()
    await passes(gate)
    await session.close()


async def test_a_session_that_says_nothing_lets_sends_pass_but_no_start(nursery: trio.Nursery) -> None:
    gate = StartGate()
    session, _library = native(gate, nursery)
    nursery.start_soon(start, session)
    await trio.sleep(MAPS_CHANGED + 0.2)
    await passes(gate)
    with trio.move_on_after(0.3) as other:
        async with gate.exclusive():
            pass
    assert other.cancelled_caught
    session.alive.ring()
    await session.close()


async def test_a_session_disconnects_and_lets_what_is_under_way_end_before_it_stops(nursery: trio.Nursery) -> None:
    session, library = native(StartGate(), nursery)
    session.alive.ring()
    await start(session)
    await until(lambda: library.calls)
    callback = session.callback()
    callback.__enter__()
    async with trio.open_nursery() as closing:
        closing.start_soon(session.close)
        await trio.sleep(0.5)
        assert session.closing, "nothing is sent any more"
        assert library.calls == ["run", "disconnect"]
        callback.__exit__(None, None, None)
    assert library.calls == ["run", "disconnect", "stop"]


async def test_a_session_whose_owner_is_cancelled_stops_all_the_same(nursery: trio.Nursery) -> None:
    session, library = native(StartGate(), nursery)
    session.alive.ring()
    await start(session)
    await until(lambda: library.calls)
    with trio.CancelScope() as owner:
        owner.cancel()
        await session.close()
    assert owner.cancelled_caught
    assert library.calls == ["run", "disconnect", "stop"]
