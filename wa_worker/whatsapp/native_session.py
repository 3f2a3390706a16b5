"""The native side of a session: its thread, and the order in which it is started and taken down.

How it stops: disconnect, so that nothing new comes; let what is in neonize's channel, and what the library is in the
middle of, drain through the callbacks; stop; wait for the thread. When the library does not let go in time (it may sit
in a dial), the thread is abandoned.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
import trio

from wa_worker.errors import SessionError
from wa_worker.models import InstanceId
from wa_worker.wakeup import Wakeup
from wa_worker.whatsapp import events
from wa_worker.whatsapp.client import Callbacks, QuietClient
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.unfinished import Unfinished

log = structlog.get_logger(__name__)

START_PATIENCE = 25.0
"""Seconds a start may hold the gate: whatsmeow's handshake gives up after 20."""

MAPS_CHANGED = 2.0
"""Seconds after which a start without a sign of life waits for the network, and has long changed the native maps
(`Neonize()` in neonize's main.go): sends of other sessions need not wait for it."""

CLOSE_PATIENCE = 40.0
"""Seconds for a close that nobody hurries: a dial under way holds the library's lock for up to 30."""

HASTE = 3.0
"""Seconds for a close when the worker stops: with a send before it and the farewell after it, less than LAST_RESORT."""

ON_ITS_WAY = 5
"""How often HASTE may pass again for a message that waits for the disk, while the worker goes on: its instance goes to
another one then, which must not be told of later messages first."""

DRAINED = 0.02
"""Seconds without a callback after which neonize's channel is empty: it hands over at once what is in it."""

IN_HAND = 2.0
"""Seconds for the message that the library is in the middle of: some statements of its store, which may be slow."""


class NativeSession:
    """Runs a session of the library on its thread. `threads` is a nursery that outlives it.

    codes: the events that it subscribes to. goes_on: whether the worker does. The owner rings `alive` at the first sign
    of life, and does its callbacks inside `callback()`.
    """

    def __init__(
        self,
        instance: InstanceId,
        client: QuietClient,
        gate: StartGate,
        threads: trio.Nursery,
        codes: list[int] = events.CODES,
        goes_on: Callable[[], bool] = lambda: False,
    ) -> None:
        self.instance = instance
        self.client = client
        self.alive = Wakeup()
        self.unfinished = Unfinished()
        self.closing = False
        """Whether its end has begun, or the library gave up: nothing is sent any more."""
        self._codes = codes
        self._goes_on = goes_on
        self._gate = gate
        self._threads = threads
        self._log = log.bind(instance=instance)
        self._callback_done = Wakeup()
        self._use = threading.Lock()
        self._uses = 0
        self._unused = Wakeup()
        self._busy = False
        self._begun = False
        """Whether its start has had its turn: before, the library does not know it and has nothing to take down."""
        self._ended = trio.Event()

    async def start(
        self, callbacks: Callbacks, failed: Callable[[str], None], obstacle: Callable[[], str | None]
    ) -> None:
        """Holds the gate until the first sign of life. Cancelled meanwhile: a moment longer, then no more.

        `failed(error)` is called when the library gives up by itself. Raises SessionError if by the time of its turn
        there is an obstacle.
        """
        async with self._gate.exclusive():
            if problem := obstacle():
                raise SessionError(problem)
            self._begun = True
            self._threads.start_soon(self._run, callbacks, failed)
            try:
                with trio.move_on_after(START_PATIENCE):
                    with trio.move_on_after(MAPS_CHANGED) as soon:
                        await self.alive.wait()
                    if soon.cancelled_caught:
                        self._gate.let_pass()
                        await self.alive.wait()
            except trio.Cancelled:
                with trio.move_on_after(HASTE / 2, shield=True):
                    await self.alive.wait()
                raise

    async def close(self) -> None:
        """Takes the session down; in haste if it is cancelled, before or meanwhile. While the worker goes on, a
        message that waits for the disk gets longer."""
        self.closing = True
        if not self._begun:
            return
        try:
            await self._take_down()
        finally:
            if not self._ended.is_set():
                with trio.move_on_after(HASTE, shield=True):
                    await self._take_down()
            for _ in range(ON_ITS_WAY):
                if self._ended.is_set() or not self._busy or not self._goes_on():
                    break
                with trio.CancelScope(deadline=trio.current_time() + HASTE, shield=True):
                    await self._take_down()
            if not self._ended.is_set():
                self._log.warning("the native library holds on to a session, its thread is abandoned")

    @contextmanager
    def callback(self) -> Iterator[None]:
        """A callback of the library is under way, on the session's thread: the end waits for it."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
            if self.closing:
                self._callback_done.ring()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """A call of the library is under way that ends the process if its session is stopped first: the stop waits.

        For any thread. Such a call must not begin once `closing` is set.
        """
        with self._use:
            self._uses += 1
        try:
            yield
        finally:
            with self._use:
                self._uses -= 1
            if self.closing:
                self._unused.ring()

    async def _run(self, callbacks: Callbacks, failed: Callable[[str], None]) -> None:
        """Blocks a thread of its own in the library until `stop()`. Cancelled: abandons it."""
        try:
            error = await trio.to_thread.run_sync(
                self.client.run, callbacks, self._codes, limiter=trio.CapacityLimiter(1), abandon_on_cancel=True
            )
            self.closing = True
            if error:
                failed(error)
        except RuntimeError as error:  # no thread to be had; here it would end the process
            self._begun = False
            failed(str(error))
        finally:
            self._ended.set()
            self.alive.ring()

    async def _take_down(self) -> None:
        with trio.move_on_after(CLOSE_PATIENCE) as patience:
            if not self._ended.is_set():
                await self._in_thread(self.client.disconnect)
        if patience.cancelled_caught:
            return
        await self._drain()
        with trio.move_on_after(CLOSE_PATIENCE):
            while self._uses:  # not for long: disconnected, it gets no answer
                self._unused.arm()
                if self._uses:
                    await self._unused.wait()
            async with self._gate.exclusive():
                await self._in_thread(self.client.stop)
                await self._ended.wait()

    async def _in_thread(self, call: Callable[[], None]) -> None:
        await trio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1))

    async def _drain(self) -> None:
        """Waits until no callback runs and none has for a moment; without limit while one waits for the disk. If the
        library was in the middle of a message when it was disconnected, that is waited for, too."""
        until = trio.current_time() + IN_HAND
        while not self._ended.is_set():
            self._callback_done.arm()
            with trio.move_on_after(math.inf if self._busy else DRAINED) as quiet:
                await self._callback_done.wait()
            late = not self.unfinished or trio.current_time() >= until
            if quiet.cancelled_caught and not self._busy and late:
                return
