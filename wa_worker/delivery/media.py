"""The files of received messages, from WhatsApp's media host to the proxy's storage.

Two queues of the journal's rows: those to download, and those to upload. A row is a key of its own, so no file waits
for another. Both far sides may be away for long: then their queue tries with pauses, and messages go without their
files meanwhile (file_waits.py).

What ends a file is asked for more than once: see REFUSALS for the media host and for a storage that refuses a file, and
`_Endpoint` for a proxy that takes none. A file that was on its way for days is given up by retention.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import attrs
import structlog
import trio

from wa_worker.config import Settings
from wa_worker.delivery.keyed_queue import KeyedQueue
from wa_worker.delivery.media_folder import MediaFolder
from wa_worker.delivery.waiting_keys import NotBefore
from wa_worker.edge import media_upload
from wa_worker.edge.client import EdgeClient
from wa_worker.edge.evidence import Evidence
from wa_worker.edge.media_upload import DamagedFile, Uploader
from wa_worker.errors import EdgeRejected, EdgeUnavailable, JournalError, NoUploads
from wa_worker.journal import FileStep, ReceivedFile, ReceivedMedia
from wa_worker.messages import MediaError
from wa_worker.metrics import MediaResult, Metrics
from wa_worker.whatsapp.media_host import MediaHost, MediaRefused

log = structlog.get_logger(__name__)

AT_ONCE = 20
"""Files that are downloaded at once, and as many that are uploaded: each takes some 200 KB of memory."""

THREADS = 4
"""That read, write and decrypt files: the journal has others, and does not wait for a slow disk."""

REFUSALS = 3
"""Times that the media host does not have a file, or gives another than the message says, before that is believed: a
file that was just uploaded may not be everywhere yet, and one that was cut on the way may be whole the next time."""

REFUSAL_PAUSE = 2.0
"""Seconds between these."""

UPLOAD_REFUSED_FOR = 120.0
"""Seconds for which a storage must have refused a file, while it took others, before that is believed."""

ASK_AGAIN = 600.0
"""Seconds after which a proxy that takes no files is asked again."""

SURELY_GONE = 30.0
"""Seconds for which a proxy that took files before must say that it takes none: a function that is being replaced says
so for a moment."""

DISK_PAUSE = 5.0
"""Seconds before another try to begin on a volume that cannot be used."""

T = TypeVar("T")

DOUBT = 2.0
"""Seconds before it is asked once more, to make sure."""


class _Files(KeyedQueue):
    failure = "a received file is not passed on, will retry"
    rescan = math.inf
    """Nobody else changes these rows."""


@attrs.define
class _Refusals:
    first: float
    count: int = 0


class _Endpoint:
    """Whether the proxy takes files: it says so itself, and that counts once it has listed instances well since."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._doubted: float | None = None
        self._absent_until = -math.inf

    @property
    def absent(self) -> bool:
        return trio.current_time() < self._absent_until

    def is_there(self) -> None:
        self._doubted = None

    def believes(self) -> bool:
        """Says whether it counts that the proxy has just said that it takes no files."""
        now = trio.current_time()
        first = self._doubted = now if self._doubted is None else self._doubted
        known = self._evidence.latest(media_upload.ENDPOINT) is not None
        if (known and now - first < SURELY_GONE) or not self._evidence.listed_since(first):
            return False
        log.info("the proxy takes no files: messages go without them", again_seconds=round(ASK_AGAIN))
        self._doubted, self._absent_until = None, now + ASK_AGAIN
        return True


