"""The disk of PostgreSQL is full: sessions close before messages are lost, and are back when there is room."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from tests.cluster.cluster import open_cluster
from tests.cluster.server import open_server
from tests.cluster.traffic import Traffic
from tests.postgres_server import program

SIZE = 176
"""Megabytes: a server of one database has some 70, its log of changes included."""


@contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of that size. It takes the right to mount one: skips without."""
    folder = Path(tempfile.mkdtemp(prefix="wa-worker-small-"))
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE}m,mode=0755", "none", folder], check=False, capture_output=True
        ).returncode
    )
    try:
        if not mounted:
            pytest.skip("a file system cannot be mounted here")
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", "-l", folder], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def fill(ballast: Path) -> None:
    """Leaves no room for one more page."""
    with ballast.open("ab", buffering=0) as file:
        for size in (2**20, 4096):
            try:
                while True:
                    file.write(secrets.token_bytes(size))
            except OSError:
                pass


async def test_full_sessions_close_and_come_back_with_room(tmp_path: Path) -> None:
    if program("initdb") is None:
        pytest.skip("PostgreSQL not found: run .ci/worker-proxy-services")
    with small_disk() as folder, open_server(folder) as server:
        async with open_cluster(tmp_path, server.url) as cluster:
            names = await cluster.working(workers=2, instances=4)
            scans = len(cluster.world.codes)
            simulator, jids = cluster.world.simulator, cluster.world.jids
            traffic = Traffic(cluster, names, rate=20)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(cluster.play_host)
                nursery.start_soon(traffic.run)
                await cluster.world.until(lambda store: len(store.inbound()) > 8)
                ballast = folder / "ballast"
                await trio.to_thread.run_sync(fill, ballast)
                filled = trio.current_time()
                await cluster.until(lambda: not any(simulator.connected(jids[name]) for name in names), 90)
                cluster.note(all_closed_after=trio.current_time() - filled)
                traffic.pause()
                await trio.sleep(5)
                ballast.unlink()
                if not await trio.to_thread.run_sync(server.answers):
                    cluster.note(postgresql_had_to_be_started_again=1)
                    await server.start()
                cluster.note(connected_after=await cluster.until(lambda: cluster.all_connected(names), 90))
                account = await traffic.end()
                nursery.cancel_scope.cancel()
            account.check()
            assert len(cluster.world.codes) == scans
            assert max(simulator.retry_receipts.values(), default=0) <= 1
            cluster.note(rounds=traffic.rounds, retry_receipts=sum(simulator.retry_receipts.values()))
