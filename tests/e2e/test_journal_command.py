"""`wa-worker journal` beside a running worker: a person sees what went wrong and decides, without a restart.

The worker finds a decision by itself every half minute (tests/delivery/test_keyed_queue.py), or as soon as anything
else moves: here another message goes the same way, so that no test waits for the half minute.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import Any

import trio

from tests.e2e.world import PATIENCE, Worker, World
from wa_worker.dev.proxy import Fault, MessageRow, Store

PHONE, OTHER = "5511988880002", "5511988880003"


async def journal(world: World, *arguments: str) -> str:
    """What the command prints, as somebody in the container calls it: with AUTH_DIR only."""
    environment = world.environment()
    done = await trio.run_process(
        [sys.executable, "-m", "wa_worker", "journal", *arguments],
        env={"PATH": environment["PATH"], "AUTH_DIR": environment["AUTH_DIR"]},
        capture_stdout=True,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.decode()


async def listed(world: World, state: str) -> list[dict[str, Any]]:
    """The messages in this state, once there are any."""
    with trio.fail_after(PATIENCE):
        while True:
            if rows := json.loads(await journal(world, "list", "--state", state, "--json")):
                return list(rows)
            await trio.sleep(0.1)


def _settled(store: Store) -> list[MessageRow]:
    rows = store.messages("shop")
    return [] if any(row.status == "queued" for row in rows) else rows


async def _uncertain(world: World) -> str:
    """A message to PHONE that the worker holds; its id in the journal."""
    await world.start_worker(ON_UNCERTAIN_SEND="hold")
    await world.pair("shop", "5511999990001")
    world.simulator.swallow_acks = 2  # whatsmeow tries once more by itself, with the same id
    world.simulator.no_receipts.add(PHONE)  # which would settle it
    world.proxy.store.queue("shop", PHONE, "maybe")
    (row,) = await listed(world, "uncertain")
    assert PHONE not in str(row)
    return str(row["id"])


async def poisoned(world: World, worker: Worker, jid: str) -> Worker:
    """Has a message refused, and makes it as if that had been over minutes. Returns the worker that runs then."""
    world.proxy.faults.set("inbound", Fault(status=422))
    await world.simulator.contact(PHONE).send(jid, "poison")
    await worker.logged("not handed to the proxy, will retry")
    await worker.stop()
    with closing(sqlite3.connect(world.auth_dir / "@worker" / "journal.db")) as sql, sql:
        sql.execute("UPDATE inbox SET state = 'dead', settled_at = received_at WHERE state = 'pending'")
    world.proxy.faults.clear()
    return await world.start_worker()


async def test_a_dead_message_is_listed_retried_and_arrives(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    worker = await poisoned(world, worker, jid)
    (row,) = await listed(world, "dead")
    assert (row["instance"], row["characters"]) == ("shop", len("poison"))
    assert row["rejections"] >= 1
    assert "422" in row["error"]
    assert "poison" in await journal(world, "show", row["id"], "--body")
    assert world.proxy.store.inbound("shop") == []

    assert f"{row['id']}: dead -> pending" in await journal(world, "retry", row["id"])
    await world.simulator.contact(OTHER).send(jid, "another")
    rows = await world.until(lambda s: found if len(found := s.inbound("shop")) == 2 else [])
    assert {row.body for row in rows} == {"poison", "another"}
    assert {row.times_posted for row in rows} == {1}
    assert worker.process.returncode is None


async def test_a_dead_message_that_was_discarded_does_not_arrive(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    await poisoned(world, worker, jid)
    (row,) = await listed(world, "dead")
    assert f"{row['id']}: dead -> posted" in await journal(world, "discard", row["id"])
    await world.simulator.contact(PHONE).send(jid, "another")
    rows = await world.until(lambda s: s.inbound("shop"))
    assert [row.body for row in rows] == ["another"]


async def test_a_discarded_uncertain_send_is_failed_at_the_proxy(world: World) -> None:
    id_ = await _uncertain(world)
    assert f"{id_}: uncertain -> failed" in await journal(world, "discard", id_)
    world.proxy.store.queue("shop", OTHER, "another")
    rows = await world.until(_settled)
    assert [(row.body, row.status, row.error) for row in rows] == [
        ("maybe", "failed", "discarded by a person"),
        ("another", "sent", None),
    ]


async def test_a_retried_uncertain_send_goes_out_when_it_is_listed(world: World) -> None:
    id_ = await _uncertain(world)
    assert f"{id_}: uncertain -> waiting" in await journal(world, "retry", id_)
    (row,) = await world.until(_settled)
    assert row.status == "sent"
    assert {m.text for m in world.simulator.contact(PHONE).received} == {"maybe"}
