"""Files of received messages: from the simulated media host to the reference proxy's storage, and what that costs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import trio

from wa_worker.dev.bench.bare_copy import Copy, curl_copy, httpx_copy
from wa_worker.dev.bench.bed import Bed
from wa_worker.dev.bench.measure import forget_peak, own_cpu, peak, percentile, usage
from wa_worker.dev.bench.scenarios import SETTLING, Row
from wa_worker.dev.simulator.media_host import MEDIA_HOST
from wa_worker.models import RESERVED_FOLDER

MB = 2**20
FOLDER = "received-files"

AT_ONCE = 20
"""Files, each in a chat of its own."""

PAUSE = 0.02
"""Seconds between two texts whose latency is measured."""


async def media_in(bed: Bed, size: int, times: int, settling: float = SETTLING) -> list[Row]:
    """A document of `size` MB, `times` times, in turns with bare copies of the same bytes; then twenty at once.

    settling: seconds before memory at rest is taken.
    """
    condition = bed.condition(f"a file of {size} MB, {times} times")
    contact = bed.simulator.contact("5511600000001")
    data = os.urandom(size * MB)
    message = contact.files.document(data)
    async with bed.worker() as worker:
        await bed.all_connected()
        await _receive(bed, {"5511600000001": contact.files.image(os.urandom(10_000))})  # TLS, threads, connections
        took: list[float] = []
        bare: dict[str, list[float]] = {"httpx": [], "curl": []}
        before, own = usage(worker.pid).cpu, 0.0
        for _ in range(times):
            cpu, began = own_cpu(), trio.current_time()
            await _receive(bed, {"5511600000001": message})
            took.append(trio.current_time() - began)
            own += own_cpu() - cpu
            for name, copy in (("httpx", httpx_copy), ("curl", curl_copy)):
                with suppress(FileNotFoundError):
                    bare[name].append(await copy(_copy(bed, message), bed.folder / "copy", environ(bed)))
        spent = usage(worker.pid).cpu - before
        row = bed.proxy.store.inbound(min(bed.jids), last=1)[0]
        assert bed.proxy.storage.read(row.content["media"]["url"]) == data, "the file at the proxy is another one"
        middle = percentile(took, 0.5)
        return [
            Row("media-in", condition, "frame -> posted with its file", middle, "s"),
            Row("media-in", condition, "rate", size / middle, "MB/s"),
            *ratios("media-in", condition, middle, bare),
            Row("media-in", condition, "worker CPU", 1000 * spent / (size * times), "ms/MB"),
            Row("media-in", condition, "CPU of the bench itself", 1000 * own / (size * times), "ms/MB"),
            *await _many(bed, worker.pid, message, size, settling),
        ]


def ratios(scenario: str, condition: str, seconds: float, bare: Mapping[str, list[float]]) -> list[Row]:
    """Compares the seconds with those of each kind of bare copy."""
    rows = []
    for name, took in bare.items():
        if took:
            middle = percentile(took, 0.5)
            rows.append(Row(scenario, condition, f"a bare copy by {name}", middle, "s"))
            rows.append(Row(scenario, condition, f"the worker : {name}", seconds / middle, ""))
    return rows


async def _many(bed: Bed, pid: int, message: Any, size: int, settling: float) -> list[Row]:
    """Twenty files at once, with texts of somebody else beside them: memory, and how long the texts take."""
    condition = bed.condition(f"{AT_ONCE} files of {size} MB at once")
    name = min(bed.jids)
    await trio.sleep(settling)
    idle, cpu, own = usage(pid), usage(pid).cpu, own_cpu()
    alone = await _texts(bed, name, trio.Event(), at_most=100)
    forget_peak(pid)
    beside: list[float] = []
    lags: list[float] = []
    done = trio.Event()
    began = trio.current_time()
    async with trio.open_nursery() as nursery:

        async def texts() -> None:
            beside.extend(await _texts(bed, name, done))

        nursery.start_soon(texts)
        nursery.start_soon(_lags, lags, done)
        await _receive(bed, {f"55116100000{n:02}": message for n in range(AT_ONCE)})
        elapsed = trio.current_time() - began
        most = peak(pid)
        done.set()
    spent, own = usage(pid).cpu - cpu, own_cpu() - own
    await trio.sleep(settling)
    left = list((bed.auth_dir / RESERVED_FOLDER / FOLDER).iterdir())
    return [
        Row("media-in", condition, "all posted in", elapsed, "s"),
        Row("media-in", condition, "rate", AT_ONCE * size / elapsed, "MB/s"),
        Row("media-in", condition, "worker CPU", 1000 * spent / (AT_ONCE * size), "ms/MB"),
        Row("media-in", condition, "CPU of the bench itself", 1000 * own / (AT_ONCE * size), "ms/MB"),
        Row("media-in", condition, "peak of memory (RSS) above idle", most - idle.rss, "MB"),
        Row("media-in", condition, "memory (RSS) afterwards above idle", usage(pid).rss - idle.rss, "MB"),
        Row("media-in", condition, "files left on the volume", len(left), ""),
        *(
            Row("media-in", condition, f"{what}, {share}", percentile(values, at), "ms")
            for what, values in (
                ("texts alone -> /inbound", alone),
                ("texts beside them -> /inbound", beside),
                ("the bench's own lag beside them", lags),
            )
            for share, at in (("p50", 0.5), ("p99", 0.99))
        ),
        Row("media-in", condition, "texts beside them", len(beside), ""),
    ]


async def _receive(bed: Bed, messages: Mapping[str, Any]) -> None:
    """Sends these messages, by contact, and waits until the proxy has them and their files."""
    store, name = bed.proxy.store, min(bed.jids)

    def there() -> int:
        return sum(row.uploaded_at is not None for row in store.files(name))

    def posted() -> int:
        return sum("media" in row.content for row in store.inbound(name))

    wanted = len(messages)
    files, rows = there(), posted()
    for phone, message in messages.items():
        await bed.simulator.contact(phone).send(bed.jids[name], message)
    with trio.fail_after(bed.patience):
        await bed.proxy.wait_for(lambda _: there() >= files + wanted and posted() >= rows + wanted)


async def _texts(bed: Bed, name: str, done: trio.Event, at_most: int = 1_000_000) -> list[float]:
    """Sends single texts, each when the last is posted; milliseconds of each. Until `done`, or so many."""
    store, contact = bed.proxy.store, bed.simulator.contact("5511600000002")
    took: list[float] = []
    with trio.fail_after(bed.patience):
        for n in range(at_most):
            text = f"text {n} beside {at_most} {id(done)}"
            began = trio.current_time()
            await contact.send(bed.jids[name], text)
            await bed.proxy.wait_for(lambda _, text=text: any(r.body == text for r in store.inbound(name, last=25)))  # type: ignore[misc]
            took.append(1000 * (trio.current_time() - began))
            if done.is_set():
                break
            await trio.sleep(PAUSE)
    return took


async def _lags(into: list[float], done: trio.Event) -> None:
    """Milliseconds by which the bench's own event loop is late: what no worker could be faster than."""
    while not done.is_set():
        due = trio.current_time() + 0.005
        await trio.sleep_until(due)
        into.append(1000 * (trio.current_time() - due))


def _copy(bed: Bed, message: Any) -> Copy:
    """From where the worker gets it to where it puts it, and with the same bytes: encrypted, they are as many."""
    content = message.documentMessage
    encrypted = bed.simulator.media.file(content.directPath)
    announced = {
        "instanceId": min(bed.jids),
        "chat_id": "bench@s.whatsapp.net",
        "wa_message_id": os.urandom(8).hex(),
        "message_type": "document",
        "mime_type": "application/pdf",
        "size": len(encrypted),
        "sha256": hashlib.sha256(encrypted).hexdigest(),
        "filename": None,
    }
    answer = bed.proxy.storage.announce(announced, bed.proxy.url)
    headers = {"Content-Type": "application/pdf"}
    return Copy(f"https://{MEDIA_HOST}{content.directPath}", str(answer["upload_url"]), "PUT", headers)


def environ(bed: Bed) -> dict[str, str]:
    """Returns the environment in which the simulated hosts are reached."""
    return {**os.environ, **bed.simulator.environment(Path(bed.folder)), "NO_PROXY": "127.0.0.1"}