class MediaDelivery:
    """Passes files on. One per process. Ring `wakeup` after a commit of a message with one.

    folder: for its files alone. environ: names the proxy to WhatsApp. decided(chat): is told when it is known what
    becomes of a file of this chat.
    """

    def __init__(
        self,
        media: ReceivedMedia,
        edge: EdgeClient,
        metrics: Metrics,
        folder: Path,
        settings: Settings,
        environ: Mapping[str, str],
    ) -> None:
        threads = trio.CapacityLimiter(THREADS)
        self._media = media
        self._edge = edge
        self._metrics = metrics
        self._most = settings.media_max * 2**20
        self._host = MediaHost(environ, threads)
        self._uploader = Uploader(settings.edge_base_url, threads, allow_private=settings.media_allow_private)
        self._folder = MediaFolder(folder, settings.media_disk * 2**20, threads)
        self.decided: Callable[[int], None] = lambda chat: None
        self._endpoint = _Endpoint(edge.evidence)
        self._refusals: dict[int, _Refusals] = {}
        self._downloads = _Files("download", self._finder(FileStep.WANTED), self._download, width=lambda: AT_ONCE)
        self._uploads = _Files(
            "upload",
            self._finder(FileStep.STORED),
            self._upload,
            width=lambda: AT_ONCE,
            recovery=edge.evidence.recovery,
        )
        self.wakeup = self._downloads.wakeup

    async def run(self) -> None:
        """Runs until cancelled. A file under way then is begun anew at the next start."""
        await self._prepare()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._downloads.run)
                nursery.start_soon(self._uploads.run)
        finally:
            await self._host.aclose()
            await self._uploader.aclose()

    async def turn_off(self) -> None:
        """Settles what an earlier run, in which files were passed on, has left. Runs instead of run()."""
        count = await self._until_possible(lambda: self._media.settle_all(MediaError.OFF))
        if count:
            log.info("files of an earlier run are not passed on: MEDIA_IN is off", files=count)
        await self._prepare()

    def _finder(self, step: FileStep) -> Callable[[int, int], list[int]]:
        return lambda after, limit: self._media.keys(step, after, limit)

    async def _prepare(self) -> None:
        """Deletes what a crash has left."""
        stored = await self._until_possible(lambda: self._media.keys(FileStep.STORED, 0, -1))
        taken = await self._until_possible(lambda: self._folder.tidied(stored))
        self._folder.begin(taken)

    async def _until_possible(self, call: Callable[[], T]) -> T:
        """Makes a blocking call, again and again while the disk does not let it."""
        while True:
            try:
                return await trio.to_thread.run_sync(call)
            except (OSError, JournalError) as error:
                log.error("received files cannot be passed on, trying again", reason=str(error))
                await trio.sleep(DISK_PAUSE)

    async def _download(self, seq: int) -> None:
        file = await trio.to_thread.run_sync(self._media.get, seq)
        if file is None or file.step is not FileStep.WANTED:
            return
        structlog.contextvars.bind_contextvars(instance=file.instance)  # of this file's task
        if failure := self._hopeless(file):
            await self._settle(file, failure=failure)
            return
        try:
            async with self._folder.writing(seq, self._most) as part:
                size = await self._host.fetch(
                    file.reference, part.write, most=self._most, received=self._metrics.media_downloaded
                )
                await self._folder.kept(seq, part, size)
        except MediaRefused as refusal:
            if self._count(seq) < REFUSALS:
                raise NotBefore(trio.current_time() + REFUSAL_PAUSE) from None
            log.warning("a received file cannot be had", reason=refusal.error.value, detail=refusal.detail)
            await self._settle(file, failure=refusal.error)
            return
        await trio.to_thread.run_sync(self._media.stored, seq)
        self._refusals.pop(seq, None)
        self._uploads.wakeup.ring()

    def _hopeless(self, file: ReceivedFile) -> MediaError | None:
        """Says why a file need not be asked for."""
        if file.message is None or file.message.media is None:
            return MediaError.DAMAGED
        if file.reference.size > self._most:
            return MediaError.TOO_LARGE
        return MediaError.NO_UPLOAD if self._endpoint.absent else None

    async def _upload(self, seq: int) -> None:
        file = await trio.to_thread.run_sync(self._media.get, seq)
        if file is None or file.step is not FileStep.STORED:
            return
        structlog.contextvars.bind_contextvars(instance=file.instance)  # of this file's task
        size = await self._folder.size_of(seq)
        if file.message is None or file.message.media is None or self._endpoint.absent:
            await self._settle(file, failure=MediaError.NO_UPLOAD)
        elif size is None:
            await self._lost(seq)
        else:
            await self._upload_file(file, size)

    async def _upload_file(self, file: ReceivedFile, size: int) -> None:
        try:
            target = await self._edge.media_upload(file, size)
            self._endpoint.is_there()
            await self._uploader.upload(target, self._folder.path(file.seq), file, size)
        except NoUploads as error:
            if not self._endpoint.believes():
                raise EdgeUnavailable(error.endpoint, error.detail, error.status, DOUBT) from error
            await self._settle(file, failure=MediaError.NO_UPLOAD)
        except (DamagedFile, FileNotFoundError):
            await self._lost(file.seq)
        except OSError as error:
            raise EdgeUnavailable("the volume", f"gives no file: {error.strerror or type(error).__name__}") from error
        except EdgeRejected as error:
            if not self._is_refused(file.seq):
                raise
            log.error("a received file is given up: the proxy's storage refuses it", reason=str(error))
            await self._settle(file, failure=MediaError.NO_UPLOAD)
        else:
            self._edge.evidence.accepted(media_upload.NAME, file.seq)
            self._metrics.media_uploaded(size)
            await self._settle(file, url=target.url)

    async def _settle(self, file: ReceivedFile, *, url: str | None = None, failure: MediaError | None = None) -> None:
        def settle() -> None:
            self._media.settle(file.seq, url=url, failure=failure)

        await trio.to_thread.run_sync(settle)
        self._refusals.pop(file.seq, None)
        self._metrics.media_settled(MediaResult.UPLOADED if failure is None else MediaResult(failure.value))
        self.decided(file.chat)
        await self._folder.drop(file.seq)

    async def _lost(self, seq: int) -> None:
        """The file on the volume is gone, or another: it is wanted again."""
        log.error("a received file is not on the volume as it was written: it is downloaded again")
        await self._folder.drop(seq)
        await trio.to_thread.run_sync(self._media.lost, seq)
        self._downloads.wakeup.ring()

    def _count(self, seq: int) -> int:
        refusals = self._refusals.setdefault(seq, _Refusals(trio.current_time()))
        refusals.count += 1
        return refusals.count

    def _is_refused(self, seq: int) -> bool:
        """Counts a refusal of the proxy's or its storage's, and says whether it is believed."""
        count = self._count(seq)
        first = self._refusals[seq].first
        others = self._edge.evidence.of_others_since(media_upload.NAME, seq, first)
        return count >= REFUSALS and trio.current_time() - first >= UPLOAD_REFUSED_FOR and others
