"""What the console shows of what the proxy and the worker say, as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_worker.dev.console.display_text import Part, parts, plain
from wa_worker.dev.console.page import At
from wa_worker.dev.console.view import HISTORY, View
from wa_worker.dev.console.worker_state import Told, WorkerState
from wa_worker.dev.proxy import Store
from wa_worker.states import State

ANA = "5511988880002@s.whatsapp.net"


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store()
    opened.add_instance("shop")
    yield opened
    opened.close()


def inbound(store: Store, wa_id: str, body: str, *, chat: str = ANA, **payload: object) -> None:
    store.add_inbound(
        instance_id="shop",
        chat=chat,
        from_=chat,
        to="x",
        body=body,
        wa_message_id=wa_id,
        payload=json.dumps(payload),
    )


@attrs.frozen
class Seen:
    status: Literal["CONNECTING", "CONNECTED", "DISCONNECTED"]
    log: list[dict[str, Any]]
    badge: str
    tone: str
    detail: str = ""
    qr_code: str | None = None


def line(event: str, **fields: object) -> dict[str, Any]:
    return {"event": event, "instance": "shop", "level": "info", **fields}


LOGGED_OUT = line("the phone removed this device: pairing anew", state="logged out", level="warning")
BANNED = line("WhatsApp has banned this account for a while", state="held", reason="x", level="warning")


@pytest.mark.parametrize(
    "seen",
    [
        Seen("DISCONNECTED", [], "Waiting for the worker", "wait"),
        Seen("CONNECTING", [], "Connecting", "wait"),
        Seen("CONNECTED", [], "Connected", "good"),  # a log that says nothing
        Seen("CONNECTED", [{**line("connected"), "instance": "else"}], "Connected", "wait",
             "So says the proxy; the worker does not run it."),
        Seen("CONNECTING", [line("pairing", because="no device in the store")], "Getting a QR code", "wait"),
        Seen("CONNECTING", [line("pairing")], "Waiting for a scan", "wait",
             "On your phone: WhatsApp > Linked devices > Link a device.", "data:image/png;base64,AA=="),
        Seen("DISCONNECTED", [LOGGED_OUT], "Logged out", "bad", "The phone logged this device out."),
        Seen("DISCONNECTED", [LOGGED_OUT, line("pairing")], "Getting a QR code", "wait",
             "The phone logged this device out."),
        Seen("CONNECTING", [LOGGED_OUT, line("pairing"), line("pairing")], "Waiting for a scan", "wait",
             "The phone logged this device out. On your phone: WhatsApp > Linked devices > Link a device.",
             "data:image/png;base64,AA=="),
        Seen("CONNECTING", [LOGGED_OUT, line("pairing"), line("opening")], "Logging in", "wait"),
        Seen("CONNECTING", [line("opening")], "Logging in", "wait"),
        Seen("CONNECTED", [line("connected", because="WhatsApp accepted the login")], "Connected", "good"),
        Seen("CONNECTING", [line("reconnecting", because="the connection broke")], "Reconnecting", "wait",
             "the connection broke"),
        Seen("CONNECTED", [line("reconnecting")], "Connected", "good", "The worker says: reconnecting"),
        Seen("CONNECTING", [line("connected")], "Connecting", "wait", "The worker says: connected"),
        Seen("DISCONNECTED", [BANNED], "On hold", "bad", "WhatsApp has banned this account for a while"),
        Seen("DISCONNECTED", [BANNED, line("next try later", seconds=15)], "On hold", "bad",
             "WhatsApp has banned this account for a while; next try in about 15 s"),
        Seen("DISCONNECTED", [line("held since before the start", because="BANNED", seconds=9)], "On hold", "bad",
             "BANNED; next try in about 9 s"),
        Seen("DISCONNECTED", [line("connected"), line("instance let go: the proxy does not know it")],
             "Waiting for the worker", "wait"),
        Seen("DISCONNECTED", [{"event": "x"}, {"event": 1}, line("pairing", instance=3)],
             "Waiting for the worker", "wait"),
    ],
    ids=lambda seen: f"{seen.status}-{seen.log[-1]['event'] if seen.log else 'nothing'}",
)  # fmt: skip
def test_the_state_of_an_instance(store: Store, seen: Seen) -> None:
    if (seen.status, seen.qr_code) != ("DISCONNECTED", None):
        store.update_status("shop", seen.status, seen.qr_code)
    worker = WorkerState()
    for each in seen.log:
        worker.take_log(each)
    (card,) = View(store, worker, None).page(At()).cards
    assert (card.badge.text, card.badge.tone, card.badge.detail) == (seen.badge, seen.tone, seen.detail)
    assert card.qr_code == seen.qr_code


def test_a_parked_instance_is_disconnected_once_the_worker_has_let_go(store: Store) -> None:
    worker = WorkerState()
    worker.take_log(line("connected"))
    assert worker.of("shop") == Told(State.CONNECTED)
    store.park_instance("shop")
    view = View(store, worker, None)
    assert [card.badge.text for card in view.page(At()).cards] == ["Letting go"]
    worker.take_log(line("instance released: the proxy no longer lists it"))
    assert [card.badge.text for card in view.page(At()).cards] == ["Disconnected"]


def test_messages_are_sorted_into_chats(store: Store) -> None:
    view = View(store, WorkerState(), None)
    sent, failed, _ = store.queue_many("shop", [("+55 11 98888-0002", "one"), ("?", "two"), ("5511988880002", "three")])
    store.mark_sent(sent, "3EB0")
    store.mark_sent(sent, "3EB0")
    store.mark_failed(failed, "no number")
    inbound(store, "A1", "four", push_name="Ana")
    inbound(store, "A1", "four", push_name="Ana")
    inbound(store, "A2", "", chat="1-2@g.us", chat_type="group", sender_id=ANA, message_type="image")

    page = view.page(At("shop", ANA))
    assert [(chat.id, chat.name, chat.last) for chat in page.chats] == [
        ("1-2@g.us", "", "[image]"),
        (ANA, "Ana", "four"),
        ("?", "", "two"),
    ]
    assert page.head is not None
    assert (page.head.name, page.head.address) == ("Ana", "+5511988880002")
    assert [(each.state, each.words) for each in page.messages] == [
        ("sent", "marked sent 2 times, first"),
        ("queued", ""),
        ("in", "posted 2 times"),
    ]
    assert [each.words for each in view.page(At("shop", "?")).messages] == ["failed: no number"]
    (image,) = view.page(At("shop", "1-2@g.us")).messages
    assert (image.kind, image.sender) == ("image", "+5511988880002")
    assert view.page(At()).at == At("shop", "1-2@g.us")  # the latest, if none was chosen
    assert view.page(At("shop", "new")).head is None
    assert view.page(At("gone")).composer.ready is False


def test_a_long_history_is_cut(store: Store) -> None:
    store.queue_many("shop", [("5511988880002", f"{n}") for n in range(HISTORY + 50)])
    messages = View(store, WorkerState(), None).page(At("shop", ANA)).messages
    assert len(messages) == HISTORY
    assert messages[-1].body.start == (Part(f"{HISTORY + 49}"),)


def test_what_cannot_be_seen_is_named() -> None:
    assert parts("a\u202eb\n\u00a0") == [Part("a"), Part("U+202E", code=True), Part("b\n\u00a0")]
    assert plain("a\nb \u200b" + "x" * 100, 6) == "a b [U+200B]x…"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_no_visible_character_is_lost(text: str) -> None:
    meant = [chr(int(part.text.replace("U+", "0x"), 0)) if part.code else part.text for part in parts(text)]
    assert "".join(meant) == text
    assert not any(part.code and char.isprintable() for part, char in zip(parts(text), meant, strict=True))
