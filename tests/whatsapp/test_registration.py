"""Whose number it is: WhatsApp's answers as the library hands them over, and the real ones of a session.

A session's process and its world are test_session.py's.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import trio

import wa_worker.whatsapp.libmagic  # noqa: F401 - before neonize

# isort: split
from neonize.proto import Neonize_pb2 as pb

from tests.proxy_fixture import PATIENCE, SHOP, until
from tests.whatsapp.test_session import World, world
from wa_worker.errors import Failure, SendDelayed, SendRefused
from wa_worker.jid import LID, USER
from wa_worker.journal import open_journal
from wa_worker.models import RESERVED_FOLDER, Jid
from wa_worker.whatsapp.client import Callbacks
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.native_session import NativeSession
from wa_worker.whatsapp.registration import KnownAccounts, account_of

__all__ = ["world"]  # a fixture

WRITTEN, ACCOUNT = Jid(f"5531988880005@{USER}"), Jid(f"553188880005@{USER}")


def answer(query: str, user: str = "", server: str = USER, *, there: bool = True) -> pb.IsOnWhatsAppResponse:
    jid = pb.JID(User=user, Server=server, RawAgent=0, Device=0, Integrator=0, IsEmpty=False)
    return pb.IsOnWhatsAppResponse(Query=query, JID=jid, IsIn=there)


def nobody(_lid: Jid) -> None:
    return None


def test_the_account_is_the_one_that_whatsapp_names() -> None:
    assert account_of(WRITTEN, [answer("+5531988880005", "553188880005")], nobody) == ACCOUNT
    assert account_of(WRITTEN, [answer("+5531988880005", "5531988880005")], nobody) == WRITTEN


def test_a_lid_becomes_the_number_that_the_store_knows_for_it_and_else_stays_one() -> None:
    named = [answer("+5531988880005", "98765432109876", LID)]
    assert account_of(WRITTEN, named, {Jid("98765432109876@lid"): ACCOUNT}.get) == ACCOUNT
    assert account_of(WRITTEN, named, nobody) == "98765432109876@lid"


def test_only_a_clear_no_is_a_no() -> None:
    with pytest.raises(SendRefused) as refused:
        account_of(WRITTEN, [answer("+5531988880005", there=False)], nobody)
    assert refused.value.failure is Failure.NOT_ON_WHATSAPP


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [answer("", there=False)],
        [answer("+5511999990000", "5511999990000")],
        [answer("+5511999990000", there=False)],
        [answer("+5531988880005")],
        [answer("+5531988880005", there=False), answer("+5531988880005", "553188880005")],
    ],
    ids=["none", "no question", "another", "another is not there", "no name", "both"],
)
def test_what_does_not_speak_of_the_number_is_no_answer(answers: list[pb.IsOnWhatsAppResponse]) -> None:
    with pytest.raises(SendDelayed):
        account_of(WRITTEN, answers, nobody)


def test_what_was_answered_is_known_after_a_restart(tmp_path: Path) -> None:
    for _start in range(2):
        with open_journal(tmp_path / "journal.db") as journal:
            known = KnownAccounts(journal.accounts)
            known.put(WRITTEN, ACCOUNT)
    with open_journal(tmp_path / "journal.db") as journal:
        known = KnownAccounts(journal.accounts)
        assert (known.get(WRITTEN), known.get(ACCOUNT)) == (ACCOUNT, ACCOUNT)
        assert known.get(Jid("98765432109876@lid")) == "98765432109876@lid"
    assert KnownAccounts(None).get(WRITTEN) == WRITTEN


async def test_a_message_goes_to_the_account_of_the_number_and_whatsapp_is_asked_once(world: World) -> None:
    world.simulator.registered_as["5531988880005"] = "553188880005"
    contact = world.simulator.contact("553188880005")
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        for n in range(1, 4):
            await session.tell("send", to=WRITTEN, text=f"Olá {n}")
            await contact.wait_received(n)
        await session.hears("sent", to=ACCOUNT)
        await session.tell("send", to=ACCOUNT, text="Olá 4")
        await session.hears("sent", to=None)
        assert [received.text for received in contact.received] == ["Olá 1", "Olá 2", "Olá 3", "Olá 4"]
        assert world.simulator.contact_queries == {"5531988880005": 1}
        assert not world.simulator.contact("5531988880005").received
        await session.close()
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await session.tell("send", to=WRITTEN, text="Olá 5")
        await session.hears("sent", to=ACCOUNT)
        assert world.simulator.contact_queries == {"5531988880005": 1}, "over a restart, too"
        await session.close()
    with open_journal(world.auth_dir / RESERVED_FOLDER / "journal.db") as journal:
        assert journal.accounts.get(WRITTEN) == ACCOUNT


async def test_who_has_moved_is_asked_for_again(world: World) -> None:
    world.simulator.registered_as["5531988880005"] = "553188880005"
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await session.tell("send", to=WRITTEN, text="Olá")
        await session.hears("sent", to=ACCOUNT)
        world.simulator.registered_as = {"5531988880005": "5531977770005", "553188880005": "5531977770005"}
        with open_journal(world.auth_dir / RESERVED_FOLDER / "journal.db") as journal:
            journal.accounts.put(WRITTEN, Jid(f"553166660005@{USER}"))
        world.simulator.absent.add("553166660005")
        await session.tell("send", to=WRITTEN, text="Olá de novo")
        await session.hears("sent", to=f"5531977770005@{USER}")
        await session.close()


async def test_a_number_that_nobody_has_is_refused_on_whatsapps_word(world: World) -> None:
    world.simulator.absent.add("5531988880005")
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await session.tell("send", to=WRITTEN, text="Olá")
        await session.hears("error", kind="SendRefused", failure=Failure.NOT_ON_WHATSAPP.value)
        assert world.simulator.contact_queries == {"5531988880005": 1}
        await session.close()


async def test_without_an_answer_it_is_tried_again(world: World) -> None:
    world.simulator.absent.add("5531988880005")
    world.simulator.contact_error = 429
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await session.tell("send", to=WRITTEN, text="Olá")
        await session.hears("error", kind="SendDelayed")
        world.simulator.contact_error = None
        world.simulator.absent.clear()
        await session.tell("send", to=WRITTEN, text="Olá")
        await session.hears("sent", to=None)
        await session.close()


async def test_closed_while_it_asks_it_ends_well(world: World) -> None:
    """The library ends the process if a session is stopped under such a call."""
    world.simulator.registered_as["5531988880005"] = "553188880005"
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        world.simulator.contact_delay = 30.0
        await session.tell("begin to send", to=WRITTEN, text="Olá")
        await world.simulator.wait_for(lambda: world.simulator.contact_queries["5531988880005"] > 0)
        assert await session.close() < 5
        await session.hears("error", kind="SessionNotOpen")
    assert not world.simulator.contact("553188880005").received


class Library:
    """The native side of a session, as far as its start and end go."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.disconnected = threading.Event()

    def run(self, callbacks: Callbacks, codes: list[int]) -> str:
        assert self.over.wait(PATIENCE)
        return ""

    def disconnect(self) -> None:
        self.disconnected.set()

    def stop(self) -> None:
        self.over.set()


async def test_a_session_is_not_stopped_under_a_call_that_would_end_the_process(nursery: trio.Nursery) -> None:
    library = Library()
    session = NativeSession(SHOP, library, StartGate(), nursery)  # type: ignore[arg-type]  # what it uses of it
    session.alive.ring()
    await session.start(Callbacks(lambda *_: None, lambda *_: None), lambda _error: None, lambda: None)
    async with trio.open_nursery() as closing:
        with session.in_use():
            closing.start_soon(session.close)
            await until(library.disconnected.is_set)
            with trio.move_on_after(1) as stopped:
                while not library.over.is_set():  # noqa: ASYNC110 - nothing tells
                    await trio.sleep(0.01)
            assert stopped.cancelled_caught, "it was stopped"
        await until(library.over.is_set)
