"""The child process that shows QR codes: `python -m wa_worker.whatsapp.pairing_host FD`.

While a code waits, neonize's connect() cannot be made to return, nor after the codes have run out: its threads are
lost. So unpaired sessions live here, in a process that can be killed. It speaks JSON lines over the socket `FD`
(the Go core prints to stdout and stderr at will) and exits when that closes, so a killed parent leaves no orphan.

    parent: {"do": "pair", "pairing": token, "dsn": ..., "device_name": ..., "history"?: "recent",
             "proxy"?: URL}
            {"do": "end", "pairing": token} | {"do": "code", "pairing": token, "phone": digits}
    child:  {"pairing": token, "is": "qr", "code": ...} | {..., "is": "paired"} | {..., "is": "ended", "reason": ...}
            {..., "is": "code", "code": ..., "expires_at": unix seconds} | {..., "is": "no code", "reason": ...}
            {..., "is": "message", "me": base64, "data": base64} | {..., "is": "log", "level", "part", "text"}

After a scan whatsmeow logs in here once, for a moment, before this closes the session and says "paired"; a message
that arrives in that moment is handed to the parent for its journal. So one that is told to end after its scan closes
the session and says "paired" all the same; otherwise it says "ended" at once.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import threading
import time
from typing import Any

from wa_worker.models import Secret
from wa_worker.whatsapp.kept_out import kept_out

with kept_out():
    from neonize.exc import NeonizeError

    from wa_worker.whatsapp.client import ME, Callbacks, QuietClient
from wa_worker.whatsapp.events import Code
from wa_worker.whatsapp.gate import SETTLE, StartGate

START_PATIENCE = 25.0
"""Seconds a start may keep the others waiting: whatsmeow's handshake gives up after 20."""

LOGIN_PATIENCE = 30.0
"""Seconds for the first login after a scan; the device is in the store by then, so the parent can go on anyway."""

LOOP_PATIENCE = 1.0
"""Seconds from a scan to the library's event loop, which it enters at once: before that it must not be stopped."""

CODE_LIFE = 160.0
"""Seconds that a pairing code lives from the first QR code on: as long as the socket, which is closed when the last of
six QR codes has run out (one for 60 s, five for 20)."""

DRAINED = 0.05
"""Seconds without a callback after which nothing is left in neonize's channel."""

_CODES = [int(Code.CONNECTED), int(Code.MESSAGE)]


