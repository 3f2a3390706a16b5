"""Narrates one run of `wa-worker dev`: its lines, its QR codes, and the loop it waits for.

Owns the tasks that look at the proxy, and how the run ended. Opens nothing: session.py does. `run()` ends when
`running` is cancelled; the services go on, so that the worker's last lines are seen, until session.py cancels them.
"""

from __future__ import annotations

import json
import shlex
import signal
import time
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import trio

from wa_worker.dev.command.changes import FROM_WHATSAPP, ChangeFeed, expected
from wa_worker.dev.command.terminal import Terminal
from wa_worker.dev.errors import CannotDoError
from wa_worker.dev.proxy import ReferenceProxy, Store
from wa_worker.dev.world.qr import read_png_data_url
from wa_worker.dev.world.worker_process import WorkerProcess, in_words
from wa_worker.whatsapp.probe import ReachabilityProbe

if TYPE_CHECKING:
    from wa_worker.dev.world.people import SimulatedUsers

INSTANCE = "demo"

ONCE_PATIENCE = 60.0
"""Seconds for the whole loop with `once`: it takes about two, and CI machines are slow."""

_REMINDERS = (2, 10, 30)
"""Seconds of waiting after which it is said what for, and again each time the last number has passed."""

_HOW_TO_SCAN = "on your phone: WhatsApp > Linked devices > Link a device"
_HOW_TO_TYPE = "Linked devices > Link a device > Link with phone number instead"


@attrs.frozen
class Options:
    """`folder` None: a temporary one. `proxy_port` 0: any free one. `console_port` 0: any free one, None: the usual one
    or, if it is taken, any. `console_host`: the address it listens on. `once`: end when the loop was seen."""

    folder: Path | None
    proxy_port: int
    console_port: int | None
    console_host: str
    simulate: bool
    once: bool
    verbose: bool


