"""Polling as the worker does it, for tests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
import trio

from tests.proxy_fixture import SHOP, until
from wa_worker.delivery.poll_timer import PollTimer
from wa_worker.delivery.polled import Listed, PolledMessages
from wa_worker.dev.proxy import ReferenceProxy, open_proxy
from wa_worker.edge.call import Caller
from wa_worker.edge.client import EdgeClient
from wa_worker.edge.transport import open_transport
from wa_worker.edge.wire import InstanceRows
from wa_worker.instances.discovery import Fleet, Running
from wa_worker.instances.polling import Polling
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, Secret, Shard


async def run_polling(edge: EdgeClient, fleet: Fleet, interval: float, polled: PolledMessages | None = None) -> None:
    """Polls every `interval` seconds, until cancelled."""
    pace = PollTimer(interval, 0)
    await Polling(edge, fleet, polled or PolledMessages(), interval=interval, pace=pace).run()


@attrs.define
class Instances:
    """Stands for the fleet: instances that a test says the state of."""

    now: dict[InstanceId, Running] = attrs.Factory(dict)
    started: list[InstanceId] = attrs.Factory(list)
    released: list[InstanceId] = attrs.Factory(list)
    again: list[InstanceId] = attrs.Factory(list)
    back: list[float] = attrs.Factory(list)
    on_end: list[Callable[[], None]] = attrs.Factory(list)
    on_connected: list[Callable[[InstanceId], None]] = attrs.Factory(list)
    kept_off: frozenset[InstanceId] = frozenset()
    on_answer: Callable[[], Awaitable[None]] | None = None
    """What a test does between an answer and what is done about it."""

    def running(self) -> Mapping[InstanceId, Running]:
        return dict(self.now)

    def start(self, instance: InstanceId) -> None:
        self.started.append(instance)

    def release(self, instance: InstanceId) -> None:
        self.released.append(instance)

    def announce_again(self, instance: InstanceId) -> None:
        self.again.append(instance)

    def pair_by_code(self, rows: InstanceRows) -> None: ...
    async def go_out_by(self, rows: InstanceRows) -> None:
        if self.on_answer is not None:
            await self.on_answer()

    def proxy_is_back(self, last_seen: float) -> None:
        self.back.append(last_seen)

    def connect(self, instance: InstanceId) -> None:
        self.now[instance] = Running(connected=True, announced=True)
        for listener in self.on_connected:
            listener(instance)

    def end(self, instance: InstanceId) -> None:
        del self.now[instance]
        for listener in self.on_end:
            listener()


@attrs.frozen
class Asked:
    """A call of `/poll`: when it was made, and with what. more: the fields that only some workers have."""

    at: float
    worker: str
    wait: int
    states: dict[str, str]
    more: dict[str, Any] = attrs.Factory(dict)


class Recording(httpx.AsyncBaseTransport):
    """Writes down what `/poll` is called with, on its way to the network."""

    def __init__(self, network: httpx.AsyncBaseTransport) -> None:
        self._network = network
        self.polls: list[Asked] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/poll"):
            return await self._network.handle_async_request(request)
        body = await request.aread()
        said: dict[str, Any] = json.loads(body)
        states = {each["id"]: each["state"] for each in said["instances"]}
        more = {key: said[key] for key in said if key not in ("worker", "wait", "instances")}
        self.polls.append(Asked(trio.current_time(), said["worker"], said["wait"], states, more))
        again = httpx.Request("POST", request.url, headers=request.headers, content=body, extensions=request.extensions)
        return await self._network.handle_async_request(again)


@attrs.frozen
class PollingBed:
    """A proxy of version 2 and what polls it, in `nursery`."""

    proxy: ReferenceProxy
    edge: EdgeClient
    instances: Instances
    polled: PolledMessages
    recording: Recording
    nursery: trio.Nursery

    @property
    def polls(self) -> list[Asked]:
        return self.recording.polls

    @property
    def lists(self) -> int:
        """Calls of version 1."""
        return self.proxy.store.requests["disconnected-instances"]

    def run(
        self, *, interval: float = 0.05, pace: float = 0.05, shard: Shard | None = None, peers: bool = False
    ) -> None:
        timer = PollTimer(pace, 0.0)
        polling = Polling(
            self.edge, self.instances, self.polled, interval=interval, pace=timer, shard=shard, peers=peers
        )
        self.nursery.start_soon(polling.run)

    def takes(self, instance: InstanceId, taken: list[Listed | None], times: int = 1) -> None:
        """The instance waits for messages, so often."""

        async def take() -> None:
            for _ in range(times):
                listed = await self.polled.take(instance)
                taken.append(listed)

        self.nursery.start_soon(take)

    async def held(self, count: int) -> Asked:
        """Waits for the poll of that number, from 1, and returns it."""
        await until(lambda: len(self.polls) >= count)
        return self.polls[count - 1]


@asynccontextmanager
async def open_polling(*, hold: float = 60.0) -> AsyncIterator[PollingBed]:
    """hold: seconds for which the proxy holds an answer at most."""
    async with open_proxy(secret="s", contract=2) as proxy, open_polling_of(proxy) as bed:
        proxy.longest_hold = hold
        proxy.store.add_instance(SHOP, "CONNECTED")
        yield bed


@asynccontextmanager
async def open_polling_of(proxy: ReferenceProxy) -> AsyncIterator[PollingBed]:
    """One of several workers at a proxy."""
    async with open_transport(proxy.url, keep=15) as network, trio.open_nursery() as nursery:
        recording = Recording(network)
        edge = EdgeClient(Caller(recording, proxy.url, Secret("s"), Metrics()))
        yield PollingBed(proxy, edge, Instances(), PolledMessages(), recording, nursery)
        nursery.cancel_scope.cancel()
