"""The parent's side of pairing: QR codes from child processes (see pairing_host.py).

A host takes up to HOST_CAPACITY pairings in its whole life, since each may leave threads behind in it; the next one
goes to a new host. A host without a live pairing is killed. When a host dies, its pairings end and their instances
ask for new ones.
"""

from __future__ import annotations

import base64
import itertools
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import structlog
import trio

from wa_worker.models import InstanceId
from wa_worker.whatsapp.native_output import log_printed
from wa_worker.whatsapp.store import SessionStore

log = structlog.get_logger(__name__)

HOST_COMMAND = (sys.executable, "-m", "wa_worker.whatsapp.pairing_host")

AT_ONCE = 64
"""Pairings at the same time, unless a setting says otherwise: 255 MB of hosts (measured), and three new codes a second."""

HOST_CAPACITY = 16
"""Pairings per host. A host costs about 43 MB, each lost pairing in it some threads."""


NO_STORE = ("file is not a database", "is a directory")
"""What SQLite says, through the library, of a store that cannot hold a device."""


@attrs.frozen
class QrCode:
    code: str = attrs.field(repr=False)


@attrs.frozen
class Paired:
    """The device is in the store and the host has closed it."""


@attrs.frozen
class PairingEnded:
    """The codes ran out, WhatsApp refused, or the host died. `reason` is in the library's words."""

    reason: str

    @property
    def outdated(self) -> bool:
        """Says whether WhatsApp refuses this client version."""
        return "outdated" in self.reason

    @property
    def no_store(self) -> bool:
        """Says whether the session store cannot hold a device, however often it is tried."""
        return any(sign in self.reason for sign in NO_STORE)


@attrs.frozen
class EarlyMessage:
    """Describes a message that came during the first login: the event and the session's own Device, both serialised."""

    data: bytes = attrs.field(repr=False)
    me: bytes = attrs.field(repr=False)


PairingEvent = QrCode | Paired | PairingEnded | EarlyMessage


class _Host:
    """One child process and what it says."""

    def __init__(self) -> None:
        self.taken = 0
        self.live: dict[str, tuple[InstanceId, trio.MemorySendChannel[PairingEvent]]] = {}
        self.dead = False
        self._stream: trio.SocketStream
        self._speaking = trio.Lock()

    async def run(self, command: Sequence[str], *, task_status: trio.TaskStatus[None]) -> None:
        """Runs the process until it dies, has nothing left to do, or this is cancelled; then it is gone."""
        structlog.contextvars.clear_contextvars()  # not of the instance that asked first
        ours, theirs = socket.socketpair()
        with theirs:
            process = await trio.lowlevel.open_process(
                [*command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C in the terminal is for us to handle
            )
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        task_status.started()
        try:
            async with self._stream, trio.open_nursery() as nursery:
                nursery.start_soon(_drain_output, process)
                await self._listen()
                nursery.cancel_scope.cancel()
        finally:
            self.dead = True
            process.kill()
            with trio.move_on_after(2, shield=True):
                await process.wait()
            if process.stdout is not None:
                await trio.aclose_forcefully(process.stdout)
            for _instance, channel in self.live.values():
                _offer(channel, PairingEnded("the pairing host ended"))
            self.live.clear()

    async def _listen(self) -> None:
        async for line in _lines(self._stream):
            said: dict[str, Any] = json.loads(line)
            instance, channel = self.live.get(said["pairing"], (None, None))
            if instance is None or channel is None:
                continue
            match said["is"]:
                case "qr":
                    _offer(channel, QrCode(said["code"]))
                case "message":
                    _offer(channel, EarlyMessage(base64.b64decode(said["data"]), base64.b64decode(said["me"])))
                case "paired":
                    _offer(channel, Paired())
                case "ended":
                    _offer(channel, PairingEnded(said["reason"]))
                case "log":
                    level = "error" if said["level"] == "ERROR" else "warning"
                    getattr(log, level)("whatsmeow", instance=instance, part=said["part"], reason=said["text"])

    async def tell(self, **command: str) -> None:
        try:
            async with self._speaking:
                await self._stream.send_all(json.dumps(command).encode() + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.dead = True

    def dismiss(self) -> None:
        """Ends the process; `run()` returns."""
        self._stream.socket.close()


def _offer(channel: trio.MemorySendChannel[PairingEvent], event: PairingEvent) -> None:
    try:
        channel.send_nowait(event)
    except trio.WouldBlock:
        log.warning("a pairing event was dropped: its instance does not keep up", kind=type(event).__name__)
    except trio.BrokenResourceError:
        pass  # the instance has just let go of this pairing


class PairingHosts:
    """Holds all hosts. One per process; their tasks live in `nursery`. `at_once`: the places that `turn()` gives."""

    def __init__(self, nursery: trio.Nursery, command: Sequence[str] = HOST_COMMAND, *, at_once: int = AT_ONCE) -> None:
        self._nursery = nursery
        self._command = command
        self._newest: _Host | None = None
        self._turn = trio.Lock()
        self._tokens = itertools.count(1)
        self._places = trio.CapacityLimiter(at_once)

    @asynccontextmanager
    async def turn(self, on_wait: Callable[[int], None]) -> AsyncIterator[None]:
        """Waits for a place among those that pair, first come, first served, and gives it up at the end of the block.

        `on_wait(ahead)` is called if none is free, with how many wait already. Cancelled: it has no place.
        """
        holder = object()
        try:
            self._places.acquire_on_behalf_of_nowait(holder)
        except trio.WouldBlock:
            on_wait(self._places.statistics().tasks_waiting)
            await self._places.acquire_on_behalf_of(holder)
        try:
            yield
        finally:
            self._places.release_on_behalf_of(holder)

    @asynccontextmanager
    async def pair(
        self, instance: InstanceId, store: SessionStore, device_name: str
    ) -> AsyncIterator[trio.MemoryReceiveChannel[PairingEvent]]:
        """Yields a pairing under way. Its events come until Paired or PairingEnded; leaving or cancelling ends it."""
        store.prepare()
        host = await self._host_with_room()
        token = f"{instance}/{next(self._tokens)}"
        # codes come every 20 s and only the newest counts; the room is for messages of a first login
        send, receive = trio.open_memory_channel[PairingEvent](512)
        host.live[token] = (instance, send)
        try:
            await host.tell(do="pair", pairing=token, dsn=store.dsn, device_name=device_name)
            if host.dead:
                _offer(send, PairingEnded("the pairing host ended"))
            with receive:
                yield receive
        finally:
            host.live.pop(token, None)
            if not host.live and not host.dead:
                host.dismiss()
            elif not host.dead:
                with trio.move_on_after(1, shield=True):
                    await host.tell(do="end", pairing=token)

    async def _host_with_room(self) -> _Host:
        async with self._turn:
            host = self._newest
            if host is None or host.dead or host.taken >= HOST_CAPACITY:
                host = _Host()
                await self._nursery.start(host.run, self._command)
                self._newest = host
            host.taken += 1
            return host


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    """Returns complete lines of a stream until it ends or breaks."""
    rest = b""
    try:
        async for chunk in stream:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return


async def _drain_output(process: trio.Process) -> None:
    """Says what the child prints goes to our log; if it aborts, its last words do."""
    assert process.stdout is not None
    async for line in _lines(process.stdout):
        log_printed(line, "the pairing host printed")
