"""What the bench measures of files, with small ones: that its figures are of what they say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.dev.bench.test_scenarios import open_paired, value
from wa_worker.dev.bench.measure import forget_peak, peak, usage
from wa_worker.dev.bench.media_in import AT_ONCE, media_in, ratios
from wa_worker.dev.bench.media_out import media_out
from wa_worker.dev.bench.run import Bench
from wa_worker.dev.bench.scenarios import Row

TAKES_AND_FREES = "a = bytearray(64 << 20); del a; print(flush=True); input()"


def one(rows: list[Row], figure: str, condition: str) -> float:
    (row,) = (row for row in rows if row.figure == figure and condition in row.condition)
    return row.value


async def test_files_in_are_copied_and_come_at_once(tmp_path: Path) -> None:
    async with open_paired(tmp_path) as bed:
        rows = await media_in(bed, 1, 2, settling=0.2)
        store = bed.proxy.store
        files = store.files()
        assert sum(row.uploaded_at is not None for row in files if row.chat != "bench@s.whatsapp.net") == 3 + AT_ONCE
        # a bare copy brings all bytes there, too: the storage takes no part of a file
        copies = [row for row in files if row.chat == "bench@s.whatsapp.net"]
        ways = 2 if shutil.which("curl") else 1
        assert [row.uploaded_at is not None for row in copies] == [True] * 2 * ways
    single, many = "a file of 1 MB", f"{AT_ONCE} files of 1 MB"
    took = one(rows, "frame -> posted with its file", single)
    assert one(rows, "rate", single) == 1 / took
    assert one(rows, "the worker : httpx", single) == took / one(rows, "a bare copy by httpx", single)
    assert one(rows, "rate", many) == AT_ONCE / one(rows, "all posted in", many)
    assert one(rows, "worker CPU", many) > 0
    peak_above = one(rows, "peak of memory (RSS) above idle", many)
    assert peak_above >= one(rows, "memory (RSS) afterwards above idle", many)
    assert one(rows, "files left on the volume", many) == 0
    assert one(rows, "texts beside them", many) >= 1
    for texts in ("texts alone -> /inbound", "texts beside them -> /inbound", "the bench's own lag beside them"):
        assert 0 < one(rows, f"{texts}, p50", many) <= one(rows, f"{texts}, p99", many)


async def test_files_out_are_copied_and_leave_nothing(tmp_path: Path) -> None:
    async with open_paired(tmp_path) as bed:
        rows = await media_out(bed, 1, 3, settling=0.2)
        assert bed.proxy.store.count_messages("sent") == 4
        uploads = bed.simulator.media.requested(method="POST")
        assert uploads == 3 * (3 if shutil.which("curl") else 2)
    took = value(rows, "queued -> decrypted")
    assert value(rows, "rate") == 1 / took
    assert value(rows, "the worker : httpx") == took / value(rows, "a bare copy by httpx")
    assert value(rows, "peak of memory (RSS) above idle, all") >= value(rows, "peak of memory (RSS) above idle, first")
    assert value(rows, "peak of memory (RSS) above idle, all") >= value(rows, "memory (RSS) above idle after three")
    assert value(rows, "files left on the volume") == 0


async def test_both_are_run_when_they_are_asked_for(tmp_path: Path) -> None:
    async with open_paired(tmp_path) as bed:
        bench = Bench(bed, (2,), ["media-out"], quick=True)
        await bench._files()
        assert {row.scenario for row in bench.rows} == {"media-out"}


def test_a_ratio_is_of_the_middle_of_what_was_measured() -> None:
    rows = ratios("media-in", "", 3.0, {"httpx": [1.0, 9.0, 2.0], "curl": []})
    assert [(row.figure, row.value) for row in rows] == [("a bare copy by httpx", 2.0), ("the worker : httpx", 1.5)]


def test_a_peak_is_the_most_since_the_last_one_was_forgotten() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TAKES_AND_FREES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        now = usage(process.pid).rss
        assert peak(process.pid) > now + 60
        forget_peak(process.pid)
        assert peak(process.pid) < now + 10
        process.kill()
