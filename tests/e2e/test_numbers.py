"""Numbers as people write them, through the whole worker: to whom the message goes, and what the proxy hears."""

from __future__ import annotations

import trio

from tests.e2e.world import PATIENCE, World
from wa_worker.errors import Failure

SENT = {
    "\u202a+55 (31) 9\u200b8888-0001\u202c": ("5531988880001", None),
    "912 345 678": ("351912345678", "351912345678@s.whatsapp.net"),
    "+55 31 98888-0005": ("553188880005", "553188880005@s.whatsapp.net"),
    "5215512345678": ("5215512345678", None),
}
FAILED = {
    "+55 (31) 90000-0009": Failure.NOT_ON_WHATSAPP,
    "55 31 98888 0006 / 0007": Failure.BAD_NUMBER,
    "status@broadcast": Failure.BAD_SERVER,
    "120363041234567890@g.us": Failure.NO_SUCH_GROUP,
}


async def test_each_goes_to_its_account_or_fails_in_words_of_the_list(world: World) -> None:
    world.simulator.registered_as["5531988880005"] = "553188880005"
    world.simulator.absent.add("5531900000009")
    worker = await world.start_worker(DEFAULT_REGION="pt")
    await world.pair("shop", "5511999990001")
    world.proxy.store.queue_many("shop", [(to, "Olá") for to in (*SENT, *FAILED)])
    with trio.fail_after(PATIENCE):
        for phone, _sent_to in SENT.values():
            await world.simulator.contact(phone).wait_received(1)
    await world.until(lambda store: not store.count_messages("queued"))
    rows = world.proxy.store.messages("shop")
    assert {row.to: row.error for row in rows if row.error} == {to: text.value for to, text in FAILED.items()}
    went = {to: sent_to or f"{phone}@s.whatsapp.net" for to, (phone, sent_to) in SENT.items()}
    assert {row.to: row.sent_to for row in rows if not row.error} == went
    assert world.simulator.contact_queries == {"5531988880005": 1, "5531900000009": 1}
    shown = " ".join(worker.raw)
    assert not [number for number in ("88880001", "912345678", "988880005", "88880005", "900000009") if number in shown]
