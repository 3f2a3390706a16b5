"""Uploads of files to WhatsApp's media host, through the library: one at a time in the whole process.

The library holds a file in memory twice over while it encrypts it, has no time-out and cannot be cancelled. So a
file is bounded in size before it comes here, an upload has a deadline after which its thread is abandoned, and while
too many of those hang, none is begun. Nothing was sent by an upload: whatever fails may be tried again.
"""

from __future__ import annotations

import mmap
import threading
from pathlib import Path

import structlog
import trio
from neonize.exc import NeonizeError
from neonize.proto import Neonize_pb2 as pb

from wa_worker.errors import SendDelayed, WorkerTrouble
from wa_worker.messages import MediaKind, UploadedFile
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


class Uploads:
    """One per process. Trio thread only."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._turn = trio.Lock()
        self._count = threading.Lock()
        self._running = 0

    @property
    def running(self) -> int:
        """The threads that are in an upload, the abandoned ones with them."""
        return self._running

    async def upload(self, native: NativeSession, kind: MediaKind, file: Path) -> UploadedFile:
        """Uploads a file. Raises SendDelayed, WorkerTrouble or SessionNotOpen.

        Cancelled: leaves the thread to itself.
        """
        async with self._turn:
            if native.closing:
                raise session_not_open()
            if self._running >= MOST_ABANDONED:
                raise WorkerTrouble(f"{self._running} uploads hang: no more are begun", pause=HANGING_PAUSE)
            deadline = self._patience + (await trio.Path(file).stat()).st_size / SLOWEST
            with trio.move_on_after(deadline):
                return await trio.to_thread.run_sync(
                    self._upload, native, kind, file, limiter=trio.CapacityLimiter(1), abandon_on_cancel=True
                )
        log.warning(
            "an upload takes too long, its thread is abandoned", instance=native.instance, hanging=self._running
        )
        raise SendDelayed(f"no answer to an upload within {deadline:.0f} s", pause=TROUBLE_PAUSE)

    def _upload(self, native: NativeSession, kind: MediaKind, file: Path) -> UploadedFile:
        """On a thread of its own. It counts itself: who is cancelled before it begins has no thread."""
        with self._count:
            self._running += 1
        try:
            # mapped and not read: what malloc takes for a file of this size, it does not give back. It is unmapped when
            # nothing refers to it any more, such as the traceback of an error
            with file.open("rb") as opened:
                mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)
            answer = native.client.upload_as(kind, mapped)
        except NeonizeError as error:
            raise _upload_error(str(error)) from error
        except OSError as error:
            raise WorkerTrouble(f"the file cannot be read: {error.strerror}", pause=TROUBLE_PAUSE) from error
        except ValueError as error:
            raise SendDelayed("the file is empty", pause=TROUBLE_PAUSE) from error
        finally:
            with self._count:
                self._running -= 1
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
