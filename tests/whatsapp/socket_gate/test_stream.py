"""A guarded connection: the clock is read between the wait for room and the sending."""

from __future__ import annotations

import socket

import pytest
import trio
import trio.testing

from tests.proxy_fixture import SHOP
from tests.whatsapp.socket_gate.plain import Lease
from wa_worker.ownership.deadline import boottime
from wa_worker.whatsapp.socket_gate.opening import Barred, Opening
from wa_worker.whatsapp.socket_gate.stream import GuardedStream


async def test_one_that_waited_for_room_looks_at_the_clock_again() -> None:
    lease, caught = Lease(), []
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with theirs:
        async with GuardedStream(ours, Opening("shop/1", SHOP, None, lease)) as stream, trio.open_nursery() as nursery:

            async def send() -> None:
                try:
                    await stream.send_all(bytes(2**23))
                except Barred as error:
                    caught.append(str(error))

            nursery.start_soon(send)
            await trio.testing.wait_all_tasks_blocked()
            lease.until = boottime()
            held = 0
            while True:
                try:
                    held += len(theirs.recv(2**20))
                except BlockingIOError:
                    break
            nursery.cancel_scope.deadline = trio.current_time() + 20
        assert caught == ["the lease of this worker has run out"]
        assert theirs.recv(1) == b"", "nothing came behind what was there before"
        assert held < 2**23


async def test_a_closed_one_says_so() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        stream = GuardedStream(ours, Opening("shop/1", SHOP, None, Lease()))
        await stream.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some()


async def test_none_is_made_after_the_deadline() -> None:
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(Barred):
        GuardedStream(ours, Opening("shop/1", SHOP, None, Lease(0.0)))
    assert ours.fileno() == -1
