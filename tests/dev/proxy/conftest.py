"""A running reference proxy and a client of it, over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from wa_worker.dev.proxy import ReferenceProxy, open_proxy

SECRET = "s3crét"


@pytest.fixture
async def proxy() -> AsyncIterator[ReferenceProxy]:
    async with open_proxy(secret=SECRET) as proxy:
        proxy.store.add_instance("shop")
        yield proxy


@pytest.fixture
async def client(proxy: ReferenceProxy) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(proxy) as client:
        yield client


def open_client(proxy: ReferenceProxy) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=proxy.url,
        headers={b"Authorization": b"Bearer " + SECRET.encode()},
        timeout=5,
        verify=False,  # there is no TLS, and loading the certificates takes longer than most tests
        limits=httpx.Limits(max_connections=None),
    )
