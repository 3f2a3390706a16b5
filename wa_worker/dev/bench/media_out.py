"""Files that are sent: from a link on this machine to the simulated media host and the contact, and what that costs."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import trio

from wa_worker.dev.bench.bare_copy import Copy, curl_copy, httpx_copy
from wa_worker.dev.bench.bed import Bed
from wa_worker.dev.bench.measure import forget_peak, own_cpu, peak, percentile, usage
from wa_worker.dev.bench.media_in import MB, environ, ratios
from wa_worker.dev.bench.scenarios import SETTLING, Row
from wa_worker.dev.loopback import HOST
from wa_worker.dev.simulator.media_host import MEDIA_HOST
from wa_worker.models import RESERVED_FOLDER

FOLDER = "files-to-send"
TO = "5511600000003"


async def media_out(bed: Bed, size: int, times: int, settling: float = SETTLING) -> list[Row]:
    """A document of `size` MB, `times` times, in turns with bare copies of the same bytes.

    settling: seconds before memory at rest is taken.
    """
    condition = bed.condition(f"a file of {size} MB, {times} times")
    data = os.urandom(size * MB)
    contact = bed.simulator.contact(TO)
    async with bed.worker(MEDIA_ALLOW_PRIVATE="1", MSG_POLL_MS="200") as worker, _open_link(data) as link:
        await bed.all_connected()
        await _send_text(bed)
        await trio.sleep(settling)
        idle = usage(worker.pid)
        forget_peak(worker.pid)
        took: list[float] = []
        bare: dict[str, list[float]] = {"httpx": [], "curl": []}
        own, first, after_three = 0.0, 0.0, 0.0
        for n in range(times):
            cpu, began = own_cpu(), trio.current_time()
            await _send(bed, link)
            took.append(trio.current_time() - began)
            own += own_cpu() - cpu
            first = first or peak(worker.pid)
            if n == min(times, 3) - 1:
                await trio.sleep(settling)
                after_three = usage(worker.pid).rss
            for name, copy in (("httpx", httpx_copy), ("curl", curl_copy)):
                with suppress(FileNotFoundError):
                    bare[name].append(await copy(_copy(link, data), bed.folder / "copy", environ(bed)))
        spent = usage(worker.pid).cpu - idle.cpu
        assert contact.files.open(contact.received[-1].message) == data, "the file at the contact is another one"
        left = list((bed.auth_dir / RESERVED_FOLDER / FOLDER).iterdir())
        middle = percentile(took, 0.5)
        return [
            Row("media-out", condition, "queued -> decrypted", middle, "s"),
            Row("media-out", condition, "rate", size / middle, "MB/s"),
            *ratios("media-out", condition, middle, bare),
            Row("media-out", condition, "worker CPU", 1000 * spent / (size * times), "ms/MB"),
            Row("media-out", condition, "CPU of the bench itself", 1000 * own / (size * times), "ms/MB"),
            Row("media-out", condition, "peak of memory (RSS) above idle, first", first - idle.rss, "MB"),
            Row("media-out", condition, "peak of memory (RSS) above idle, all", peak(worker.pid) - idle.rss, "MB"),
            Row("media-out", condition, "memory (RSS) above idle after three", after_three - idle.rss, "MB"),
            Row("media-out", condition, "files left on the volume", len(left), ""),
        ]


async def _send_text(bed: Bed) -> None:
    contact = bed.simulator.contact(TO)
    have = len(contact.received)
    bed.proxy.store.queue(min(bed.jids), TO, "first")
    with trio.fail_after(bed.patience):
        await contact.wait_received(have + 1)


async def _send(bed: Bed, link: str) -> None:
    contact = bed.simulator.contact(TO)
    have, sent = len(contact.received), bed.proxy.store.count_messages("sent")
    bed.proxy.store.queue_row(min(bed.jids), TO, type="document", media={"link": link, "filename": "bench.bin"})
    with trio.fail_after(bed.patience):
        await contact.wait_received(have + 1)
        await bed.proxy.wait_for(lambda s: s.count_messages("sent") > sent)


def _copy(link: str, data: bytes) -> Copy:
    """From the link to where the worker puts it: the same number of bytes, though not encrypted."""
    token = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
    return Copy(link, f"https://{MEDIA_HOST}/mms/document/{token}?auth=bench&token={token}", "POST")


@asynccontextmanager
async def _open_link(data: bytes) -> AsyncIterator[str]:
    """Yields a URL whose host answers every request with the file."""
    head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/octet-stream\r\n"
    head += f"Content-Length: {len(data)}\r\n\r\n"

    async def answer(stream: trio.SocketStream) -> None:
        asked = b""
        async with stream:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                while b"\r\n\r\n" not in asked and (piece := await stream.receive_some()):
                    asked += piece
                await stream.send_all(head.encode() + data)
                await stream.send_eof()
                while await stream.receive_some():  # closed at once, what was sent would not all arrive
                    pass

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, answer, 0, host=HOST))
        yield f"http://{HOST}:{listeners[0].socket.getsockname()[1]}/bench.bin"
        nursery.cancel_scope.cancel()
