"""The session of a paired store, with the real library against the simulated WhatsApp, in a process of its own.

The library reads its environment and the root key that it trusts when a process starts; session_process.py is that
process. How an instance goes on after what a session reports is in tests/e2e/.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from neonize.proto import Neonize_pb2 as pb
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import FutureProofMessage, Message
from structlog.testing import capture_logs

from tests.environment import bare
from tests.journal.rows import posted_bodies, read_only
from tests.proxy_fixture import PATIENCE, SHOP, until
from tests.whatsapp.message_events import ME, event, made
from tests.whatsapp.receipts import Receipts
from wa_worker.dev.simulator import Simulator
from wa_worker.dev.simulator.contact import ReadReceipt
from wa_worker.dev.simulator.trust import command
from wa_worker.errors import SessionError, SessionNotOpen
from wa_worker.journal import Journal, open_journal
from wa_worker.messages import OutgoingMessage, Text
from wa_worker.metrics import Metrics
from wa_worker.models import RESERVED_FOLDER, Jid, WaMessageId
from wa_worker.states import Event, Report
from wa_worker.whatsapp.client import Callbacks
from wa_worker.whatsapp.events import Code
from wa_worker.whatsapp.folder_store import FolderStore
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.native_session import HASTE
from wa_worker.whatsapp.pairing import Paired, PairingHosts, QrCode
from wa_worker.whatsapp.parsing import parsed
from wa_worker.whatsapp.receiving import Receiver, Told
from wa_worker.whatsapp.session import Session as OpenSession
from wa_worker.whatsapp.session_host import SessionHost
from wa_worker.whatsapp.spool import Spool

PHONE, CONTACT = "5511999990001", "5511988880005"


@attrs.define
class Session:
    """A session's process and what it has said."""

    process: trio.Process
    said: list[dict[str, Any]] = attrs.Factory(list)

    async def read(self) -> None:
        assert self.process.stdout is not None
        rest = b""
        async for chunk in self.process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            self.said += [json.loads(line) for line in lines]

    async def tell(self, do: str, **fields: str) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send_all(json.dumps({"do": do, **fields}).encode() + b"\n")

    async def hears(self, what: str, **fields: Any) -> dict[str, Any]:
        """Waits for such a line and returns it."""
        wanted = {"is": what, **fields}
        await until(lambda: any(wanted.items() <= line.items() for line in self.said))
        return next(line for line in self.said if wanted.items() <= line.items())

    def count(self, what: str) -> int:
        return sum(line["is"] == what for line in self.said)

    async def close(self) -> float:
        await self.tell("close")
        return float((await self.hears("closed"))["seconds"])


