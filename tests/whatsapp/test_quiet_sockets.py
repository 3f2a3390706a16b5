"""Connections that are cut because nothing comes on them, and those that are not."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.proxy_fixture import until
from wa_worker.whatsapp import quiet_sockets


def connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    return ours, theirs


def is_cut(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False


@pytest.fixture
def old() -> Iterator[socket.socket]:
    ours, theirs = connected()
    with ours, theirs:
        yield ours


async def test_only_a_new_connection_that_is_quiet_is_cut(old: socket.socket) -> None:
    before = quiet_sockets.present()
    quiet, far = connected()
    pair = socket.socketpair()
    listener = socket.create_server(("127.0.0.1", 0))
    with quiet, far, pair[0], pair[1], listener:
        assert quiet_sockets.cut(before, 60.0) == 0
        await until(lambda: quiet_sockets.cut(before, 0.2) >= 1)
        assert is_cut(quiet)
        assert not is_cut(old)
        assert not is_cut(pair[0])
        assert listener.getsockname()
        open_ones = len(quiet_sockets.present())
        quiet_sockets.cut(before, 60.0)
        descriptors = set(quiet_sockets._descriptors())
        quiet_sockets.cut(before, 60.0)
        assert set(quiet_sockets._descriptors()) == descriptors, "none is left open"
        assert len(quiet_sockets.present()) == open_ones


async def test_one_that_sends_and_hears_nothing_is_cut() -> None:
    """And not its other end, which hears and sends nothing."""
    before = quiet_sockets.present()
    ours, far = connected()
    with ours, far:

        def cut() -> int:
            ours.sendall(b"x")
            far.recv(1)
            return quiet_sockets.cut(before, 0.5)

        await until(lambda: cut() == 1)
        with pytest.raises(BrokenPipeError):
            ours.sendall(b"x")


async def test_one_on_which_something_came_is_left_alone() -> None:
    before = quiet_sockets.present()
    busy, far = connected()
    quiet, other = connected()
    with busy, far, quiet, other:

        def cut() -> int:
            far.sendall(b"x")
            busy.recv(1)
            busy.sendall(b"x")
            far.recv(1)
            return quiet_sockets.cut(before, 0.2)

        await until(lambda: cut() >= 1)
        assert is_cut(quiet)
        assert not is_cut(busy)
