"""P8 at its worst: every level of log, a proxy that quotes what it was sent, refusals and unreadable rows."""

from __future__ import annotations

import json

import pytest

from tests.e2e.privacy import leaks, tells
from tests.e2e.world import SECRET, World
from wa_worker.dev.proxy import Fault

CONTACT = "5511988880002"
OUT, IN, NAME = (
    "Segredo de saída: ümläut 7431",
    "Segredo de entrada\nna segunda linha 9527",
    "Maria das Dores Quintanilha",
)


@pytest.mark.parametrize("level", ["debug", "info"])
async def test_nothing_private_is_logged_when_everything_goes_wrong(world: World, level: str) -> None:
    worker = await world.start_worker(LOG_LEVEL=level)
    quoting = {"error": "refused", "you": SECRET, "said": IN, "by": NAME, "from": f"{CONTACT}@s.whatsapp.net"}
    for form in (quoting, {"message": f"value too long: {IN[:14]}..."}):
        world.proxy.faults.set("inbound", Fault(status=500, body=json.dumps(form).encode()))
        if world.proxy.store.instance("shop") is None:
            jid = await world.pair("shop", "5511999990001")
        await world.simulator.contact(CONTACT).send(jid, IN, push_name=NAME)
        await worker.logged("not handed to the proxy, will retry", endpoint="inbound")
    world.proxy.faults.set(
        "queued-messages", Fault(times=2, body=json.dumps([{"id": 9001, "body": OUT}, OUT]).encode())
    )
    await worker.logged("a queued row is not a message")
    world.simulator.message_error["5511900000404"] = 400
    world.proxy.store.queue("shop", "5511900000404", OUT)
    world.proxy.store.queue("shop", f"not a number: {CONTACT}", OUT)
    world.proxy.store.queue("shop", CONTACT, OUT)
    await world.simulator.contact(CONTACT).wait_received(1)
    await worker.logged("WhatsApp refuses a message")
    world.proxy.faults.clear()
    rows = await world.until(lambda s: rows if len(rows := s.inbound("shop")) == 2 else [])
    assert {row.body for row in rows} == {IN}
    answers = [line for line in worker.lines if line["event"] == "not handed to the proxy, will retry"]
    assert any("answered 500" in line["reason"] for line in answers), "what is safe to say is said"
    assert all(line["instance"] == "shop" for line in answers)
    assert {OUT, IN, NAME} <= set(world.private()["body"])  # the world looks for them when it closes


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('{"event": "x", "reason": "Segredo 7431"}', "body"),
        ("Segredo 7431", "body"),
        ('{"event": "to 5511988880002@s.whatsapp.net"}', "phone number"),
        ('{"event": "to +55 (11) 98888-0002"}', "phone number"),
        ('{"event": "x", "code": "2@abcdef,ghi"}', "QR code"),
        ('{"event": "x", "header": "Bearer a-secret-of-the-tests"}', "secret"),
    ],
)
def test_a_leak_is_found(line: str, kind: str) -> None:
    private = {"body": ["Segredo 7431"], "QR code": ["2@abcdef,ghi"], "secret": [SECRET]}
    assert [found.split(" in: ")[0] for found in leaks(["{}", line], private)] == [kind]


def test_what_is_no_leak() -> None:
    lines = [
        '{"event": "a message waits for another try", "reason": "to ***0002@s.whatsapp.net"}',
        '{"instance": "hello"}',
    ]
    assert leaks(lines, {"body": ["hello", "a message waits for another try", "x"]}) == []
    assert not tells("connected")
    assert tells("hello 3")
