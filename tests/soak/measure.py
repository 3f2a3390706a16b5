"""What the soak scenarios share: measuring a worker and its pairing hosts, many pairings, the account of messages."""

from __future__ import annotations

import sqlite3
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import closing

import attrs
import trio

from tests.e2e.world import Worker, World
from tests.known_by import read, said_out
from wa_worker.dev.bench.measure import Usage, usage
from wa_worker.dev.simulator import PairingFailed, UnknownQR
from wa_worker.dev.world.qr import read_png_data_url

AT_ONCE = 8
"""Pairings side by side: making prekeys is the client's work, and long."""

REOPENING_DESCRIPTORS = 5
REOPENING_MB = 0.8
"""What the library keeps of each session that was opened and closed: it never closes its store's handles. Measured: 2
to 4 descriptors, 0.3 to 0.6 MB. So reopening is for when nothing else helps, and a bound is a bound per reopening."""

THREADS_KEPT = 12
"""Go keeps the threads of its busiest moment: a few more than before such a moment, and then no more."""

LAST_WORDS = ("fatal error:", "SIGABRT", "SIGSEGV", "panic:")
"""How the native library goes when it aborts the process."""


@attrs.define
class Tables:
    """What was measured, for the end of the run."""

    _parts: list[str] = attrs.Factory(list)

    def add(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        cells = [list(columns), *([_cell(value) for value in row] for row in rows)]
        widths = [max(len(row[n]) for row in cells) for n in range(len(columns))]
        lines = [
            "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |"
            for row in cells
        ]
        lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
        part = "\n".join(["", title, "", *lines])
        print(part, flush=True)
        self._parts.append(part)

    def text(self) -> str:
        return "\n".join(self._parts)


def _cell(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


@attrs.frozen
class Sample:
    """A worker and its pairing hosts at a moment. Memory in MB; `pss` counts pages that they share once, so it
    grows when a neighbour ends: a bound for one process is one of `rss`."""

    threads: int
    descriptors: int
    rss: float
    pss: float
    hosts: int
    host_threads: int
    host_descriptors: int
    host_pss: float

    COLUMNS = ("threads", "descriptors", "RSS MB", "PSS MB", "hosts", "their threads", "their descr.", "their PSS MB")

    @property
    def row(self) -> tuple[object, ...]:
        return attrs.astuple(self)


async def sample(worker: Worker) -> Sample:
    """Raises OSError when the worker is gone."""
    await trio.lowlevel.checkpoint()
    own = usage(worker.pid)
    hosts = [one for pid in worker.descendants() if (one := _usage(pid)) is not None]
    return Sample(
        own.threads,
        own.descriptors,
        own.rss,
        own.pss,
        len(hosts),
        sum(host.threads for host in hosts),
        sum(host.descriptors for host in hosts),
        sum(host.pss for host in hosts),
    )


def _usage(pid: int) -> Usage | None:
    try:
        return usage(pid)
    except (OSError, KeyError):
        return None  # it has just ended


@attrs.define
class Meter:
    """Samples over time."""

    worker: Worker
    started: float = attrs.Factory(trio.current_time)
    samples: list[tuple[float, Sample]] = attrs.Factory(list)

    async def take(self) -> Sample:
        taken = await sample(self.worker)
        self.samples.append((trio.current_time() - self.started, taken))
        return taken

    async def run(self, every: float) -> None:
        """Until cancelled, or until the worker is gone: whoever watches that says so."""
        while self.worker.process.returncode is None:
            await trio.sleep(every)
            await self.take()

    @property
    def rows(self) -> list[tuple[object, ...]]:
        return [(f"{at:.0f} s", *taken.row) for at, taken in self.samples]

    @property
    def columns(self) -> tuple[str, ...]:
        return ("after", *Sample.COLUMNS)


async def holds_within(seconds: float, holds: Callable[[], object], what: str) -> float:
    """How long it took until `holds()` was true; asked ten times a second, which is cheap with a hundred instances."""
    started = trio.current_time()
    while not holds():
        if trio.current_time() > started + seconds:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        await trio.sleep(0.1)
    return trio.current_time() - started


async def logged_within(seconds: float, worker: Worker, event: str, **fields: object) -> float:
    """How long it took until the worker logged this."""

    def logged() -> bool:
        return any(line.get("event") == event and fields.items() <= line.items() for line in worker.lines)

    return await holds_within(seconds, logged, f"{event} {fields}")


def all_connected(world: World, jids: Iterable[str]) -> bool:
    """Whether WhatsApp and the proxy both say so, of these devices and of every instance."""
    return all(map(world.simulator.connected, jids)) and all(
        row.status == "CONNECTED" for row in world.proxy.store.instances()
    )


async def scan_shown(world: World, name: str, phone: str) -> str | None:
    """Scans the code that the proxy shows for this instance now; the device, or None if it was too late."""
    row = world.proxy.store.instance(name)
    if row is None or row.qr_code is None:
        return None
    try:
        return await world.simulator.scan(read_png_data_url(row.qr_code), phone)
    except (UnknownQR, PairingFailed):
        return None


async def pair_all(world: World, worker: Worker, phones: dict[str, str]) -> dict[str, str]:
    """Pairs these instances (name: phone); their devices by name."""
    jids: dict[str, str] = {}
    names = list(phones)

    async def pair(name: str) -> None:
        world.proxy.store.add_instance(name)
        while (jid := await scan_shown(world, name, phones[name])) is None:  # noqa: ASYNC110 - a person, too, looks again
            await trio.sleep(0.05)
        jids[name] = jid
        await world.proxy.wait_for(lambda s: (row := s.instance(name)) is not None and row.status == "CONNECTED")

    async with trio.open_nursery() as watch:
        watch.start_soon(died, worker)
        for start in range(0, len(names), AT_ONCE):
            with trio.fail_after(120):
                async with trio.open_nursery() as nursery:
                    for name in names[start : start + AT_ONCE]:
                        nursery.start_soon(pair, name)
        watch.cancel_scope.cancel()
    return jids


def assert_no_abort(worker: Worker) -> None:
    """The library did not take the worker, or one of its pairing hosts, down."""
    bad = [line for line in worker.raw if any(sign in line for sign in LAST_WORDS)]
    assert not bad, f"the native library aborted: {bad[:3]}"


async def died(worker: Worker) -> None:
    """Returns never: raises when the worker ends by itself. To be cancelled before it is stopped."""
    code = await worker.process.wait()
    raise AssertionError(f"the worker ended with {code}: {worker.last_lines[-5:]}")


@attrs.frozen
class Account:
    """What became of the messages: see `take_account()`."""

    out: int
    inbound: int
    """Messages that the journal accepted."""
    doubts: int
    broken: list[str]
    unreadable: int
    """Sent, but the contact's phone could not decrypt them for good: a phone that was unlinked cannot send again."""


def take_account(world: World, contacts: Iterable[str]) -> Account:
    """P1-P3 from outside: what the contacts' phones decrypted and what the proxy got, against what was queued and
    what the journal holds. `contacts` are the phones that were written to. Each message must be unique."""
    with closing(sqlite3.connect(world.auth_dir / "@worker" / "journal.db")) as journal:
        ledger = {
            key: (state, doubts)
            for key, state, doubts in journal.execute("SELECT message_id, state, doubts FROM ledger")
        }
        accepted = {
            (instance, wa_id): state
            for instance, wa_id, state in journal.execute(
                "SELECT c.instance, i.wa_id, i.state FROM inbox i JOIN chats c ON c.id = i.chat"
            )
        }
    written_to = [world.simulator.contact(phone) for phone in contacts]
    copies = Counter(read(message.message, message.text) for contact in written_to for message in contact.received)
    rows = world.proxy.store.messages()
    unsettled = [
        f"{said_out(row)}: {row.status}, {ledger.get(str(row.id))}"
        for row in rows
        if row.status != "sent" or ledger.get(str(row.id), ("",))[0] != "marked"
    ]
    doubled = [said_out(row) for row in rows if copies[said_out(row)] > 1 + ledger.get(str(row.id), ("", 0))[1]]
    missing = [said_out(row) for row in rows if row.status == "sent" and not copies[said_out(row)]]
    undecryptable = sum(contact.undecryptable for contact in written_to)
    posted = Counter((row.instance_id, row.wa_message_id) for row in world.proxy.store.inbound())
    faults = {
        "not sent and marked": unsettled,
        "sent twice without a doubt": doubled,
        "sent and lost": missing if len(missing) > undecryptable else [],
        "accepted and not posted": [str(key) for key, state in accepted.items() if state != "posted"],
        "accepted and unknown to the proxy": [str(key) for key in accepted.keys() - posted.keys()],
        "posted under two chats": [str(key) for key, times in posted.items() if times > 1],
        "faults of the simulator": [repr(fault) for fault in world.simulator.faults],
    }
    return Account(
        out=len(rows),
        inbound=len(accepted),
        doubts=sum(doubts for _, doubts in ledger.values()),
        broken=[f"{name}: {found[:5]} ({len(found)})" for name, found in faults.items() if found],
        unreadable=len(missing),
    )


async def side_by_side(*scenarios: Callable[[], Awaitable[None]]) -> None:
    """Runs scenarios that mostly wait at the same time, each to its own end; fails with all that failed."""
    failed: list[str] = []

    async def run(scenario: Callable[[], Awaitable[None]]) -> None:
        try:
            await scenario()
        except Exception as error:  # noqa: BLE001 - the others go on
            failed.append(getattr(scenario, "__name__", "?"))
            print("".join(traceback.format_exception(error)), flush=True)

    async with trio.open_nursery() as nursery:
        for scenario in scenarios:
            nursery.start_soon(run, scenario)
    assert not failed, f"{', '.join(failed)}: see the output"
