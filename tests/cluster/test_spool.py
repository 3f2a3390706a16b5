"""Messages that the library had handed over when the journal could not take them: they arrive all the same."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import trio

from tests.cluster.cluster import Cluster
from tests.cluster.server import Server
from wa_worker.postgres.connecting import connect

PATIENCE = 60.0


@contextmanager
def inbox_locked(cluster: Cluster) -> Iterator[psycopg.Connection]:
    """Has every commit of a received message wait, for as long as PostgreSQL lets one wait; the keys are untouched."""
    with closing(connect(cluster.url, "test lock")) as sql:
        sql.execute("BEGIN")
        sql.execute("LOCK TABLE wa.inbox IN ACCESS EXCLUSIVE MODE")
        yield sql


async def handed_over(cluster: Cluster, name: str, texts: list[str]) -> None:
    """A contact writes, and the worker has it all: WhatsApp has its receipts, and the journal has nothing."""
    simulator, jid = cluster.world.simulator, cluster.world.jids[name]
    contact = simulator.contact("5511988880001")
    for text in texts:
        await contact.send(jid, text)
    await cluster.until(lambda: not simulator.pending(jid), PATIENCE)


def posted(cluster: Cluster, name: str) -> list[str]:
    return [row.body for row in cluster.world.proxy.store.inbound(name)]


async def test_postgresql_goes_away_and_the_lease_runs_out(on_server: Cluster, server: Server) -> None:
    cluster = on_server
    (name,) = await cluster.working(workers=1, instances=1)
    (member,) = cluster.members
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cluster.play_host)
        with inbox_locked(cluster):
            await handed_over(cluster, name, ["one", "two", "three"])
            server.kill()
        await cluster.until(lambda: member.former, PATIENCE)
        assert member.former[0].process.returncode == 1
        await server.start()
        await cluster.until(lambda: len(posted(cluster, name)) == 3, PATIENCE)
        nursery.cancel_scope.cancel()
    assert posted(cluster, name) == ["one", "two", "three"]
    assert not cluster.world.simulator.retry_receipts


async def test_the_worker_dies_and_another_one_has_the_instance_when_it_is_back(cluster: Cluster) -> None:
    """What it kept is written by it, and posted by the owner: who is told to look."""
    (name,) = await cluster.working(workers=1, instances=1)
    (one,) = cluster.members
    other = await cluster.start()
    with inbox_locked(cluster):
        await handed_over(cluster, name, ["one", "two"])
        await one.worker.logged("what is received is kept on the volume until PostgreSQL takes it")
        folder = cluster.world.folder / one.name / "@worker" / "received-events"
        await cluster.until(lambda: len(list(folder.glob("*.json"))) == 2, PATIENCE)
        one.worker.process.send_signal(signal.SIGKILL)
        await one.worker.process.wait()
    await cluster.until(lambda: cluster.of(other) == [name] and cluster.world.connected(), PATIENCE)
    assert posted(cluster, name) == []
    await cluster.start_again(one)
    await cluster.until(lambda: len(posted(cluster, name)) == 2, PATIENCE)
    assert posted(cluster, name) == ["one", "two"]
    assert cluster.of(other) == [name]
    assert list(folder.iterdir()) == []
