"""The parent's side of pairing: QR codes from child processes (see pairing_host.py).

A host takes up to HOST_CAPACITY pairings in its whole life, since each may leave threads behind in it; the next one
goes to a new host. A host without a live pairing is killed. When a host dies, its pairings end and their instances
ask for new ones.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import trio

from wa_worker.errors import SessionError
from wa_worker.models import InstanceId, Secret
from wa_worker.whatsapp.host_process import HOST_ENDED, HostProcess, Listener
from wa_worker.whatsapp.pairing_events import (
    EarlyMessage,
    NoPhoneCode,
    Paired,
    PairingEnded,
    PairingEvent,
    PhoneChanged,
    PhoneCode,
    QrCode,
)
from wa_worker.whatsapp.store import SessionStore

__all__ = [
    "EarlyMessage",
    "NoPhoneCode",
    "Paired",
    "PairingEnded",
    "PairingEvent",
    "PairingHosts",
    "PairingLine",
    "PhoneChanged",
    "PhoneCode",
    "QrCode",
]

HOST_COMMAND = (sys.executable, "-m", "wa_worker.whatsapp.pairing_host")

AT_ONCE = 64
"""Pairings at the same time, unless a setting says otherwise: 255 MB of hosts (measured), three new codes a second."""

HOST_CAPACITY = 16
"""Pairings per host. A host costs about 43 MB, each lost pairing in it some threads."""


class PairingLine:
    """What an instance hears of its pairing, and how it ends it."""

    def __init__(self, events: trio.MemoryReceiveChannel[PairingEvent], host: HostProcess, token: str) -> None:
        self.over = False
        """Whether Paired or PairingEnded has been received: nothing comes after it."""
        self._events = events
        self._host = host
        self._token = token
        self._told = False

    async def receive(self) -> PairingEvent:
        """Returns the next event. Cancelling loses none."""
        try:
            event = await self._events.receive()
        except trio.EndOfChannel:
            event = HOST_ENDED
        self.over = isinstance(event, Paired | PairingEnded)
        return event

    async def ask_for_code(self, phone: str) -> None:
        """Asks for a code that pairs the phone of this number (digits): PhoneCode or NoPhoneCode will come. For after
        the first QR code."""
        if not self.over and not self._told and not self._host.dead:
            await self._host.tell(do="code", pairing=self._token, phone=phone)

    def phone_changed(self) -> None:
        """Has PhoneChanged received."""
        if listener := self._host.live.get(self._token):
            listener.offer(PhoneChanged())

    async def end(self) -> None:
        """Tells the host to end it. What the host has for it still comes, and then Paired or PairingEnded."""
        if not self.over and not self._told and not self._host.dead:
            self._told = True
            await self._host.tell(do="end", pairing=self._token)


class PairingHosts:
    """Holds all hosts. One per process; their tasks live in `nursery`.

    `at_once`: the places that `turn()` gives. `environ`: the environment of the hosts, None for this process' own.
    `recent_history`: phones are asked for a week of their history.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        command: Sequence[str] = HOST_COMMAND,
        *,
        at_once: int = AT_ONCE,
        environ: Mapping[str, str] | None = None,
        recent_history: bool = False,
    ) -> None:
        self._more = {"history": "recent"} if recent_history else {}
        self._nursery = nursery
        self._command = command
        self._environ = environ
        self._newest: HostProcess | None = None
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
        self, instance: InstanceId, store: SessionStore, device_name: str, proxy: Secret | None = None
    ) -> AsyncIterator[PairingLine]:
        """Yields a pairing under way. Its events come until Paired or PairingEnded; leaving or cancelling ends it, and
        drops what was not received. `proxy`: the URL of the one that it is given. Raises SessionError if no host can be
        started."""
        await trio.to_thread.run_sync(store.prepare)
        host = await self._host_with_room()
        token = f"{instance}/{next(self._tokens)}"
        # codes come every 20 s and only the newest counts; the room is for messages of a first login
        send, receive = trio.open_memory_channel[PairingEvent](512)
        line = PairingLine(receive, host, token)
        more = self._more if proxy is None else {**self._more, "proxy": proxy.reveal()}
        host.live[token] = Listener(instance, send)
        try:
            await host.tell(do="pair", pairing=token, dsn=store.dsn.reveal(), device_name=device_name, **more)
            if host.dead:
                host.live[token].offer(HOST_ENDED)
            with receive:
                yield line
        finally:
            host.live.pop(token, None)
            if not host.live and not host.dead:
                host.dismiss()
            elif not host.dead:
                with trio.move_on_after(1, shield=True):
                    await line.end()

    async def _host_with_room(self) -> HostProcess:
        async with self._turn:
            host = self._newest
            if host is None or host.dead or host.taken >= HOST_CAPACITY:
                host = HostProcess()
                try:
                    await self._nursery.start(host.run, self._command, self._environ)
                except OSError as error:
                    raise SessionError(f"no pairing host can be started: {error}") from error
                self._newest = host
            host.taken += 1
            return host
