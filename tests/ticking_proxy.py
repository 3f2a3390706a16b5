"""A proxy that takes statuses of messages, on a port of this machine: version 1's call and version 2's events.

It also answers the polls of version 1, well and with nothing, so that its word counts.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Quart, Response, request
from quart_trio import QuartTrio

from wa_worker.edge.client import EdgeClient, open_edge_client
from wa_worker.metrics import Metrics
from wa_worker.models import Secret


@attrs.define
class TickingProxy:
    """What it was told, and how it answers: `status` to a status of a message, `marking` to a mark,
    `polls` to a poll.

    calls: how often each path was asked.
    """

    edge: EdgeClient
    told: list[dict[str, Any]] = attrs.Factory(list)
    marked: list[dict[str, Any]] = attrs.Factory(list)
    batches: list[int] = attrs.Factory(list)
    calls: int = 0
    status: int = 200
    marking: int = 200
    polls: int = 200

    def take(self, event: dict[str, Any]) -> int:
        if event.pop("type", "message_status") == "sent":
            if self.marking == 200:
                self.marked.append(event)
            return self.marking
        self.calls += 1
        if self.status == 200:
            self.told.append(event)
        return self.status

    def words(self) -> list[tuple[str, str]]:
        return [(each["wa_message_id"], each["status"]) for each in self.told]


@asynccontextmanager
async def open_ticking_proxy(*, contract: int = 1) -> AsyncIterator[TickingProxy]:
    app: Quart = QuartTrio(__name__)

    @app.post("/message-status")
    async def message_status() -> tuple[str, int]:
        return "{}", proxy.take(await request.get_json())

    @app.post("/mark-sent")
    async def mark_sent() -> tuple[str, int]:
        return "{}", proxy.take({"type": "sent", **await request.get_json()})

    @app.post("/events")
    async def events() -> Response:
        posted = (await request.get_json())["events"]
        proxy.batches.append(len(posted))
        results = [{"status": proxy.take(event)} for event in posted]
        return Response(json.dumps({"results": results}), content_type="application/json")

    @app.get("/queued-messages")
    @app.get("/disconnected-instances")
    async def polls() -> Response:
        return Response("[]", proxy.polls, content_type="application/json")

    config = Config()
    config.bind = ["127.0.0.1:0"]
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(partial(serve, app, config))
        async with open_edge_client(url, Secret("s"), longest_poll=1, metrics=Metrics()) as edge:
            if contract == 2:
                edge.version.is_two()
            proxy = TickingProxy(edge)
            yield proxy
        nursery.cancel_scope.cancel()