@attrs.frozen
class World:
    simulator: Simulator
    auth_dir: Path
    jid: str

    def session(self, *obstacle: str) -> AbstractAsyncContextManager[Session]:
        return self.process("tests.whatsapp.session_process", str(self.auth_dir), *obstacle)

    def client(self, *codes: int) -> AbstractAsyncContextManager[Session]:
        """The library's client alone."""
        dsn = FolderStore.of(self.auth_dir, SHOP).dsn.reveal()
        return self.process("tests.whatsapp.client_process", dsn, *map(str, codes))

    @asynccontextmanager
    async def process(self, *arguments: str, **more: str) -> AsyncIterator[Session]:
        run = command(*arguments)
        environment = bare(**{**self.simulator.environment(self.auth_dir), **more})
        log = (self.auth_dir / "log").open("ab")
        with log:
            process = await trio.lowlevel.open_process(
                run, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        async with trio.open_nursery() as nursery:
            session = Session(process)
            nursery.start_soon(session.read)
            try:
                yield session
            finally:
                process.kill()
                with trio.CancelScope(shield=True):  # it was killed: this does not take long
                    await process.wait()
                    for pipe in (process.stdin, process.stdout):
                        assert pipe is not None
                        await trio.aclose_forcefully(pipe)
                nursery.cancel_scope.cancel()

    def inbox(self) -> list[str]:
        with open_journal(self.auth_dir / RESERVED_FOLDER / "journal.db") as journal:
            keys = journal.inbox.keys(0, 100)
            return [row.message.body for key in keys for row in journal.inbox.pending(key, 100)]


@pytest.fixture
async def world(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A store that is paired."""
    for name, value in simulator.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            hosts = PairingHosts(nursery, command("wa_worker.whatsapp.pairing_host"))
            async with hosts.pair(SHOP, FolderStore.of(tmp_path, SHOP), "wa-worker") as events:
                shown = await events.receive()
                assert isinstance(shown, QrCode)
                jid = await simulator.scan(shown.code, PHONE)
                assert await events.receive() == Paired()
            nursery.cancel_scope.cancel()
    return World(simulator, tmp_path, jid)


async def test_it_logs_in_and_leaves_nothing_behind(world: World) -> None:
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        assert world.simulator.connected(world.jid)
        assert await session.close() < HASTE
        assert (await session.hears("closed"))["native_threads"] == 0
        await until(lambda: not world.simulator.connected(world.jid))
        with trio.fail_after(PATIENCE):
            assert await session.process.wait() == 0
    assert "its thread is abandoned" not in (world.auth_dir / "log").read_text()


async def test_a_message_is_on_disk_before_it_is_told_of(world: World) -> None:
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        contact = world.simulator.contact(CONTACT)
        await contact.send(world.jid, "Oi")
        await session.hears("message")
        assert world.inbox() == ["Oi"]
        await until(lambda: world.simulator.pending(world.jid) == [])


async def test_what_the_library_has_acknowledged_is_on_disk_when_it_has_closed(world: World) -> None:
    """WhatsApp believes that we have it, so the end waits for it, though the disk takes its time."""
    bodies = [str(n) for n in range(20)]
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        with closing(sqlite3.connect(world.auth_dir / RESERVED_FOLDER / "journal.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for body in bodies:
                await world.simulator.contact(CONTACT).send(world.jid, body)
            await until(lambda: world.simulator.pending(world.jid) == [])
            await session.tell("close")
            await trio.sleep(0.5)
            other.execute("ROLLBACK")
        await session.hears("closed")
    assert world.inbox() == bodies


async def test_what_the_library_is_in_the_middle_of_is_on_disk_when_it_has_closed(world: World) -> None:
    """It decrypts a message only once, and could not acknowledge this one: nobody could read it when it comes again."""
    contact = world.simulator.contact("5511988880001")
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await contact.send(world.jid, "before")
        await session.hears("message")
        with closing(sqlite3.connect(world.auth_dir / SHOP / "session.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # the store is slow
            await contact.send(world.jid, "in the middle")
            await trio.sleep(0.5)
            await session.tell("close")
            await until(lambda: not world.simulator.connected(world.jid))
            await trio.sleep(0.5)
            other.execute("ROLLBACK")
        await session.hears("closed")
    log = (world.auth_dir / "log").read_text()
    assert "Closing handler queue loop in the middle of handling <message" in log, "else this has tested nothing"
    assert world.inbox() == ["before", "in the middle"]


async def test_what_waited_comes_after_the_login(world: World) -> None:
    for n in range(5):
        await world.simulator.contact(CONTACT).send(world.jid, f"waiting {n}")
    async with world.session() as session:
        await until(lambda: [line["is"] for line in session.said].count("message") == 5)
        assert world.inbox() == [f"waiting {n}" for n in range(5)]


async def test_a_send_is_accepted_while_it_is_open_and_none_is_begun_after(world: World) -> None:
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await session.tell("send", to=f"{CONTACT}@s.whatsapp.net", text="Olá")
        sent = await session.hears("sent")
        (received,) = await world.simulator.contact(CONTACT).wait_received(1)
        assert received.text == "Olá"
        assert sent["id"]
        await session.close()
        await session.hears("error", kind="SessionNotOpen")
        assert len(world.simulator.contact(CONTACT).received) == 1


async def expiration(world: World, session: Session) -> int:
    """Sends a text, and returns the timer that the contact's phone finds in it, in seconds."""
    contact = world.simulator.contact(CONTACT)
    await session.tell("send", to=f"{CONTACT}@s.whatsapp.net", text="Olá")
    received = (await contact.wait_received(len(contact.received) + 1))[-1]
    assert received.text == "Olá"
    return int(received.message.extendedTextMessage.contextInfo.expiration)


async def noted(world: World, count: int) -> None:
    """Waits until the device has acknowledged all, and so many chats have a timer."""

    def all_noted() -> bool:
        with closing(sqlite3.connect(world.auth_dir / RESERVED_FOLDER / "journal.db")) as sql:
            found = sql.execute("SELECT count(*) FROM chat_timers WHERE expiration > 0").fetchone()
        return not world.simulator.pending(world.jid) and found == (count,)

    await until(all_noted)


async def test_receipts_say_how_far_a_message_has_come(world: World) -> None:
    contact = world.simulator.contact(CONTACT)
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await session.tell("send", to=contact.jid, text="Oi")
        sent = await session.hears("sent")
        assert abs(sent["at"] - time.time()) < PATIENCE, "unix seconds"
        wa_id = sent["id"]
        arrived = await session.hears("receipt", ids=[wa_id])
        assert arrived["progress"] == "delivered"
        assert abs(arrived["at"] - time.time()) < PATIENCE
        for kind in ("read-self", "sender", "read", "played", "inactive"):
            await contact.send_receipt(world.jid, wa_id, kind)
        await until(lambda: session.count("receipt") == 4)
        said = [line["progress"] for line in session.said if line["is"] == "receipt"]
        assert said == ["delivered", "read", "played", "delivered"]


async def test_messages_are_marked_as_read(world: World) -> None:
    contact = world.simulator.contact(CONTACT)
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        ids = [await contact.send(world.jid, text, use_lid=True) for text in ("Oi", "Olá")]
        await until(lambda: session.count("message") == 2)
        await session.tell("mark read", chat=contact.lid, ids=" ".join(ids))
        await session.hears("marked")
        await until(lambda: len(contact.read) == 2)
        assert contact.read == [ReadReceipt(wa_id, contact.lid, None) for wa_id in ids]
        with open_journal(world.auth_dir / RESERVED_FOLDER / "journal.db") as journal:
            (key,) = journal.inbox.keys(0, 9)
            addresses = {row.message.sender_address for row in journal.inbox.pending(key, 9)}
        assert addresses == {contact.lid}, "as the message had it"


async def test_what_is_marked_after_the_end_of_a_session_is_an_error(unopened: Unopened) -> None:
    unopened.session._native.closing = True
    with pytest.raises(SessionError, match="not open"):
        await trio.to_thread.run_sync(unopened.session.mark_read, Jid("1@lid"), Jid("1@lid"), [WaMessageId("A")])


async def test_one_receipt_may_be_of_many_messages(world: World) -> None:
    contact = world.simulator.contact(CONTACT)
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await contact.send_receipt(world.jid, "A", "read", more=["B", "C"])
        told = await session.hears("receipt")
        assert sorted(told["ids"]) == ["A", "B", "C"]


async def test_what_is_sent_to_a_chat_carries_its_timer(world: World) -> None:
    contact = world.simulator.contact(CONTACT)
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        assert await expiration(world, session) == 0
        await contact.set_timer(world.jid, 86_400)
        await noted(world, 2)
        assert await expiration(world, session) == 86_400
        await session.close()
    async with world.session() as session:  # over a restart
        await session.hears("report", event="CONNECTED")
        assert await expiration(world, session) == 86_400
        await contact.set_timer(world.jid, 0)
        await noted(world, 0)
        assert await expiration(world, session) == 0
        context = {"expiration": 86_400, "ephemeralSettingTimestamp": 1_700_000_000}
        late = Message(extendedTextMessage={"text": "late", "contextInfo": context})
        await contact.send(world.jid, late, timestamp=1_700_000_001)
        await session.hears("message")
        assert await expiration(world, session) == 0
        own = Message(extendedTextMessage={"text": "mine", "contextInfo": {"expiration": 604_800}})
        copy = Message(deviceSentMessage={"destinationJID": contact.jid, "message": own})
        await world.simulator.contact(PHONE).send(
            world.jid, copy, recipient=contact.jid, timestamp=int(time.time()) + 1
        )
        await noted(world, 2)
        assert await expiration(world, session) == 604_800


async def test_the_words_of_any_content_come_through_the_library(world: World) -> None:
    template = Message(templateMessage={"hydratedTemplate": {"hydratedContentText": "Seu pedido saiu"}})
    wrapper = FutureProofMessage(message=template).SerializeToString()
    tomorrow = Message.FromString(bytes((900 << 3 & 127 | 2 | 128, 900 << 3 >> 7, len(wrapper))) + wrapper)
    broken = Message(listResponseMessage={"title": "Azul ??"}).SerializeToString().replace(b"??", b"\xff\xfe")
    contact = world.simulator.contact(CONTACT)
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await contact.send(world.jid, template)
        await contact.send(world.jid, Message(albumMessage={"expectedImageCount": 2}))
        await contact.send(world.jid, tomorrow)
        await contact.send(world.jid, Message.FromString(broken))
        await contact.send(world.jid, "the last")
        await until(lambda: len(world.inbox()) == 4)
    assert world.inbox() == ["Seu pedido saiu", "Seu pedido saiu", "Azul \ufffd\ufffd", "the last"]


async def test_what_whatsapp_says_of_a_session_is_reported(world: World) -> None:
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await world.simulator.drop(world.jid)
        await session.hears("report", event="DISCONNECTED")
        await until(lambda: [line.get("event") for line in session.said].count("CONNECTED") == 2)
        await world.simulator.replace(world.jid)
        await session.hears("report", event="REPLACED")
        assert await session.close() < HASTE
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await world.simulator.log_out(world.jid)
        await session.hears("report", event="LOGGED_OUT", detail="logged_out while connected")


async def test_what_ends_it_from_outside_is_a_report_like_any_other(world: World) -> None:
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await session.tell("give up")
        await session.hears("report", event="VOLUME_FAILED", detail="the test says so")


async def test_with_an_obstacle_none_is_opened(world: World) -> None:
    before = world.simulator.attempts[world.jid]
    async with world.session("not now") as session:
        await session.hears("error", kind="SessionError", text="not now")
        await session.hears("closed")
    assert world.simulator.attempts[world.jid] == before


async def test_cancelled_while_it_is_open_it_closes_in_haste(world: World) -> None:
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        began = trio.current_time()
        await session.tell("cancel")
        await session.hears("closed")
        assert trio.current_time() - began < HASTE + 1
        with trio.fail_after(PATIENCE):
            assert await session.process.wait() == 0
    assert "its thread is abandoned" not in (world.auth_dir / "log").read_text()


async def test_cancelled_while_it_opens_it_does_not_wait_for_the_network(world: World) -> None:
    world.simulator.stall_handshake = True
    async with world.session() as session:
        await until(lambda: world.simulator.connections)
        began = trio.current_time()
        await session.tell("cancel")
        await session.hears("closed")
        assert trio.current_time() - began < 2 * HASTE + 1
        with trio.fail_after(PATIENCE):
            assert await session.process.wait() == 0


RECEIPT = 18


@pytest.mark.parametrize("kind", ["server-error", "made-up"])
async def test_a_loop_that_ends_by_itself_is_cut_at_once(world: World, kind: str) -> None:
    """WhatsApp is not told that we have what nobody hears of: what is sent from then on waits, and comes."""
    contact = world.simulator.contact(CONTACT)
    async with world.client(Code.CONNECTED, Code.MESSAGE, RECEIPT) as client:
        await client.hears("event", code=Code.CONNECTED)
        await contact.send_receipt(world.jid, "AAAA", "read")
        await client.hears("event", code=RECEIPT)
        await contact.send_receipt(world.jid, "AAAA", kind)
        assert "Receipt.Type not set" in (await client.hears("ended"))["text"]
        await until(lambda: not world.simulator.connected(world.jid))
        sent = [await contact.send(world.jid, f"later {n}") for n in range(3)]
        assert world.simulator.logins[world.jid] == 2, "the pairing host's and this one"
        assert world.simulator.pending(world.jid) == sent
    async with world.session():
        await until(lambda: world.simulator.pending(world.jid) == [])
        await until(lambda: world.inbox() == [f"later {n}" for n in range(3)])


UNKNOWN_BANS = [(999, 60, "reason 999", 60.0), (999, None, "reason 999", None), (None, 60, "unknown reason", 60.0)]


@pytest.mark.parametrize(("code", "expire", "detail", "seconds"), UNKNOWN_BANS)
async def test_a_ban_for_a_reason_without_a_name_is_a_ban(
    world: World, code: int | None, expire: int | None, detail: str, seconds: float | None
) -> None:
    world.simulator.ban_code, world.simulator.bans[world.jid] = code, expire
    async with world.session() as session:
        await session.hears("report", event="BANNED", detail=detail, seconds=seconds)


@pytest.mark.parametrize("reason", [411, 418, 429, 499, 599])
async def test_a_refusal_for_a_reason_without_a_name_is_a_refusal(world: World, reason: int) -> None:
    world.simulator.login_failures[world.jid] = reason
    async with world.session() as session:
        await session.hears("report", event="REFUSED", detail=f"reason {reason}")


@attrs.frozen
class Unopened:
    """A session that is not open, in this process: its callbacks are called by the test."""

    session: OpenSession
    journal: Journal
    gate: StartGate


@pytest.fixture
async def unopened(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Unopened]:
    with open_journal(tmp_path / "journal.db") as journal:
        gate = StartGate()
        host = SessionHost(
            Receiver(journal.inbox, Metrics(), Told(lambda: None)), gate, nursery, "the device", Receipts()
        )
        yield Unopened(OpenSession(SHOP, FolderStore.of(tmp_path, SHOP), host, lambda: None), journal, gate)


async def test_a_message_waits_for_the_disk_and_the_session_is_to_close(unopened: Unopened) -> None:
    """WhatsApp has been told that we have it."""
    session, journal = unopened.session, unopened.journal
    session.me = ME
    read_only(journal, True)
    heals = threading.Timer(0.7, read_only, (journal, False))
    heals.start()
    with trio.fail_after(PATIENCE):
        await trio.to_thread.run_sync(session.on_message, event().SerializePartialToString())
    heals.join()
    assert list(posted_bodies(journal).values()) == [["Oi"]]
    session.on_report(Report(Event.REPLACED))
    reports = [await session.next_report() for _ in range(2)]
    assert [report.event for report in reports] == [Event.VOLUME_FAILED, Event.REPLACED], "it is said once"


async def test_where_the_journal_is_elsewhere_a_message_is_kept_on_the_volume(
    unopened: Unopened, tmp_path: Path
) -> None:
    """The library goes on, what comes behind it is kept behind it, and the session is to close: the rest waits at
    WhatsApp."""
    session, journal = unopened.session, unopened.journal
    spool = Spool(tmp_path / "spool")
    spool.load()
    session._host = attrs.evolve(session._host, spool=spool)
    session.me = ME
    on_event = Callbacks(session._on_event, session._on_log).on_event
    read_only(journal, True)
    heals = threading.Timer(5.0, read_only, (journal, False))  # for what waits for the journal, which it must not
    heals.start()
    for body in ("one", "two"):
        on_event(Code.MESSAGE, event(message=made(conversation=body), wa_id=body).SerializePartialToString())
    heals.cancel()
    read_only(journal, False)
    on_event(Code.MESSAGE, event(message=made(conversation="three"), wa_id="3").SerializePartialToString())
    assert posted_bodies(journal) == {}
    kept = [spool.read(path) for path in spool.waiting()[SHOP]]
    assert [parsed(pb.Message, each.data).Message.conversation for each in kept if each] == ["one", "two", "three"]
    assert {(each.jid, each.lid, each.code) for each in kept if each} == {(ME.jid, ME.lid, Code.MESSAGE)}
    session.on_report(Report(Event.REPLACED))
    reports = [await session.next_report() for _ in range(4)]
    assert [report.event for report in reports] == [Event.VOLUME_FAILED] * 3 + [Event.REPLACED]


async def test_what_hangs_on_its_way_to_the_journal_is_kept_when_the_session_closes(
    unopened: Unopened, tmp_path: Path
) -> None:
    session = unopened.session
    spool = Spool(tmp_path / "spool")
    spool.load()
    session._host = attrs.evolve(session._host, spool=spool)
    session.me = ME
    session._event, session._in_hand = (Code.MESSAGE, event().SerializePartialToString()), True
    with capture_logs() as lines:
        await session._close()
    assert spool.holds(SHOP)
    assert not [line for line in lines if line["log_level"] == "error"]
    session._host = attrs.evolve(session._host, spool=None)
    with capture_logs() as lines:
        await session._close()
    assert [line["event"] for line in lines if line["log_level"] == "error"] == [
        "a received message may be lost: the disk did not take it in time"
    ]


async def test_a_send_waits_at_the_gate_and_then_asks_whether_the_session_is_open(unopened: Unopened) -> None:
    """It would read the native maps while a start changes them, and then be one of a session that has ended."""
    message, done = OutgoingMessage(Jid(f"{CONTACT}@s.whatsapp.net"), Text("Oi")), trio.Event()
    unopened.session.me = ME

    async def send() -> None:
        with pytest.raises(SessionNotOpen, match="the session is not open"):  # our words, not the library's
            await trio.to_thread.run_sync(unopened.session.send, message)
        done.set()

    async with trio.open_nursery() as nursery:
        async with unopened.gate.exclusive():
            nursery.start_soon(send)
            await trio.sleep(1)
            assert not done.is_set()
            await unopened.session._close()
        with trio.fail_after(PATIENCE):
            await done.wait()


async def test_a_store_that_takes_no_write_is_heard_of_in_the_librarys_log(unopened: Unopened) -> None:
    log = Callbacks(unopened.session._on_event, unopened.session._on_log).on_log
    log("ERROR", "Client", "failed to store: disk I/O error")
    assert (await unopened.session.next_report()).event is Event.VOLUME_FAILED


async def test_an_event_that_is_not_understood_costs_only_itself(unopened: Unopened) -> None:
    """What leaves a callback is lost in the library, and the report of the next event with it."""
    on_event = Callbacks(unopened.session._on_event, unopened.session._on_log).on_event
    with capture_logs() as lines:
        on_event(Code.LOGGED_OUT, b"\xff\xff\xff")
    assert [line["event"] for line in lines] == ["an event of the library was not understood"]
    on_event(Code.CONNECTED, b"")
    assert (await unopened.session.next_report()).event is Event.CONNECTED


async def test_cancelled_while_a_message_waits_for_the_disk_it_waits_too(world: World) -> None:
    """As long as the worker goes on: another one takes the instance next, and may hear of later messages first."""
    journal = world.auth_dir / RESERVED_FOLDER / "journal.db"
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        with closing(sqlite3.connect(journal, isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN IMMEDIATE")  # for which a writer waits as it does for a volume that hangs
            await world.simulator.contact(CONTACT).send(world.jid, "on its way")
            await until(lambda: not world.simulator.pending(world.jid))
            began = trio.current_time()
            await session.tell("cancel")
            await trio.sleep(HASTE + 1)
            assert not session.count("closed")
        await session.hears("closed")
        assert trio.current_time() - began < 3 * HASTE
    assert world.inbox() == ["on its way"]
    assert "its thread is abandoned" not in (world.auth_dir / "log").read_text()
