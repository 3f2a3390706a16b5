"""One pairing host, as the parent sees it: its process, the line to it, and the pairings that it has.

It says what it hears on the line to the pairings, and what the process prints to the log, up to the last words of one
that aborts. It ends when the process does, when it is dismissed, or cancelled; then the process is gone.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import attrs
import structlog
import trio

from wa_worker.models import InstanceId
from wa_worker.whatsapp.native_output import LAST_WORDS, log_printed
from wa_worker.whatsapp.pairing_events import (
    EarlyMessage,
    NoPhoneCode,
    Paired,
    PairingEnded,
    PairingEvent,
    PhoneCode,
    QrCode,
)

log = structlog.get_logger(__name__)

HOST_ENDED = PairingEnded("the pairing host ended")


@attrs.frozen
class Listener:
    """An instance that pairs, and where its events go."""

    instance: InstanceId
    channel: trio.MemorySendChannel[PairingEvent]

    def offer(self, event: PairingEvent) -> None:
        """Hands an event over; what does not fit is dropped and logged."""
        try:
            self.channel.send_nowait(event)
        except trio.WouldBlock:
            log.warning("a pairing event was dropped: its instance does not keep up", kind=type(event).__name__)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the instance has just let go of this pairing

    async def deliver(self, event: PairingEvent) -> None:
        """Hands over what must not be dropped: waits until it fits, and the host and WhatsApp with it."""
        try:
            await self.channel.send(event)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            log.error("a received message may be lost: its pairing was let go of", instance=self.instance)


class HostProcess:
    """One child process and what it says."""

    def __init__(self) -> None:
        self.taken = 0
        self.live: dict[str, Listener] = {}
        self.dead = False
        self._stream: trio.SocketStream
        self._speaking = trio.Lock()

    async def run(
        self, command: Sequence[str], environ: Mapping[str, str] | None, *, task_status: trio.TaskStatus[None]
    ) -> None:
        """Runs the process until it dies, has nothing left to do, or this is cancelled; then it is gone. `environ`:
        its environment, None for that of this process. Raises OSError if it cannot be started."""
        structlog.contextvars.clear_contextvars()  # not of the instance that asked first
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await trio.lowlevel.open_process(
                    [*command, str(theirs.fileno())],
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # a Ctrl-C in the terminal is for us to handle
                )
        except BaseException:
            ours.close()
            raise
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        task_status.started()
        try:
            async with self._stream, trio.open_nursery() as nursery:
                printed = trio.Event()
                nursery.start_soon(_log_output, process, printed)
                await self._listen()
                process.kill()  # if it aborted it has closed the line by being gone
                with trio.move_on_after(LAST_WORDS):
                    await printed.wait()
                nursery.cancel_scope.cancel()
        finally:
            self.dead = True
            process.kill()
            with trio.move_on_after(2, shield=True):
                await process.wait()
            if process.stdout is not None:
                await trio.aclose_forcefully(process.stdout)
            for listener in self.live.values():
                listener.offer(HOST_ENDED)
                listener.channel.close()
            self.live.clear()

    async def tell(self, **command: str) -> None:
        """Says a command to it. If it is gone, `dead` is true afterwards."""
        try:
            async with self._speaking:
                await self._stream.send_all(json.dumps(command).encode() + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.dead = True

    def dismiss(self) -> None:
        """Ends the process; `run()` returns. It takes no pairing any more."""
        self.dead = True
        self._stream.socket.close()

    async def _listen(self) -> None:
        async for line in _lines(self._stream):
            said: dict[str, Any] = json.loads(line)
            listener = self.live.get(said["pairing"])
            if listener is None:
                continue
            match said["is"]:
                case "qr":
                    listener.offer(QrCode(said["code"]))
                case "code":
                    listener.offer(PhoneCode(said["code"], said["expires_at"]))
                case "no code":
                    listener.offer(NoPhoneCode(said["reason"]))
                case "message":
                    data, me = base64.b64decode(said["data"]), base64.b64decode(said["me"])
                    await listener.deliver(EarlyMessage(data, me))
                case "paired":
                    await listener.deliver(Paired())
                case "ended":
                    await listener.deliver(PairingEnded(said["reason"]))
                case "log":
                    level = "error" if said["level"] == "ERROR" else "warning"
                    getattr(log, level)("whatsmeow", instance=listener.instance, part=said["part"], reason=said["text"])


async def _lines(stream: trio.abc.ReceiveStream, *, last: bool = False) -> AsyncIterator[bytes]:
    """Returns complete lines of a stream until it ends or breaks; at the `last` also what did not end in a newline."""
    rest = b""
    try:
        async for chunk in stream:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    if last and rest:
        yield rest


async def _log_output(process: trio.Process, ended: trio.Event) -> None:
    """Says what the child prints goes to our log; if it aborts, its last words do."""
    assert process.stdout is not None
    async for line in _lines(process.stdout, last=True):
        log_printed(line, "the pairing host printed")
    ended.set()
