"""The reference proxy over loopback and the worker's client of it, for tests of what speaks to the proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import trio

from wa_worker.dev.proxy import Contract, ReferenceProxy, open_proxy
from wa_worker.edge.client import EdgeClient, open_edge_client
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, Secret

SHOP = InstanceId("shop")
PATIENCE = 20.0
"""Seconds a test waits for something that takes well under one: the machine is shared."""


@attrs.frozen
class ProxyFixture:
    proxy: ReferenceProxy
    edge: EdgeClient
    metrics: Metrics


@asynccontextmanager
async def open_proxy_fixture(*instances: InstanceId, contract: Contract = 1) -> AsyncIterator[ProxyFixture]:
    """Opens a proxy that knows `instances` and a client of it. `contract`: the version that it speaks."""
    metrics = Metrics()
    async with (
        open_proxy(secret="s", contract=contract) as proxy,
        open_edge_client(proxy.url, Secret("s"), longest_poll=1, metrics=metrics) as edge,
    ):
        for instance in instances:
            proxy.store.add_instance(instance)
        yield ProxyFixture(proxy, edge, metrics)


async def until(holds: Callable[[], object]) -> None:
    """Waits for what rings no bell."""
    with trio.fail_after(PATIENCE):
        while not holds():  # noqa: ASYNC110 - nothing tells
            await trio.sleep(0.01)
