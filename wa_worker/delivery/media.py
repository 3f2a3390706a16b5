"""The files of received messages, from WhatsApp's media host to the proxy's storage.

Two queues of the journal's rows: those to download, and those to upload. A row is a key of its own, so no file waits
for another. Both far sides may be away for long: then their queue tries with pauses, and messages go without their
files meanwhile (file_waits.py).

What ends a file is asked for more than once: see media_refusals.py for the media host and for a storage that refuses a
file, and media_endpoint.py for a proxy that takes none. A file that was on its way for days is given up by
retention.py. One of a message that the proxy does not want goes nowhere.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

import structlog
import trio

from wa_worker.config import Settings
from wa_worker.delivery.keyed_queue import KeyedQueue, NothingAsked
from wa_worker.delivery.media_endpoint import DOUBT, UploadEndpoint
from wa_worker.delivery.media_folder import MediaFolder
from wa_worker.delivery.media_refusals import HostRefusals, StorageRefusals
from wa_worker.delivery.waiting_keys import NotBefore
from wa_worker.edge import media_upload
from wa_worker.edge.client import EdgeClient
from wa_worker.edge.media_upload import DamagedFile, Uploader
from wa_worker.errors import EdgeRejected, EdgeUnavailable, JournalError, NoUploads
from wa_worker.journal import FileStep, ReceivedFile, ReceivedMedia
from wa_worker.messages import MediaError
from wa_worker.metrics import MediaResult, Metrics
from wa_worker.models import Egress, InstanceId
from wa_worker.whatsapp import media_host
from wa_worker.whatsapp.media_host import MediaHost, MediaRefused

log = structlog.get_logger(__name__)

AT_ONCE = 20
"""Files that are downloaded at once, and as many that are uploaded: each takes some 200 KB of memory."""

THREADS = 4
"""That read, write and decrypt files: the journal has others, and does not wait for a slow disk."""

NOT_WANTED_PAUSE = 5.0
"""Seconds between looks at a file whose message the proxy does not want, or of which that is not known: it is settled
soon."""

OWN_PROXY_PAUSE = 15.0
"""Seconds before another try through a proxy that one instance alone has: it says nothing of the files of others."""

DISK_PAUSE = 5.0
"""Seconds before another try to begin on a volume that cannot be used."""

T = TypeVar("T")


class _Files(KeyedQueue):
    failure = "a received file is not passed on, will retry"
    rescan = math.inf
    """Nobody else changes these rows."""


class MediaDelivery:
    """Passes files on. One per process. Ring `wakeup` after a commit of a message with one.

    folder: for its files alone. environ: names the proxy to WhatsApp. decided(chat): is told when it is known what
    becomes of a file of this chat, or that it will not be for long. egress(instance): by which way an instance goes
    out to WhatsApp.
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
        self.egress: Callable[[InstanceId], Egress] = lambda instance: None
        self._endpoint = UploadEndpoint(edge.evidence)
        self.refusals = HostRefusals()
        self._storage_refusals = StorageRefusals(edge.evidence)
        self._downloads = _Files("download", self._finder(FileStep.WANTED), self._download, width=lambda: AT_ONCE)
        self._uploads = _Files(
            "upload",
            self._finder(FileStep.STORED),
            self._upload,
            width=lambda: AT_ONCE,
            recovery=edge.evidence.recovery,
        )
        self.wakeup = self._downloads.wakeup

    def gained(self) -> None:
        """Looks for the files of an instance that was another worker's. Any thread. What is on that one's disk is
        downloaded once more."""
        self._downloads.wakeup.ring()
        self._uploads.wakeup.ring()

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
        chats = await self._until_possible(lambda: self._media.settle_all(MediaError.OFF))
        if chats:
            log.info("files of an earlier run are not passed on: MEDIA_IN is off", files=len(chats))
        for chat in set(chats):
            self.decided(chat)
        await self._prepare()

    async def tidy(self) -> None:
        """Deletes the files of messages that were given up meanwhile: nobody asks for them any more, and they would
        take the room of others. Raises JournalError."""
        if whole := self._folder.whole():
            for seq in whole - await trio.to_thread.run_sync(self._open, whole):
                await self._folder.drop(seq)

    def _open(self, seqs: Collection[int]) -> set[int]:
        return {seq for seq in seqs if self._media.get(seq) is not None}

    def _finder(self, step: FileStep) -> Callable[[int, int], list[int]]:
        return lambda after, limit: self._media.keys(step, after, limit)

    async def _prepare(self) -> None:
        """Deletes what a crash has left."""
        stored = await self._until_possible(lambda: self._media.keys(FileStep.STORED, 0, sys.maxsize))
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
        file = await self._at(seq, FileStep.WANTED)
        if failure := await self._hopeless(file):
            await self._settle(file, failure=failure)
            raise NothingAsked  # of the media host
        egress = self.egress(file.instance)
        try:
            async with self._folder.writing(seq, self._most) as part:
                size = await self._host.fetch(
                    file.reference,
                    part.write,
                    most=self._most,
                    received=self._metrics.media_downloaded,
                    egress=egress,
                )
                await self._folder.kept(seq, part, size)
        except EdgeUnavailable as error:
            if egress is None or error.endpoint != media_host.NAME:
                raise
            log.warning("a received file does not come through its instance's proxy, will retry", reason=error.detail)
            raise NotBefore(trio.current_time() + OWN_PROXY_PAUSE) from None
        except MediaRefused as refusal:
            await self._refused(file, refusal)
            return
        await trio.to_thread.run_sync(self._media.stored, seq)
        self.refusals.served(seq)
        self._uploads.wakeup.ring()

    async def _refused(self, file: ReceivedFile, refusal: MediaRefused) -> None:
        """Acts on a refusal of the media host's. Raises NotBefore while it is not believed."""
        if self.refusals.refused(file.seq, refusal.error):
            log.warning("a received file cannot be had", reason=refusal.error.value, detail=refusal.detail)
            await self._settle(file, failure=refusal.error)
            return
        if self.refusals.begins_to_last(file.seq):
            log.warning("the media host refuses a received file, will retry", detail=refusal.detail)
            self.decided(file.chat)
        raise NotBefore(self.refusals.next_try(file.seq))

    async def _at(self, seq: int, step: FileStep) -> ReceivedFile:
        """Returns a file that is at this step, and is to be passed on. Raises NothingAsked or NotBefore for any
        other."""
        file = await trio.to_thread.run_sync(self._media.get, seq)
        if file is None or file.step is not step:
            if file is not None:  # a former owner of the instance has taken the step, and could tell nobody here
                self.gained()
            self._forget(seq)
            raise NothingAsked
        structlog.contextvars.bind_contextvars(instance=file.instance)  # of this file's task
        if file.message is None or file.message.media is None:  # a person discarded it, or the proxy did not want it
            await self._end(file, None, MediaError.DAMAGED)
            raise NothingAsked
        if not self._edge.wants.includes(file.message):
            raise NotBefore(trio.current_time() + NOT_WANTED_PAUSE)
        return file

    async def _hopeless(self, file: ReceivedFile) -> MediaError | None:
        """Says why a file need not be asked for. Raises NotBefore if that is not known yet."""
        if file.reference.size > self._most:
            return MediaError.TOO_LARGE
        await self._endpoint.ask(file.instance, lambda: self._edge.media_upload(file, file.reference.size))
        return MediaError.NO_UPLOAD if self._endpoint.is_absent(file.instance) else None

    async def _upload(self, seq: int) -> None:
        file = await self._at(seq, FileStep.STORED)
        size = await self._folder.size_of(seq)
        if self._endpoint.is_absent(file.instance):
            await self._settle(file, failure=MediaError.NO_UPLOAD)
            raise NothingAsked
        if size is None:
            await self._lost(seq)
        else:
            await self._upload_file(file, size)

    async def _upload_file(self, file: ReceivedFile, size: int) -> None:
        try:
            target = await self._edge.media_upload(file, size)
            self._endpoint.is_there(file.instance)
            await self._uploader.upload(target, self._folder.path(file.seq), file, size)
        except NoUploads as error:
            if not self._endpoint.believes(file.instance):
                raise EdgeUnavailable(error.endpoint, error.detail, error.status, DOUBT) from error
            await self._settle(file, failure=MediaError.NO_UPLOAD)
        except (DamagedFile, FileNotFoundError):
            await self._lost(file.seq)
        except OSError as error:
            raise EdgeUnavailable("the volume", f"gives no file: {error.strerror or type(error).__name__}") from error
        except EdgeRejected as error:
            if not self._storage_refusals.refused(file.seq):
                raise
            log.error("a received file is given up: the proxy's storage refuses it", reason=str(error))
            await self._settle(file, failure=MediaError.NO_UPLOAD, refused=True)
        else:
            self._edge.evidence.accepted(media_upload.NAME, file.seq)
            self._metrics.media_uploaded(size)
            await self._settle(file, url=target.url)

    async def _settle(
        self, file: ReceivedFile, *, url: str | None = None, failure: MediaError | None = None, refused: bool = False
    ) -> None:
        await self._end(file, url, failure, refused=refused)
        self._metrics.media_settled(MediaResult.UPLOADED if failure is None else MediaResult(failure.value))

    async def _end(
        self, file: ReceivedFile, url: str | None, failure: MediaError | None, *, refused: bool = False
    ) -> None:
        def settle() -> None:
            self._media.settle(file.seq, url=url, failure=failure, refused=refused)

        await trio.to_thread.run_sync(settle)
        self._forget(file.seq)
        self.decided(file.chat)
        await self._folder.drop(file.seq)

    async def _lost(self, seq: int) -> None:
        """The file on the volume is gone, or another: it is wanted again."""
        log.error("a received file is not on the volume as it was written: it is downloaded again")
        await self._folder.drop(seq)
        await trio.to_thread.run_sync(self._media.lost, seq)
        self._downloads.wakeup.ring()

    def _forget(self, seq: int) -> None:
        self.refusals.forget(seq)
        self._storage_refusals.forget(seq)
