"""Uploads of files to WhatsApp's media host, through the library: one at a time in the whole process.

The library holds a file in memory twice over while it encrypts it, has no time-out and cannot be cancelled, not even by
closing its session. So a file is bounded in size before it comes here, and an upload has a deadline. Then its thread is
abandoned, and its connection is cut (quiet_sockets.py), which ends the call, and gives the file and its memory back. If
that finds no connection, the upload hangs on; while too many hang, none is begun, and rows with files fail after their
tries. Nothing was sent by an upload: whatever fails may be tried again.
"""

from __future__ import annotations

import mmap
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

import attrs
import structlog
import trio
from neonize.exc import NeonizeError
from neonize.proto import Neonize_pb2 as pb

from wa_worker.errors import SendDelayed, WorkerTrouble
from wa_worker.messages import MediaKind, UploadedFile
from wa_worker.whatsapp import quiet_sockets
from wa_worker.whatsapp.native_session import NativeSession
from wa_worker.whatsapp.send_errors import TROUBLE_PAUSE, send_error, session_not_open

log = structlog.get_logger(__name__)

PATIENCE = 30.0
"""Seconds for an upload, besides those that its bytes take at SLOWEST."""

SLOWEST = 100_000.0
"""Bytes a second: a line that is slower is not one to send files over."""

MOST_ABANDONED = 3
"""Threads that hang in an upload, each with its file in memory, before no more are begun."""

HANGING_PAUSE = 60.0

QUIET = 0.8
"""The share of the time since an upload began for which its connection has brought nothing, when it hangs: the host
speaks before a file, when the connection is made, and after it."""


@attrs.define(eq=False)
class _Call:
    """One upload. `deadline`: seconds. `before`: the sockets of the process when it began; empty: it has not."""

    deadline: float
    began: float = attrs.field(factory=time.monotonic)
    before: Collection[int] = frozenset()
    over: bool = False
    left: bool = False
    """Whether nobody waits for it any more."""


class Uploads:
    """One per process. Trio thread only.

    told(hanging): is called, from any thread, when the number of uploads that hang changes.
    """

    def __init__(self, patience: float = PATIENCE, told: Callable[[int], None] = lambda _hanging: None) -> None:
        self._patience = patience
        self._told = told
        self._turn = trio.Lock()
        self._count = threading.Lock()
        self._abandoned: list[_Call] = []
        self.cut = quiet_sockets.cut

    @property
    def hanging(self) -> int:
        """The abandoned threads that are in an upload."""
        return len(self._abandoned)

    async def upload(self, native: NativeSession, kind: MediaKind, file: Path) -> UploadedFile:
        """Uploads a file. Raises SendDelayed, WorkerTrouble or SessionNotOpen.

        Cancelled: leaves the thread to itself.
        """
        async with self._turn:
            if native.closing:
                raise session_not_open()
            await self._cut()
            if self.hanging >= MOST_ABANDONED:
                raise SendDelayed(f"{self.hanging} uploads hang: no more are begun", pause=HANGING_PAUSE)
            deadline = self._patience + (await trio.Path(file).stat()).st_size / SLOWEST
            call = _Call(deadline)
            try:
                with trio.move_on_after(deadline):
                    return await trio.to_thread.run_sync(
                        self._upload, call, native, kind, file, limiter=trio.CapacityLimiter(1), abandon_on_cancel=True
                    )
            finally:
                self._abandon(call)
            hanging = self.hanging
            log.warning(
                "an upload takes too long, its thread is abandoned",
                instance=native.instance,
                hanging=hanging,
                cut=await self._cut(),
            )
        raise SendDelayed(f"no answer to an upload within {deadline:.0f} s", pause=TROUBLE_PAUSE)

    def _abandon(self, call: _Call) -> None:
        """Counts a call whose thread is left to itself."""
        with self._count:
            call.left = True
            if call.before and not call.over:
                self._abandoned.append(call)
                self._told(self.hanging)

    def _is_over(self, call: _Call) -> None:
        with self._count:
            call.over = True
            if call in self._abandoned:
                self._abandoned.remove(call)
                self._told(self.hanging)

    async def _cut(self) -> int:
        """Cuts the connections of the calls that are past their deadlines; those of ended sessions, too. Returns how
        many."""
        now = time.monotonic()
        late = [call for call in list(self._abandoned) if now - call.began >= call.deadline]
        cuts = [await trio.to_thread.run_sync(self.cut, call.before, QUIET * (now - call.began)) for call in late]
        return sum(cuts)

    def _upload(self, call: _Call, native: NativeSession, kind: MediaKind, file: Path) -> UploadedFile:
        """On a thread of its own. It says itself that it has begun: who is cancelled before has no thread."""
        try:
            # mapped and not read: what malloc takes for a file of this size, it does not give back. It is unmapped when
            # nothing refers to it any more, such as the traceback of an error
            with file.open("rb") as opened:
                mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)
            with self._count:
                if call.left:
                    raise SendDelayed("the upload was given up before it began", pause=TROUBLE_PAUSE)
                call.before = quiet_sockets.present()
            answer = native.client.upload_as(kind, mapped)
        except NeonizeError as error:
            raise _upload_error(str(error)) from error
        except OSError as error:
            raise WorkerTrouble(f"the file cannot be read: {error.strerror}", pause=TROUBLE_PAUSE) from error
        except ValueError as error:
            raise SendDelayed("the file is empty", pause=TROUBLE_PAUSE) from error
        finally:
            self._is_over(call)
        return _uploaded(answer)


def _upload_error(text: str) -> SendDelayed:
    """Says what an error of the library's `upload` means. Nothing was sent, so nothing is refused or uncertain."""
    error = send_error(text)
    return error if isinstance(error, SendDelayed) else SendDelayed(text, pause=TROUBLE_PAUSE)


def _uploaded(answer: pb.UploadResponse) -> UploadedFile:
    if not (answer.DirectPath and answer.MediaKey and answer.FileEncSHA256):
        raise SendDelayed("WhatsApp's media host does not say where the file is", pause=TROUBLE_PAUSE)
    return UploadedFile(
        answer.url, answer.DirectPath, answer.MediaKey, answer.FileSHA256, answer.FileEncSHA256, answer.FileLength
    )
