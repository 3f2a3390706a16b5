from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs
import pytest

from wa_worker.dev.command.changes import ChangeFeed, expected
from wa_worker.dev.proxy import Store

QR = "data:image/png;base64,AAAA"


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store()
    opened.add_instance("demo")
    yield opened
    opened.close()


def texts(changes: ChangeFeed, store: Store) -> list[str]:
    return [f"{line.subject}: {line.text}" for line in changes.read(store)]


def inbound(store: Store, payload: str) -> None:
    chat = "5511988880002@s.whatsapp.net"
    store.add_inbound(instance_id="demo", chat=chat, from_=chat, to="x", body="oi", wa_message_id="A1", payload=payload)


def test_news_is_told_once_and_in_order(store: Store) -> None:
    store.queue("demo", "old", "old")
    changes = ChangeFeed(store, "demo")
    assert changes.read(store) == []
    store.update_status("demo", "CONNECTING", None)
    store.update_status("demo", "CONNECTING", QR)
    store.update_status("demo", "CONNECTED", None)
    first, second = store.queue_many("demo", [("+55 11 98888-0002", "oi"), ("x", "y")])
    store.mark_sent(first, "3EB0")
    store.mark_failed(second, "no number")
    inbound(store, '{"push_name": "Ana"}')
    assert texts(changes, store) == [
        "status: CONNECTING",
        "status: CONNECTED",
        "out: #2 queued to +55 11 98888-0002: oi",
        "out: #3 queued to x: y",
        "out: #2 sent, WhatsApp id 3EB0",
        "in: /inbound from +5511988880002 (Ana): oi",
        "out: #3 failed: no number",
    ]
    inbound(store, '{"push_name": "Ana"}')  # posted again
    assert changes.read(store) == []


@attrs.frozen
class Sender:
    payload: str
    shown: str


@pytest.mark.parametrize(
    "case",
    [
        Sender("{}", "+5511988880002: oi"),
        Sender('{"sender_id": "123@lid", "chat_type": "direct"}', "123@lid: oi"),
        Sender('{"message_type": "image"}', "+5511988880002: [image] oi"),
        Sender(
            '{"sender_id": "5511@s.whatsapp.net", "push_name": "Bia", "chat_type": "group"}',
            "+5511 (Bia) in group 5511988880002@s.whatsapp.net: oi",
        ),
    ],
)
def test_who_wrote(store: Store, case: Sender) -> None:
    changes = ChangeFeed(store, "demo")
    inbound(store, case.payload)
    assert texts(changes, store) == [f"in: /inbound from {case.shown}"]


@attrs.frozen
class Wait:
    happened: Callable[[Store], object]
    simulated: bool
    what: str | None


@pytest.mark.parametrize(
    "case",
    [
        Wait(lambda s: None, False, "a QR code from WhatsApp"),
        Wait(lambda s: s.update_status("demo", "CONNECTING", None), True, "a QR code from WhatsApp"),
        Wait(lambda s: s.update_status("demo", "CONNECTING", QR), True, "the simulated phone"),
        Wait(lambda s: s.update_status("demo", "CONNECTING", QR), False, None),
        Wait(
            lambda s: (s.update_status("demo", "CONNECTING", QR), s.update_status("demo", "CONNECTING", None)),
            False,
            "WhatsApp to let us in",
        ),
        Wait(lambda s: s.update_status("demo", "CONNECTED", None), True, None),
        Wait(lambda s: s.park_instance("demo"), True, None),
        Wait(lambda s: s.remove_instance("demo"), False, None),
        Wait(
            lambda s: (s.update_status("demo", "CONNECTED", None), s.queue("demo", "x", "y")),
            False,
            "message #1 to be sent",
        ),
    ],
)
def test_what_is_waited_for(store: Store, case: Wait) -> None:
    case.happened(store)
    assert expected(store, "demo", simulated=case.simulated, since=0) == case.what
