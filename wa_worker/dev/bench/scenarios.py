"""What is measured. Each scenario returns rows: plain names and numbers, for the table and for JSON."""

from __future__ import annotations

import time
from collections import defaultdict

import attrs
import trio

from wa_worker.dev.bench.bed import Bed
from wa_worker.dev.bench.measure import own_cpu, percentile, usage
from wa_worker.dev.proxy import Fault
from wa_worker.dev.world.worker_process import WorkerProcess

CONTACT = "5511988880002"

SETTLING = 12.0
"""Seconds after the boot before an idle worker is watched: the boot's own work ends, and idle threads go after ten."""

MONTH = 30 * 24 * 60
"""Minutes."""


@attrs.frozen
class Row:
    """Describes one figure: of what, under which condition, how much, in which unit."""

    scenario: str
    condition: str
    figure: str
    value: float
    unit: str


async def idle(bed: Bed, instances: int, seconds: float, settling: float = SETTLING) -> list[Row]:
    """Measures a restart with `instances` paired ones: boot times, then memory, CPU and calls while nothing happens.

    The bed must not have more. seconds: for how long it is watched.
    """
    await bed.pair_up_to(instances)
    condition = bed.condition(f"{instances} instances")
    names = set(bed.jids)
    for name in names:
        bed.proxy.store.set_status(name, "CONNECTED")  # as after a crash: nothing is listed, all is resumed
    logins = dict(bed.simulator.logins)
    async with bed.worker() as worker:
        health = await _health(worker)
        with trio.fail_after(bed.patience):
            await bed.simulator.wait_for(
                lambda: all(bed.simulator.logins[jid] > logins.get(jid, 0) for jid in bed.jids.values())
            )
        await bed.all_connected()
        boot = trio.current_time() - worker.started
        await trio.sleep(settling)
        before, cpu, began = usage(worker.pid), own_cpu(), time.monotonic()
        calls = bed.proxy.store.requests.total()
        await trio.sleep(seconds)
        after, elapsed = usage(worker.pid), time.monotonic() - began
        per_minute = 60 * (bed.proxy.store.requests.total() - calls) / elapsed
        return [
            Row("boot", condition, "health answers after", health, "s"),
            Row("boot", condition, "all CONNECTED after", boot, "s"),
            Row("idle", condition, "memory (RSS)", after.rss, "MB"),
            Row("idle", condition, "memory (PSS)", after.pss, "MB"),
            Row("idle", condition, "CPU", 100 * (after.cpu - before.cpu) / elapsed, "% of a core"),
            Row("idle", condition, "wake-ups", after.wake_ups_since(before) / elapsed, "/s"),
            Row("idle", condition, "threads", after.threads, ""),
            Row("idle", condition, "descriptors", after.descriptors, ""),
            *calls_while_idle(condition, per_minute),
            Row("idle", condition, "CPU of the bench itself", 100 * (own_cpu() - cpu) / elapsed, "% of a core"),
        ]


def calls_while_idle(condition: str, per_minute: float) -> list[Row]:
    """Says what calls to the proxy come to, which a host of functions bills each."""
    return [
        Row("idle", condition, "calls to the proxy", per_minute, "/minute"),
        Row("idle", condition, "calls in a day", per_minute * 24 * 60, ""),
        Row("idle", condition, "calls in a month of 30 days", per_minute * MONTH, ""),
    ]


async def _health(worker: WorkerProcess) -> float:
    """Returns seconds from process start until `GET /health` was answered."""
    await worker.answers()
    await worker.health()
    return trio.current_time() - worker.started


async def outbound(bed: Bed, instances: int, each: int, delay: float) -> list[Row]:
    """`each` messages queued at once on each of `instances`; until all are sent and marked."""
    names = sorted(bed.jids)[:instances]
    condition = bed.condition(f"{instances} x {each}, proxy {delay * 1000:.0f} ms")
    store = bed.proxy.store
    contacts = {name: bed.simulator.contact(f"55118{n:08}") for n, name in enumerate(names)}
    async with bed.worker(MSG_POLL_MS="500") as worker:
        await bed.all_connected()
        # one each, so that Signal sessions and connections exist
        await _send_all(bed, {name: contacts[name].phone for name in names}, 1)
        bed.proxy.faults.set("*", Fault(delay=delay)) if delay else bed.proxy.faults.clear()
        received = {name: len(contacts[name].received) for name in names}
        calls = store.requests.total()
        before, cpu, began = usage(worker.pid).cpu, own_cpu(), trio.current_time()
        await _send_all(bed, {name: contacts[name].phone for name in names}, each)
        elapsed, spent = trio.current_time() - began, usage(worker.pid).cpu - before
        total = instances * each
        copies = sum(len(contacts[name].received) - received[name] for name in names) - total
        bed.proxy.faults.clear()
        return [
            Row("outbound", condition, "sent and marked in", elapsed, "s"),
            Row("outbound", condition, "rate", total / elapsed, "messages/s"),
            Row("outbound", condition, "worker CPU", 1000 * spent / total, "ms/message"),
            Row("outbound", condition, "calls to the proxy", (store.requests.total() - calls) / total, "/message"),
            Row("outbound", condition, "copies", copies, ""),
            Row("outbound", condition, "CPU of the bench itself", 1000 * (own_cpu() - cpu) / total, "ms/message"),
        ]


async def _send_all(bed: Bed, to: dict[str, str], each: int) -> None:
    store = bed.proxy.store
    before = store.count_messages("sent")
    for name, phone in to.items():
        store.queue_many(name, [(phone, f"bench {n}") for n in range(each)])
    with trio.fail_after(bed.patience):
        await bed.proxy.wait_for(lambda s: s.count_messages("sent") >= before + each * len(to))