class Parent:
    """Keeps the line to the parent. Thread-safe; a closed line ends the process."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._lock = threading.Lock()

    def say(self, **fields: Any) -> None:
        line = json.dumps(fields).encode() + b"\n"
        with self._lock:
            try:
                self._socket.sendall(line)
            except OSError:
                os._exit(0)

    def commands(self) -> Any:
        with self._socket.makefile("rb") as lines:
            for line in lines:
                yield json.loads(line)


class Pairing:
    """Runs one unpaired session. `starts` makes starts and stops exclusive (see gate.py)."""

    def __init__(self, parent: Parent, starts: threading.Lock, command: dict[str, str]) -> None:
        self._parent = parent
        self._starts = starts
        self._token = command["pairing"]
        proxy = command.get("proxy")
        self._client = QuietClient(
            Secret(command["dsn"]),
            self._token,
            command["device_name"],
            StartGate(),  # `starts` is the gate here
            recent_history=command.get("history") == "recent",
            proxy=None if proxy is None else Secret(proxy),
        )
        self._me = b""
        self._over = False
        self._running = False
        self._scanned = False
        self._socket_since = 0.0
        self._last_warning = ""
        self._in_callback = False
        self._last_callback = 0.0
        self._turn_taken = False
        self._turn = threading.Lock()
        self._deciding = threading.Lock()
        self._loop_begun = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def end(self) -> None:
        """Ends it. Its thread may stay behind: that is why this is a process of its own.

        One that nobody has scanned not by `stop()`: when the codes run out, the library goes on to look its client up
        (`FetchMe` in neonize's main.go), and one that was stopped meanwhile is not there, which takes the process down.
        """
        with self._deciding:
            if scanned := self._scanned:
                pass
            elif not self._over:
                self._end("told to end")
        if scanned:
            if self._loop_begun.wait(LOOP_PATIENCE):
                self._finish()
            return
        with self._starts:
            if self._running:
                self._client.disconnect()

    def ask_for_code(self, phone: str) -> None:
        """Says a code that pairs the phone of this number. Blocks until WhatsApp answers."""
        begun = threading.Event()
        asking = threading.Thread(target=self._ask_for_code, args=(phone, begun), daemon=True)
        with self._starts:
            if not self._running:
                return
            asking.start()
            begun.wait(SETTLE * 10)
            time.sleep(SETTLE)

    def _ask_for_code(self, phone: str, begun: threading.Event) -> None:
        begun.set()
        try:
            code = self._client.pair_phone(phone)
        except NeonizeError as error:
            self._say("no code", reason=str(error))
        else:
            self._say("code", code=code, expires_at=int(self._socket_since + CODE_LIFE))

    def _run(self) -> None:
        self._starts.acquire()
        self._turn_taken = True
        if self._over:
            self._give_turn_back()
            return
        patience = threading.Timer(START_PATIENCE, self._give_turn_back)
        patience.daemon = True
        patience.start()
        self._running = True
        error = self._client.run(Callbacks(self._on_event, self._on_log, self._on_qr, self._on_login), _CODES)
        self._running = False
        patience.cancel()
        self._give_turn_back()
        self._loop_begun.set()
        if not self._scanned:
            self._end(error or "the session ended")
        else:  # stopped by _finish(), or its loop ended by itself: then the parent need not wait for the login
            self._finish()

    def _give_turn_back(self) -> None:
        with self._turn:
            if self._turn_taken:
                self._turn_taken = False
                self._starts.release()

    def _say(self, what: str, **fields: Any) -> None:
        if not self._over:
            self._parent.say(pairing=self._token, **{"is": what}, **fields)

    def _end(self, reason: str) -> None:
        self._say("ended", reason=reason)
        self._over = True

    # callbacks, on neonize's threads

    def _on_qr(self, code: str) -> None:
        self._give_turn_back()
        self._socket_since = self._socket_since or time.time()
        self._say("qr", code=code)

    def _on_login(self, status: str) -> None:
        self._give_turn_back()
        with self._deciding:
            if status != "success" or self._over:
                # a request for a passkey that could not be read is an "error" like others, but for the line before it
                self._end(f"{status}: {self._last_warning}" if status == "error" else status)
                return
            self._scanned = True
        late = threading.Timer(LOGIN_PATIENCE, self._finish)
        late.daemon = True
        late.start()

    def _on_event(self, code: int, data: bytes) -> None:
        self._in_callback = True  # for as long as the parent does not read what it is told
        try:
            if code == ME:
                self._me = data
                self._loop_begun.set()
            elif code == Code.CONNECTED:
                threading.Thread(target=self._finish, daemon=True).start()
            else:
                encoded = {"me": base64.b64encode(self._me).decode(), "data": base64.b64encode(data).decode()}
                self._say("message", **encoded)
        finally:
            self._last_callback = time.monotonic()
            self._in_callback = False

    def _on_log(self, level: str, part: str, text: str) -> None:
        self._last_warning = text
        self._say("log", level=level, part=part, text=text)

    def _finish(self) -> None:
        """Closes the paired session, so that the parent can open it."""
        with self._starts:
            self._client.disconnect()
            if self._over:  # scanned in the moment in which it was ended: nobody takes what would come
                return
            while self._in_callback or time.monotonic() < self._last_callback + DRAINED:
                time.sleep(DRAINED / 2)
            self._client.stop()
            self._say("paired")
            self._over = True


def main() -> None:
    os.umask(0o077)
    parent = Parent(int(sys.argv[1]))
    starts = threading.Lock()
    pairings: dict[str, Pairing] = {}
    for command in parent.commands():
        token = command["pairing"]
        if command["do"] == "pair":
            pairings[token] = Pairing(parent, starts, command)
        elif command["do"] == "code":
            if waiting := pairings.get(token):
                threading.Thread(target=waiting.ask_for_code, args=(command["phone"],), daemon=True).start()
        elif pairing := pairings.pop(token, None):
            threading.Thread(target=pairing.end, daemon=True).start()
    os._exit(0)  # threads that cannot end must not keep the process


if __name__ == "__main__":
    main()
