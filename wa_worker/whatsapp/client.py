"""neonize as we call it: its client, but on one quiet thread, with our own callbacks.

`NewClient.connect()` parks two Python threads and wakes them five times a second per session. This subclass calls
the same library function with the same arguments straight on the calling thread: no wake-ups, half the threads.
Read from neonize 0.5.2 and pinned to it: a test fails when the version moves, then compare `connect_with_proxy`.

Nothing else touches the library's functions, and here each of them passes the start gate (gate.py), whatever method of
neonize calls it; those that change the native maps are for who holds the gate.

The library's loop can end by itself: it hands over each event as a protobuf, and gives up at the first that it cannot
write, such as a receipt whose type it has no name for. whatsmeow stays connected then, and acknowledges messages that
nobody hears of. So the thread that comes back from an end that nobody asked for cuts the connection before all else.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs
from neonize._binder import ProxySettings, func_callback_bytes, func_callback_bytes2, func_string, gocode
from neonize.client import NewClient
from neonize.exc import PairPhoneError
from neonize.proto import Neonize_pb2 as pb
from neonize.proto.Neonize_pb2 import LogEntry, PairPhoneParams, PairPhoneReturnFunction
from neonize.proto.waCompanionReg.WAWebProtobufsCompanionReg_pb2 import DeviceProps
from neonize.utils.enum import ChatPresence, ChatPresenceMedia, MediaType

from wa_worker.messages import MediaKind
from wa_worker.models import Secret
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.parsing import parsed, readable

NEONIZE_VERSION = "0.5.2"

ME = 0
"""Code of the first callback of a session: its own Device, when connect() got through the handshake."""

NEEDS_GATE = frozenset({"Neonize", "Stop"})
"""The functions that change the native maps. Their caller is alone: he holds the gate, and must not wait at it."""

CHROME = 1
"""whatsmeow's number of that browser (`PairClientChrome` in its pair-code.go). WhatsApp takes names of common browsers
and systems only."""

NO_HISTORY = DeviceProps.HistorySyncConfig(
    fullSyncDaysLimit=1, fullSyncSizeMbLimit=1, storageQuotaMb=1, recentSyncDaysLimit=1
)
"""What the phone is asked to send of its history when it links the device: the least, since 0 may mean its own limits.
whatsmeow fetches and reads whatever comes, in this process, and nobody here wants it."""

RECENT_HISTORY = DeviceProps.HistorySyncConfig(
    fullSyncDaysLimit=7, fullSyncSizeMbLimit=10, storageQuotaMb=10, recentSyncDaysLimit=7
)
"""A week: for the secrets of messages of before, by which votes in their polls can be read."""

ENDED_SILENTLY = "the library's loop ended and did not say why"

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


class GatedLibrary:
    """Stands for the library's functions: each passes the gate right before it reads the native maps.

    Any thread but Trio's; it blocks while a start or stop is under way.
    """

    def __init__(self, gate: StartGate) -> None:
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        function = getattr(gocode, name)
        if name in NEEDS_GATE:
            return function

        def gated(*arguments: Any) -> Any:
            self._gate.pass_through()
            return function(*arguments)

        return gated


class QuietClient(NewClient):  # type: ignore[misc]  # neonize has no types
    """Runs a session of the library. `run()` and `stop()` are for who holds the gate, the rest waits at it.

    proxy: the URL of the proxy through which all of it goes out, media too, as the library reads it; None: by
    HTTPS_PROXY, or straight.
    """

    def __init__(
        self,
        dsn: Secret,
        uuid: str,
        device_name: str,
        gate: StartGate,
        *,
        recent_history: bool = False,
        proxy: Secret | None = None,
    ) -> None:
        props = DeviceProps(
            os=device_name,
            platformType=DeviceProps.DESKTOP,
            requireFullSync=False,
            historySyncConfig=RECENT_HISTORY if recent_history else NO_HISTORY,
        )
        super().__init__(dsn.reveal(), uuid=uuid, props=props)
        # it would call Stop() whenever this object is collected: outside the gate, perhaps on a successor's id
        self._stop_finalizer.detach()
        self._gate = gate
        self._stopped = False
        self._proxy = proxy
        self._hidden = passwords_in(dsn)
        library = GatedLibrary(gate)
        self._NewClient__client = library
        for part in (self.contact, self.chat_settings):
            setattr(part, f"_{type(part).__name__}__client", library)

    def run(self, callbacks: Callbacks, codes: list[int]) -> str:
        """Connects and blocks until `stop()`; callbacks of `codes` come on this thread.

        Returns the library's error, '' after `stop()`. If nobody has stopped it, the connection is cut by then: what
        WhatsApp has yet to deliver stays there, what the library had taken and not handed over is lost. Never returns
        if it is stopped while a QR code waits.
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
        on_log = func_callback_bytes2(lambda data, size: self._log_line(callbacks, data, size))
        proxy = None if self._proxy is None else ProxySettings(self._proxy.reveal())._to_c_struct()
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
            None if proxy is None else ctypes.byref(proxy),
        )
        if not self._stopped:
            self.cut()
        _LEFT_OVER.append((on_qr, on_login, on_event, on_log, buffer))
        return self._hide(readable(error)) if error else "" if self._stopped else ENDED_SILENTLY

    def pair_phone(self, phone: str) -> str:
        """Asks for a code by which the phone of this number (digits) can link the device: `ABCD-1234`. Blocks until
        WhatsApp answers. Raises PairPhoneError; only while a QR code waits there is none.

        The helper of neonize would call the device what WhatsApp may refuse: `DESKTOP`, after our kind of device.
        """
        params = PairPhoneParams(
            phone=phone, showPushNotification=True, clientType=CHROME, clientDisplayName="Chrome (Linux)"
        ).SerializeToString()
        returned = parsed(PairPhoneReturnFunction, self._NewClient__client.PairPhone(self.uuid, params, len(params)))
        if returned.Error:
            raise PairPhoneError(returned.Error)
        return str(returned.Code)

    def upload_as(self, kind: MediaKind, file: mmap.mmap) -> pb.UploadResponse:
        """Encrypts a file with the keys of its kind and gives it to WhatsApp's media host. Blocks, for ever if that
        says nothing; nothing can end it. Raises neonize's UploadError."""
        return self.upload((ctypes.c_char * len(file)).from_buffer(file), _MEDIA_TYPES[kind])

    def show_typing(self, to: pb.JID, *, recording: bool = False, over: bool = False) -> None:
        """Shows the other end of a chat that somebody writes or records, or that this is over. Raises NeonizeError."""
        state = ChatPresence.CHAT_PRESENCE_PAUSED if over else ChatPresence.CHAT_PRESENCE_COMPOSING
        media = ChatPresenceMedia.CHAT_PRESENCE_MEDIA_AUDIO if recording else ChatPresenceMedia.CHAT_PRESENCE_MEDIA_TEXT
        self.send_chat_presence(to, state, media)

    def stop(self) -> None:
        """Stops the session: `run()` returns. For who holds the gate."""
        self._stopped = True
        super().stop()

    def cut(self) -> None:
        """Disconnects without waiting at the gate. A start holds that for up to 2 s, at boot for one session after the
        other, and each message that comes meanwhile is lost. What is risked instead: this reads a native map once,
        some 100 ns, and a start writes to it once.
        """
        self._gate.pass_at_once()
        gocode.Disconnect(self.uuid)

    def _log_line(self, callbacks: Callbacks, data: int, size: int) -> None:
        entry = parsed(LogEntry, ctypes.string_at(data, size))
        callbacks.on_log(entry.Level, entry.Name, self._hide(entry.Message))

    def _hide(self, text: str) -> str:
        for password in self._hidden:
            text = text.replace(password, "***")
        return text


def passwords_in(dsn: Secret) -> tuple[str, ...]:
    """Returns the password of a URL as it is written there and as it is meant; none of what is no URL."""
    try:
        written = urlsplit(dsn.reveal()).password if "://" in dsn.reveal() else None
    except ValueError:
        written = None
    return tuple(sorted({written, unquote(written)}, key=len, reverse=True)) if written else ()


_MEDIA_TYPES = {
    MediaKind.IMAGE: MediaType.MediaImage,
    MediaKind.STICKER: MediaType.MediaImage,
    MediaKind.VIDEO: MediaType.MediaVideo,
    MediaKind.AUDIO: MediaType.MediaAudio,
    MediaKind.DOCUMENT: MediaType.MediaDocument,
}
"""By our kind and never by the file's first bytes: a receiver derives the keys from the kind of message."""

_LEFT_OVER: list[object] = []
"""Thunks of ended sessions: a straggling goroutine may still log through them, and a freed thunk is a crash.
Some hundred bytes for each session that was ever opened."""