async def inbound(bed: Bed, instances: int, chats: int, each: int, delay: float) -> list[Row]:
    """`each` messages from each of `chats` contacts to each instance, as fast as they come; until all are posted."""
    names = sorted(bed.jids)[:instances]
    condition = bed.condition(f"{instances} instance(s), {chats} chats x {each}, proxy {delay * 1000:.0f} ms")
    async with bed.worker() as worker:
        await bed.all_connected()
        contacts = [bed.simulator.contact(f"55117{n:08}") for n in range(chats)]
        total = instances * chats * each
        await _receive(bed, names, contacts, 1)
        if delay:
            bed.proxy.faults.set("*", Fault(delay=delay))
        calls = bed.proxy.store.requests.total()
        before, cpu, began = usage(worker.pid).cpu, own_cpu(), trio.current_time()
        await _receive(bed, names, contacts, each)
        elapsed, spent = trio.current_time() - began, usage(worker.pid).cpu - before
        calls = bed.proxy.store.requests.total() - calls
        bed.proxy.faults.clear()
        return [
            Row("inbound", condition, "posted in", elapsed, "s"),
            Row("inbound", condition, "rate", total / elapsed, "messages/s"),
            Row("inbound", condition, "worker CPU", 1000 * spent / total, "ms/message"),
            Row("inbound", condition, "calls to the proxy", calls / total, "/message"),
            Row("inbound", condition, "out of order", _disorder(bed, names), ""),
            Row("inbound", condition, "CPU of the bench itself", 1000 * (own_cpu() - cpu) / total, "ms/message"),
        ]


async def _receive(bed: Bed, names: list[str], contacts: list, each: int) -> None:  # type: ignore[type-arg]
    before = sum(bed.proxy.store.count_inbound(name) for name in names)
    for n in range(each):
        for contact in contacts:
            for name in names:
                await contact.send(bed.jids[name], f"{n:06}")
    with trio.fail_after(bed.patience):
        await bed.proxy.wait_for(
            lambda s: sum(s.count_inbound(name) for name in names) >= before + each * len(contacts) * len(names)
        )


def _disorder(bed: Bed, names: list[str]) -> int:
    """Messages that came after a later one of their chat."""
    last: dict[tuple[str, str], str] = defaultdict(str)
    wrong = 0
    for name in names:
        for row in bed.proxy.store.inbound(name):
            if not row.body.isdigit():
                continue  # another scenario's
            key = (name, str(row.from_))
            if row.body == "000000":
                last[key] = ""
            wrong += row.body < last[key]
            last[key] = max(last[key], row.body)
    return wrong


async def latency(bed: Bed, samples: int, delay: float) -> list[Row]:
    """Single messages, one after another: queued -> decrypted on the phone, and frame -> accepted by /inbound."""
    name = min(bed.jids)
    condition = bed.condition(f"proxy {delay * 1000:.0f} ms")
    polls = "polls of 200 ms" if bed.contract == 1 else "long poll"
    contact = bed.simulator.contact(CONTACT)
    out: list[float] = []
    back: list[float] = []
    async with bed.worker(MSG_POLL_MS="200"):
        await bed.all_connected()
        await contact.send(bed.jids[name], "first")
        await bed.proxy.wait_for(lambda s: s.count_inbound(name))
        if delay:
            bed.proxy.faults.set("*", Fault(delay=delay))
        with trio.fail_after(bed.patience):
            for _ in range(samples):
                have = bed.proxy.store.count_inbound(name)
                began = trio.current_time()
                await contact.send(bed.jids[name], "tick")
                await bed.proxy.wait_for(lambda s, have=have: s.count_inbound(name) > have)  # type: ignore[misc]
                back.append(1000 * (trio.current_time() - began))
                await trio.sleep(0.01)
            for _ in range(max(samples // 4, 5)):
                have = len(contact.received)
                began = trio.current_time()
                bed.proxy.store.queue(name, CONTACT, "tock")
                await contact.wait_received(have + 1)
                out.append(1000 * (trio.current_time() - began))
                await trio.sleep(0.05)
        bed.proxy.faults.clear()
    return [
        *_percentiles(condition, "WhatsApp frame -> /inbound", back),
        *_percentiles(f"{condition}, {polls}", "queued -> decrypted", out),
    ]


def _percentiles(condition: str, figure: str, milliseconds: list[float]) -> list[Row]:
    return [
        Row("latency", condition, f"{figure} p{share}", percentile(milliseconds, share / 100), "ms")
        for share in (50, 95, 99)
    ]


async def recovery(bed: Bed, samples: int) -> list[Row]:
    """Measures a dropped socket: until the proxy hears CONNECTED again."""
    name = min(bed.jids)
    jid = bed.jids[name]
    took: list[float] = []
    async with bed.worker():
        await bed.all_connected()
        for _ in range(samples):
            seen = len(bed.proxy.store.statuses(name))
            began = trio.current_time()
            await bed.simulator.drop(jid)
            with trio.fail_after(bed.patience):
                await bed.proxy.wait_for(
                    lambda s, seen=seen: [c for c in s.statuses(name)[seen:] if c.status == "CONNECTED"]  # type: ignore[misc]
                )
            took.append(trio.current_time() - began)
            await trio.sleep(0.2)
    return [
        Row("recovery", bed.condition("dropped socket"), "CONNECTED again p50", percentile(took, 0.5), "s"),
        Row("recovery", bed.condition("dropped socket"), "CONNECTED again, worst", max(took), "s"),
    ]