class Narrator:
    """Tells on the terminal what one run does. `exit_code` is how it ended; to cancel `running` ends it."""

    def __init__(
        self,
        options: Options,
        folder: Path,
        proxy: ReferenceProxy,
        users: SimulatedUsers | None,
        reach: ReachabilityProbe | None,
        terminal: Terminal,
    ) -> None:
        self.running = trio.CancelScope()
        self.exit_code = 1 if options.once else 0
        self._options = options
        self._folder = folder
        self._proxy = proxy
        self._users = users
        self._reach = reach
        self._terminal = terminal
        self._started = time.time()
        self._console = ""
        self._connected = False
        proxy.store.add_instance(INSTANCE)
        self._changes = ChangeFeed(proxy.store, INSTANCE)
        self._phone_scans = users is not None
        """By itself, until the loop was seen: then people have the console's button for it."""
        if users is not None:
            users.say = self.say

    # --- lines

    def say(self, subject: str, text: str, colour: str | None = None) -> None:
        """Says it, after what has happened before it."""
        self._show_changes()
        self._terminal.say(subject, text, colour)

    def _show_changes(self) -> None:
        for line in self._changes.read(self._proxy.store):
            self._terminal.show(line)

    def introduce(self) -> None:
        what = "simulated WhatsApp: no phone, no internet" if self._users else "real WhatsApp"
        kept = "" if self._options.folder else " (removed at the end)"
        self._terminal.write(f"wa-worker dev, {what}. Ctrl-C ends it.\n\n")
        self.say("folder", f"{self._folder}{kept}")
        self.say("proxy", f'{self._proxy.url}, with an instance named "{INSTANCE}"')

    def introduce_console(self, url: str) -> None:
        self._console = url
        self.say("console", url, "green")

    def introduce_worker(self) -> None:
        self.say("worker", "starting, its log is worker.log in the folder")

    def take_log(self, event: dict[str, Any]) -> None:
        if self._options.verbose:
            self.say("log", in_words(event))
        elif event.get("level") in {"warning", "error", "critical"}:
            self.say("worker", in_words(event), "yellow")

    def _show_curl(self) -> None:
        if self._users:
            to, hint = self._users.contact, "Each message gets an answer. Queue another one:"
        else:
            to, hint = "PHONE-NUMBER", "Queue a message (PHONE-NUMBER: digits with country code):"
        body = json.dumps({"instanceId": INSTANCE, "to": to, "body": "How are you?"})
        header = shlex.quote(f"Authorization: Bearer {self._proxy.secret}")
        curl = f"curl -X POST {self._proxy.url}/admin/messages -H {header} -d {shlex.quote(body)}"
        page = f"Or write, and try more, in the console: {self._console}\n" if self._console else ""
        self._terminal.write(f"\n{hint}\n\n{curl}\n\n{page}Ctrl-C ends it.\n\n")

    def say_goodbye(self) -> None:
        if self._connected and not self._users and self._options.folder is None:
            self._terminal.write(
                "\nThe session is forgotten here: remove the device on your phone, under Linked devices.\n"
                "To keep a session: wa-worker dev --folder DIR\n"
            )

    # --- services

    async def narrate(self) -> None:
        """Says what happens at the proxy."""
        while True:
            for line in await self._proxy.wait_for(self._changes.read):
                self._terminal.show(line)

    async def show_codes(self) -> None:
        """Shows each new QR code, to the simulated phone too, and each pairing code."""
        count, to_type = 0, None
        shown: str | None = None

        def other_code(store: Store) -> tuple[str | None, str | None] | None:
            row = store.instance(INSTANCE)
            codes = (row.qr_code, row.pairing_code) if row else (None, None)
            return codes if codes != (shown, to_type) else None

        while True:
            other = await self._proxy.wait_for(other_code)
            assert other is not None
            before, (shown, typed) = shown, other
            if typed not in (None, to_type):
                self.say("code", f"or type {typed} on the phone: {_HOW_TO_TYPE}", "green")
            to_type = typed
            if shown == before:
                continue
            if shown is None:
                (self._folder / "qr.png").unlink(missing_ok=True)
                continue
            count += 1
            await self._show_code(shown, count)
            if self._users is not None and self._phone_scans:
                with suppress(CannotDoError):
                    await self._users.scan(INSTANCE, shown)

    async def _show_code(self, picture: str, count: int) -> None:
        try:
            code = await trio.to_thread.run_sync(read_png_data_url, picture)
        except ValueError as error:
            self.say("qr", f"the posted picture cannot be read: {error}", "red")
            return
        drawable = self._terminal.can_draw(code)
        if self._users:
            then = "" if self._phone_scans else "; the console has a button that scans it"
            self.say("qr", f"code {count} was posted, a PNG of {len(picture) * 3 // 4 / 1000:.1f} kB{then}")
            if drawable:
                self._terminal.draw(code, "Only the simulated phone can scan this one.")
            return
        file = self._folder / "qr.png"
        file.touch(mode=0o600)
        file.write_bytes(b64decode(picture.partition(",")[2]))
        if not drawable:
            self.say("qr", f"code {count} is in {file}; {_HOW_TO_SCAN}")
            return
        if count == 1:
            self.say("qr", f"scan this {_HOW_TO_SCAN}", "green")
        self._terminal.draw(code, f"Code {count}, {time.strftime('%H:%M:%S')}. If it does not fit: {file}")

    async def handle_signals(self, signals: AsyncIterator[int], worker: WorkerProcess) -> None:
        """The first ends the session, the second kills the worker."""
        async for number in signals:
            if number == signal.SIGINT:
                self._terminal.interrupted()
            if self.running.cancel_called:
                worker.process.kill()
            self.running.cancel()

    # --- the run itself

    async def run(self, worker: WorkerProcess) -> None:
        """Runs until the end, or until `running` is cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end_with_worker, worker)
            nursery.start_soon(self._end_with_reader)
            nursery.start_soon(self._remind, worker)
            nursery.start_soon(self._say_started, worker)
            patience = ONCE_PATIENCE if self._options.once else float("inf")
            with trio.move_on_after(patience) as limit:
                await (self._wait_for_loop() if self._users else self._wait_for_connection())
            if limit.cancelled_caught:
                self.say(
                    "error", f"the loop was not seen within {ONCE_PATIENCE:.0f} s; the worker's last lines:", "red"
                )
                self._show_last_lines(worker)
            if self._options.once:
                self.running.cancel()

    async def _wait_for_connection(self) -> None:
        await self._proxy.wait_for(_is_connected)
        self._connected = True
        self._show_changes()
        self._show_curl()

    async def _wait_for_loop(self) -> None:
        assert self._users is not None
        await self._proxy.wait_for(_is_connected)
        self._phone_scans = False
        seen = self._proxy.store.count_inbound(INSTANCE)
        text, answer = self._users.first_message, self._users.first_answer
        message = self._proxy.store.queue(INSTANCE, self._users.contact, text)

        def complete(store: Store) -> bool:
            sent = any(row.id == message and row.status == "sent" for row in store.messages(INSTANCE))
            return sent and any(row.body == answer for row in store.inbound(INSTANCE)[seen:])

        await self._proxy.wait_for(complete)
        self.exit_code = 0
        took = time.time() - self._started
        self.say("done", f"paired, message out, answer in: the whole loop in {took:.1f} s", "green")
        if not self._options.once:
            self._show_curl()

    async def _say_started(self, worker: WorkerProcess) -> None:
        """Says where health answers, once it does."""
        with suppress(trio.TooSlowError):  # _remind() says then what is being waited for
            await worker.answers()
            self.say("worker", f"started, health at http://127.0.0.1:{worker.port}/health")

    async def _end_with_worker(self, worker: WorkerProcess) -> None:
        code = await worker.process.wait()
        with trio.move_on_after(1):  # a child of its may hold the log open
            await worker.log_ended.wait()
        self.exit_code = 1
        self.say("error", f"the worker ended by itself ({_exit_in_words(code)}); its last lines:", "red")
        self._show_last_lines(worker)
        self.running.cancel()

    async def _end_with_reader(self) -> None:
        await self._terminal.gone.wait()
        self.running.cancel()

    async def _remind(self, worker: WorkerProcess) -> None:
        """Says what is being waited for, if that takes its time, and whether the network is why."""
        last, since, reminders = None, 0.0, list(_REMINDERS)
        while True:
            what = self._expected() if worker.port else "the worker to start"
            if what != last:
                last, since, reminders = what, trio.current_time(), list(_REMINDERS)
            elapsed = trio.current_time() - since
            if what is not None and elapsed >= reminders[0]:
                reminders = reminders[1:] or [reminders[0] + _REMINDERS[-1]]
                problem = await self._reach.problem() if self._reach and what in FROM_WHATSAPP else None
                self.say("...", f"waiting for {what} ({elapsed:.0f} s)")
                if problem:
                    self.say("network", problem, "red")
            await trio.sleep(0.25)

    def _expected(self) -> str | None:
        return expected(self._proxy.store, INSTANCE, simulated=self._phone_scans, since=self._started)

    def _show_last_lines(self, worker: WorkerProcess) -> None:
        for line in worker.last_lines:
            self.say("log", line)


def _is_connected(store: Store) -> bool:
    row = store.instance(INSTANCE)
    return row is not None and row.status == "CONNECTED"


def _exit_in_words(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
