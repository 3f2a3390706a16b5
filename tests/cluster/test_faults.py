"""Seeded faults of three workers under traffic: whatever happens to them, each message arrives once and in order."""

from __future__ import annotations

import signal
from collections.abc import Callable

import trio

from tests.cluster.cluster import Cluster, Member
from tests.cluster.faults import Incident, Trouble, schedule
from tests.cluster.traffic import Traffic

WORKERS = 3
INSTANCES = 6
LENGTH = 25.0
"""Seconds of faults. With starts, pairing and recovery a run takes about a minute and a half."""

STARTS = 30.0
"""Seconds for the end of a worker that has lost its lease, or that hands over what it has."""


async def test_seeded_faults(cluster: Cluster, seed: int, record_property: Callable[[str, object], None]) -> None:
    world, simulator = cluster.world, cluster.world.simulator
    names = await cluster.working(workers=WORKERS, instances=INSTANCES)
    scans, incidents = len(world.codes), schedule(seed, LENGTH, WORKERS)
    print(f"seed {seed}:", *(f"\n  {i.at:4.1f} s {i.trouble.value} {i.worker} {i.lasts:.1f} s" for i in incidents))
    traffic = Traffic(cluster, names, rate=6)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.run)
        hosts = await nursery.start(_hosts, cluster)
        began = trio.current_time()
        async with trio.open_nursery() as troubles:
            for incident in incidents:
                await trio.sleep_until(began + incident.at)
                troubles.start_soon(_happens, cluster.members[incident.worker], incident)
        over = trio.current_time()
        traffic.pause()
        await cluster.until(lambda: cluster.all_connected(names), 90)
        connected = trio.current_time() - over
        account = await traffic.end()
        settled = trio.current_time() - over
        hosts.cancel()
    killed = any(incident.trouble in (Trouble.KILLED, Trouble.PAUSED) for incident in incidents)
    print(f"seed {seed}: {account}")
    record_property(
        "account",
        {
            "incidents": len(incidents),
            **{f"of them {kind.value}": sum(i.trouble is kind for i in incidents) for kind in Trouble},
            "workers that were started again": sum(len(member.former) for member in cluster.members),
            "messages each way": traffic.rounds * len(names),
            "lost out": len(account.lost_out),
            "lost in, of those the journal had": len(account.lost_in),
            "doubled out, not counted as uncertain": len(account.doubled_out),
            "doubled in": len(account.doubled_in),
            "out of order within a chat": len(account.out_of_order),
            "second copies of uncertain sends": account.copies_of_uncertain,
            "in, caught inside the library": len(account.gone_in),
            "of them without a kill -9 or SIGSTOP": 0 if killed else len(account.gone_in),
            "scans": len(world.codes) - scans,
            "connected p50 / max": connected,
            "all there p50 / max": settled,
        },
    )
    account.check(killed=killed)
    assert len(world.codes) == scans
    assert max(simulator.retry_receipts.values(), default=0) <= 1


async def _hosts(cluster: Cluster, *, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
    with trio.CancelScope() as scope:
        task_status.started(scope)
        await cluster.play_host()


async def _happens(member: Member, incident: Incident) -> None:
    """Returns when it is over. A worker that ends of it is started again by its host."""
    link, lasts = member.link, incident.lasts
    worker = member.worker
    match incident.trouble:
        case Trouble.KILLED:
            worker.kill()
        case Trouble.TERMINATED:
            worker.kill(signal.SIGTERM)
            with trio.move_on_after(STARTS):
                await worker.process.wait()
            assert worker.process.returncode in (0, 1), "it ends by itself"
        case Trouble.PAUSED:
            worker.kill(signal.SIGSTOP)
            await trio.sleep(lasts)
            worker.kill(signal.SIGCONT)
        case Trouble.SPLIT:
            link.split()
        case Trouble.DEAF:
            link.back = False
        case Trouble.CUT:
            await link.cut()
        case Trouble.SLOW:
            link.delay = 0.1
        case Trouble.OFFLINE:
            await member.to_whatsapp.refuse()
        case Trouble.UNTOLD:
            await member.to_proxy.refuse()
    if incident.trouble is not Trouble.PAUSED:
        await trio.sleep(lasts)
    for line in (link, member.to_whatsapp, member.to_proxy):
        line.heal()
    await link.cut()  # what was lost of a connection stays lost: no real one goes on after a gap
