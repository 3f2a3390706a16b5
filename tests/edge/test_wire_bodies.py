"""What the worker says to the proxy, as JSON: every body of every call."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from wa_worker.edge import wire
from wa_worker.edge.events import status_event
from wa_worker.edge.inbound_body import inbound_body
from wa_worker.messages import Button, ChatType, FlowReply, InboundMessage, Interactive, OptionReply
from wa_worker.models import (
    Account,
    InstanceId,
    Jid,
    NextStep,
    NoCode,
    PairingCode,
    ProxyStatus,
    Reason,
    Status,
    WaMessageId,
    Why,
)

UNSAID = {"reason": "opening", "until": None, "action": "wait", "jid": None, "push_name": None, "since": 0}
"""Of a status of which nobody says why: all six are there."""


def test_status_bodies() -> None:
    shop = InstanceId("shop")
    assert wire.status_body(shop, Status(ProxyStatus.CONNECTING)) == {
        "instanceId": "shop",
        "status": "CONNECTING",
        "qr_code": None,
        **UNSAID,
    }
    code = wire.status_body(shop, Status(ProxyStatus.CONNECTING, "data:image/png;base64,AA=="))
    assert code == {
        "instanceId": "shop",
        "status": "CONNECTING",
        "qr_code": "data:image/png;base64,AA==",
        **UNSAID,
        "reason": "scan",
        "action": "scan",
    }
    connected = wire.status_body(shop, Status(ProxyStatus.CONNECTED))
    assert (connected["reason"], connected["action"]) == ("connected", None)


def test_a_status_says_why_until_when_and_whose() -> None:
    """In plain JSON types: an enum member would be a string like any other, but is none."""
    account = Account(Jid("5511999990001@s.whatsapp.net"), "Padaria")
    why = Why(Reason.BANNED, NextStep.WAIT)
    status = Status(ProxyStatus.DISCONNECTED, why=why, since=1_700_000_000, until=1_700_086_400, account=account)
    body = wire.status_body(InstanceId("shop"), status)
    assert json.dumps(body) == (
        '{"instanceId": "shop", "status": "DISCONNECTED", "qr_code": null, "reason": "banned", "until": 1700086400, '
        '"action": "wait", "jid": "5511999990001@s.whatsapp.net", "push_name": "Padaria", "since": 1700000000}'
    )
    assert {type(value) for value in body.values()} == {str, int, type(None)}


DIRECT = InboundMessage(
    wa_id=WaMessageId("3EB0"),
    chat=Jid("5511988880005@s.whatsapp.net"),
    chat_type=ChatType.DIRECT,
    to=Jid("5511999990001@s.whatsapp.net"),
    sender=Jid("5511988880005@s.whatsapp.net"),
    sender_lid=Jid("98765432109876@lid"),
    push_name="Ana",
    body="Oi \U0001f600",
    message_type="text",
    timestamp=1_700_000_000,
)


@attrs.frozen
class Inbound:
    name: str
    message: InboundMessage
    body: dict[str, object]


INBOUND = [
    Inbound(
        "direct",
        DIRECT,
        {
            "instanceId": "shop",
            "from": "5511988880005@s.whatsapp.net",
            "to": "5511999990001@s.whatsapp.net",
            "body": "Oi \U0001f600",
            "wa_message_id": "3EB0",
            "chat_id": "5511988880005@s.whatsapp.net",
            "chat_type": "direct",
            "sender_id": "5511988880005@s.whatsapp.net",
            "sender_lid": "98765432109876@lid",
            "push_name": "Ana",
            "timestamp": 1_700_000_000,
            "message_type": "text",
        },
    ),
    Inbound(
        "group, nothing known",
        attrs.evolve(
            DIRECT,
            chat=Jid("120363041234567890@g.us"),
            chat_type=ChatType.GROUP,
            to=Jid("98765432109876@lid"),
            sender=Jid("98765432109876@lid"),
            push_name=None,
            body="",
            message_type="audio",
            sender_lid=None,
        ),
        {
            "instanceId": "shop",
            "from": "120363041234567890@g.us",
            "to": "98765432109876@lid",
            "body": "",
            "wa_message_id": "3EB0",
            "chat_id": "120363041234567890@g.us",
            "chat_type": "group",
            "sender_id": "98765432109876@lid",
            "sender_lid": None,
            "push_name": None,
            "timestamp": 1_700_000_000,
            "message_type": "audio",
        },
    ),
]


@pytest.mark.parametrize("case", INBOUND, ids=lambda case: case.name)
def test_inbound_bodies(case: Inbound) -> None:
    assert json.loads(json.dumps(inbound_body(InstanceId("shop"), case.message))) == case.body


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        (
            {"interactive": Interactive("button_reply", button_reply=OptionReply("y", "Sim"))},
            {"interactive": {"type": "button_reply", "button_reply": {"id": "y", "title": "Sim"}}},
        ),
        (
            {"interactive": Interactive("list_reply", list_reply=OptionReply("1", "Azul", "Hoje"))},
            {"interactive": {"type": "list_reply", "list_reply": {"id": "1", "title": "Azul", "description": "Hoje"}}},
        ),
        (
            {"interactive": Interactive("nfm_reply", nfm_reply=FlowReply("flow", "Enviado", "{}"))},
            {
                "interactive": {
                    "type": "nfm_reply",
                    "nfm_reply": {"name": "flow", "body": "Enviado", "response_json": "{}"},
                }
            },
        ),
        ({"button": Button("stop", "Parar")}, {"button": {"payload": "stop", "text": "Parar"}}),
    ],
)
def test_an_answer_to_a_choice_has_one_field_more(answer: dict[str, Any], field: dict[str, object]) -> None:
    body = inbound_body(InstanceId("shop"), attrs.evolve(DIRECT, **answer))
    assert body == inbound_body(InstanceId("shop"), DIRECT) | field


def test_the_address_of_the_sender_as_it_came_is_not_for_the_proxy() -> None:
    lid = attrs.evolve(DIRECT, sender_address=Jid("1@lid"))
    assert inbound_body(InstanceId("shop"), lid) == inbound_body(InstanceId("shop"), DIRECT)


PAIRINGS = [
    (None, {}),
    (PairingCode(), {"pairing_code": None, "pairing_expires_at": None}),
    (PairingCode("ABCD-1234", 1_800_000_000), {"pairing_code": "ABCD-1234", "pairing_expires_at": 1_800_000_000}),
    (
        PairingCode(fault=NoCode.BAD_NUMBER),
        {"pairing_code": None, "pairing_expires_at": None, "pairing_error": NoCode.BAD_NUMBER.value},
    ),
]


@pytest.mark.parametrize(("pairing", "fields"), PAIRINGS)
def test_a_status_speaks_of_a_pairing_code_only_if_asked(pairing: PairingCode | None, fields: dict[str, Any]) -> None:
    body = wire.status_body(InstanceId("shop"), Status(ProxyStatus.CONNECTING, "data:", pairing=pairing))
    assert {key: body[key] for key in body if key.startswith("pairing")} == fields


def test_a_pairing_code_is_private() -> None:
    status = Status(ProxyStatus.CONNECTING, "data:", pairing=PairingCode("ABCD-1234", 1))
    assert "ABCD-1234" in status_event(InstanceId("shop"), status).private
    assert "ABCD" not in repr(status)
