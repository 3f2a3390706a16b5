"""The two calls of version 2, as the tests make them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx

from tests.dev.proxy.test_endpoints import INBOUND
from tests.worker_proxy.backend import EdgeProxy

Row = dict[str, Any]

STATUS: Row = {"instanceId": "shop", "status": "CONNECTED", "qr_code": None}
WHY: Row = {
    "reason": "reconnecting",
    "until": 1790000060,
    "action": "wait",
    "jid": "5511999990001@s.whatsapp.net",
    "push_name": "Loja 🎉",
    "since": 1790000000,
}

_COLUMNS = "reason, extract(epoch from until)::bigint, action, jid, push_name, extract(epoch from since)::bigint"


async def poll(client: httpx.AsyncClient, states: dict[str, str], wait: int = 0, worker: str = "w-1") -> Row:
    instances = [{"id": id_, "state": state, "new": [1]} for id_, state in states.items()]
    answer = await client.post("/poll", json={"worker": worker, "instances": instances, "wait": wait, "want": []})
    assert answer.status_code == 200, answer.text
    found: Row = answer.json()
    assert found.keys() == {"instances", "messages"}
    return found


async def waiting(proxy: EdgeProxy, many: int = 1) -> None:
    """Until so many polls wait in the database."""
    await proxy.wait_for(lambda _: held_in_database(proxy) == many)


def held_in_database(proxy: EdgeProxy) -> int:
    row = proxy.store.db.execute("select count(*) from pg_locks where locktype = 'advisory' and granted").fetchone()
    assert row is not None
    return int(row[0])


def event(kind: str, fields: Row, **more: Any) -> Row:
    return {"event_id": f"e-{next(_numbers)}", "type": kind, **fields, **more}


_numbers = itertools.count()


def said(n: object, **more: Any) -> Row:
    """A message received."""
    return event("inbound", {**INBOUND, "wa_message_id": f"3A{n}", "body": f"m{n}", **more})


async def post(client: httpx.AsyncClient, *events: Row) -> list[Row]:
    # Not by httpx: it cannot say half of a surrogate pair.
    answer = await client.post("/events", content=json.dumps({"events": events}))
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"results"}
    results: list[Row] = answer.json()["results"]
    assert len(results) == len(events)
    return results


async def statuses(client: httpx.AsyncClient, *events: Row) -> list[int]:
    return [result["status"] for result in await post(client, *events)]


def why(proxy: EdgeProxy, instance_id: str = "shop") -> Row:
    row = proxy.store.db.execute(f"select {_COLUMNS} from wa_instances where id = %s", (instance_id,)).fetchone()
    assert row is not None
    return dict(zip(WHY, row, strict=True))
