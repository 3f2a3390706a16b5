"""neonize as we call it: its client, but on one quiet thread, with our own callbacks.

`NewClient.connect()` parks two Python threads and wakes them five times a second per session. This subclass calls
the same library function with the same arguments straight on the calling thread: no wake-ups, half the threads.
Read from neonize 0.5.2 and pinned to it: a test fails when the version moves, then compare `connect_with_proxy`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import attrs
from neonize._binder import func_callback_bytes, func_callback_bytes2, func_string, gocode
from neonize.client import NewClient
from neonize.proto.Neonize_pb2 import LogEntry
from neonize.proto.waCompanionReg.WAWebProtobufsCompanionReg_pb2 import DeviceProps

from wa_worker.whatsapp.parsing import parsed, readable

NEONIZE_VERSION = "0.5.2"

ME = 0
"""Code of the first callback of a session: its own Device, when connect() got through the handshake."""

LOG_LEVEL = b"WARN"
"""What the Go core reports. Never DEBUG: it prints QR codes and whole stanzas."""


@attrs.frozen
class Callbacks:
    """Says what a session reports, on whatever thread the library likes. None of them may raise.

    `on_event(code, data)`: the protobuf of an event, serialised. `on_log(level, name, message)`: a line of the Go core.
    `on_qr(code)` and `on_login(status)` ('success', 'timeout', ...): only while unpaired.
    """

    on_event: Callable[[int, bytes], None]
    on_log: Callable[[str, str, str], None]
    on_qr: Callable[[str], None] = lambda _code: None
    on_login: Callable[[str], None] = lambda _status: None


class QuietClient(NewClient):  # type: ignore[misc]  # neonize has no types
    """Runs a session of the library. Not thread-safe by itself: see gate.py for who may call what when."""

    def __init__(self, dsn: str, uuid: str, device_name: str) -> None:
        super().__init__(
            dsn,
            uuid=uuid,
            props=DeviceProps(os=device_name, platformType=DeviceProps.DESKTOP),
        )
        # it would call Stop() whenever this object is collected: outside the gate, perhaps on a successor's id
        self._stop_finalizer.detach()

    def run(self, callbacks: Callbacks, codes: list[int]) -> str:
        """Connects and blocks until `stop()`; callbacks of `codes` come on this thread.

        Returns the library's error, '' if there was none. Never returns if it is stopped while a QR code waits.
        """
        subscribed = bytearray(codes)
        buffer = (ctypes.c_char * len(subscribed)).from_buffer(subscribed)
        props = self.device_props.SerializeToString()
        # local names keep the ctypes thunks alive for as long as Go may call them: until Neonize() returns
        on_qr = func_string(lambda _uuid, text: callbacks.on_qr(readable(ctypes.string_at(text))))
        on_login = func_string(lambda _uuid, text: callbacks.on_login(readable(ctypes.string_at(text))))
        on_event = func_callback_bytes(
            lambda _uuid, data, size, code: callbacks.on_event(code, ctypes.string_at(data, size))
        )
        on_log = func_callback_bytes2(lambda data, size: _log_line(callbacks, data, size))
        error = gocode.Neonize(
            self.name.encode(),
            self.uuid,
            b"",
            0,
            0,
            LOG_LEVEL,
            on_qr,
            on_login,
            on_event,
            on_log,
            buffer,
            len(subscribed),
            props,
            len(props),
            b"",
            0,
            None,
        )
        _LEFT_OVER.append((on_qr, on_login, on_event, on_log, buffer))
        return readable(error) if error else ""


_LEFT_OVER: list[object] = []
"""Thunks of ended sessions: a straggling goroutine may still log through them, and a freed thunk is a crash.
Some hundred bytes for each session that was ever opened."""


def _log_line(callbacks: Callbacks, data: int, size: int) -> None:
    entry = parsed(LogEntry, ctypes.string_at(data, size))
    callbacks.on_log(entry.Level, entry.Name, entry.Message)
