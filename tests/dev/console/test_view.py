"""What the console shows of what the proxy and the worker say, as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_worker.dev.console.conversation import HISTORY
from wa_worker.dev.console.display_text import Part, clock, parts, plain
from wa_worker.dev.console.page import At
from wa_worker.dev.console.view import View
from wa_worker.dev.console.worker_state import WorkerState
from wa_worker.dev.proxy import StatusDetails, Store
from wa_worker.models import NextStep
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
    """`worker`: what it says of the instance, None: it does not answer."""

    status: Literal["CONNECTING", "CONNECTED", "DISCONNECTED"]
    worker: dict[str, Any] | None
    badge: str
    tone: str
    detail: str = ""
    qr_code: str | None = None


def says(state: str, because: str = "connected", **fields: object) -> dict[str, Any]:
    """An instance as `GET /instances` has it."""
    return {
        "id": "shop",
        "state": state,
        "because": because,
        "detail": "",
        "until": None,
        "logged_out": False,
        **fields,
    }


PNG = "data:image/png;base64,AA=="
OUT = "The phone logged this device out."
SCAN = "On your phone: WhatsApp > Linked devices > Link a device."


@pytest.mark.parametrize(
    "seen",
    [
        Seen("DISCONNECTED", None, "Waiting for the worker", "wait"),
        Seen("CONNECTING", None, "Connecting", "wait"),
        Seen("CONNECTED", None, "Connected", "good"),
        Seen("CONNECTED", says("connected", id="else"), "Connected", "wait",
             "So says the proxy; the worker does not run it."),
        Seen("CONNECTING", says("pairing", "unpaired"), "Getting a QR code", "wait"),
        Seen("CONNECTING", says("pairing", "qr"), "Waiting for a scan", "wait", SCAN, PNG),
        Seen("DISCONNECTED", says("logged_out", "logged_out", logged_out=True), "Logged out", "bad", OUT),
        Seen("DISCONNECTED", says("pairing", "unpaired", logged_out=True), "Getting a QR code", "wait", OUT),
        Seen("CONNECTING", says("pairing", "qr", logged_out=True), "Waiting for a scan", "wait", f"{OUT} {SCAN}", PNG),
        Seen("CONNECTING", says("opening", "paired"), "Logging in", "wait"),
        Seen("CONNECTED", says("connected"), "Connected", "good"),
        Seen("CONNECTING", says("reconnecting", "disconnected", detail="stream error 503"), "Reconnecting", "wait",
             "the connection broke: stream error 503"),
        Seen("CONNECTED", says("reconnecting", "disconnected"), "Connected", "good", "The worker says: reconnecting"),
        Seen("CONNECTING", says("connected"), "Connecting", "wait", "The worker says: connected"),
        Seen("DISCONNECTED", says("held", "banned"), "On hold", "bad", "temporary ban"),
        Seen("DISCONNECTED", says("held", "still_held", until=0), "On hold", "bad",
             "held since before the start; next try in about 0 s"),
    ],
    ids=lambda seen: f"{seen.status}-{seen.worker and seen.worker['state']}-{seen.badge}",
)  # fmt: skip
def test_the_state_of_an_instance(store: Store, seen: Seen) -> None:
    if (seen.status, seen.qr_code) != ("DISCONNECTED", None):
        store.update_status("shop", seen.status, seen.qr_code)
    worker = WorkerState()
    worker.take(None if seen.worker is None else {"instances": [seen.worker]})
    (card,) = View(store, worker, None).page(At()).cards
    assert (card.badge.text, card.badge.tone, card.badge.detail) == (seen.badge, seen.tone, seen.detail)
    assert card.qr_code == seen.qr_code
    assert card.pairing_code is None


def test_a_pairing_code_stands_beside_the_qr_code(store: Store) -> None:
    details = StatusDetails(pairing_code="ABCD-1234", pairing_expires_at=1_800_000_000)
    store.update_status("shop", "CONNECTING", PNG, details)
    (card,) = View(store, WorkerState(), None).page(At()).cards
    assert (card.qr_code, card.pairing_code) == (PNG, "ABCD-1234")


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ({}, ""),
        ({"reason": "connected"}, "connected"),
        ({"reason": "worker_stopping", "action": "wait"}, "worker stopping: the worker goes on by itself"),
        ({"reason": "banned", "action": "wait", "until": 1790000000}, "the worker goes on by itself"),
        ({"reason": "of_tomorrow", "action": "dance"}, "of tomorrow: dance"),
    ],
)
def test_why_and_until_when_in_words(store: Store, details: dict[str, Any], words: str) -> None:
    store.update_status("shop", "DISCONNECTED", None, StatusDetails(**details))
    (card,) = View(store, WorkerState(), None).page(At()).cards
    if until := details.get("until"):
        words = f"banned until {clock(until)}: {words}"
    assert card.why == words


def test_each_step_has_its_words(store: Store) -> None:
    for step in NextStep:
        store.update_status("shop", "DISCONNECTED", None, StatusDetails(reason="r", action=step))
        (card,) = View(store, WorkerState(), None).page(At()).cards
        assert len(card.why) > len(f"r: {step}")


def test_the_counts_are_those_of_the_health_endpoint() -> None:
    changes: list[None] = []
    worker = WorkerState(lambda: changes.append(None))
    assert worker.counts is None
    answer = {"instances": [says("connected"), says("held", "banned", id="a"), says("pairing", "qr", id="b")]}
    worker.take(answer)
    worker.take(answer)
    assert worker.counts == {"connected": 1, "connecting": 1, "reconnecting": 1}
    assert len(changes) == 1
    worker.take(None)
    assert worker.counts is None
    assert len(changes) == 2


def test_a_parked_instance_is_disconnected_once_the_worker_has_let_go(store: Store) -> None:
    worker = WorkerState()
    worker.take({"instances": [says("connected")]})
    assert worker.of("shop").state is State.CONNECTED
    store.park_instance("shop")
    view = View(store, worker, None)
    assert [card.badge.text for card in view.page(At()).cards] == ["Letting go"]
    worker.take({"instances": []})
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


def test_many_instances_come_trouble_first_and_can_be_narrowed(store: Store) -> None:
    for number in range(5):
        assert View(store, WorkerState(), None).page(At()).counts is None
        store.add_instance(f"till-{number}")
    store.update_status("till-3", "DISCONNECTED", None, StatusDetails(reason="banned"))
    store.park_instance("till-1")
    view = View(store, WorkerState(), None)
    names = ["till-3", "shop", "till-0", "till-2", "till-4", "till-1"]
    page = view.page(At())
    assert [card.id for card in page.cards] == names
    assert page.counts == {"trouble": 1, "way": 4, "connected": 0, "let_go": 1}
    assert [card.id for card in view.page(At(q="Banned TILL")).cards] == ["till-3"]
    assert [card.id for card in view.page(At(show="way", q="till")).cards] == ["till-0", "till-2", "till-4"]
    store.queue("shop", "5511988880002", "x")
    assert [chat.url for chat in view.page(At("shop", show="way")).chats] == [
        "/?instance=shop&chat=5511988880002%40s.whatsapp.net&show=way#conversation"
    ]
    narrowed = view.page(At("shop", q="x y", show="way"))
    assert (narrowed.cards, narrowed.counts) == ((), page.counts)
    assert narrowed.new_url == "/?instance=shop&chat=new&q=x+y&show=way#conversation"


def test_a_filter_in_use_stays_however_few_are_left(store: Store) -> None:
    store.add_instance("pub")
    view = View(store, WorkerState(), None)
    assert view.page(At()).counts is None
    for at in (At(q="pub"), At(show="trouble", q="")):
        assert view.page(at).counts is not None
    assert [card.id for card in view.page(At(q="pub")).cards] == ["pub"]


def test_who_is_broken_is_so_while_the_worker_is_away(store: Store) -> None:
    store.update_status("shop", "DISCONNECTED", None, StatusDetails(reason="worker_stopping"))
    (card,) = View(store, WorkerState(), None).page(At()).cards
    assert card.badge.tone == "wait"
    store.update_status("shop", "DISCONNECTED", None, StatusDetails(reason="replaced"))
    (card,) = View(store, WorkerState(), None).page(At()).cards
    assert (card.badge.text, card.badge.tone) == ("Disconnected", "bad")
