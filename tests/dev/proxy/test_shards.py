"""POST /poll for one of several workers: what it is listed, and what ends an answer that is held for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
import trio

from wa_worker.dev.proxy import ReferenceProxy

from .test_polling import NUMBER, asked_for

FIRST, SECOND = ("three", "loja-01"), ("shop", "pub")
"""Of the first and of the second of two shards."""

Answer = dict[str, Any]


async def poll(client: httpx.AsyncClient, states: dict[str, str], wait: float = 0, **more: object) -> Answer:
    answer = await client.post("/poll", json={**asked_for(states, wait), **more})
    assert answer.status_code == 200, answer.text
    found: Answer = answer.json()
    return found


def ids(answer: Answer) -> list[str]:
    return [row["id"] for row in answer["instances"]]


async def test_instances_and_messages_are_those_of_the_shard(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    for instance in ("three", "loja-01", "pub", "ção", "in a folder/of its own"):
        proxy.store.add_instance(instance)
    for instance in ("up-2", "up-1"):  # of the first and of the second
        proxy.store.add_instance(instance, "CONNECTED")
        proxy.store.queue(instance, NUMBER, instance)
    up = {"up-2": "CONNECTED", "up-1": "CONNECTED"}
    first, second = [await poll(client, up, shard=shard) for shard in ("1/2", "2/2")]
    all_ = await poll(client, up)
    assert {*FIRST} < set(ids(first))
    assert {*SECOND} <= set(ids(second))
    assert sorted(ids(first) + ids(second)) == sorted(ids(all_)), "what no instance can be is in one shard, too"
    assert [[row["instanceId"] for row in answer["messages"]] for answer in (first, second)] == [["up-2"], ["up-1"]]
    proxy.knows_shards = False
    assert await poll(client, up, shard="no shard", peers=1) == all_


async def _ends(
    client: httpx.AsyncClient,
    change: Callable[[], object],
    states: dict[str, str],
    *,
    patience: float = 0.3,
    **more: object,
) -> bool:
    """Whether a change ends an answer that is held, within `patience` seconds."""
    found: list[Answer] = []

    async def ask() -> None:
        found.append(await poll(client, states, 60, **more))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.sleep(0.15)
        assert not found, "it is not held"
        change()
        with trio.move_on_after(patience):
            while not found:  # noqa: ASYNC110 - nothing tells
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    return bool(found)


@pytest.mark.parametrize(("instance", "ends"), [("three", True), ("pub", False)])
async def test_what_ends_an_answer_is_of_the_shard(
    proxy: ReferenceProxy, client: httpx.AsyncClient, instance: str, ends: bool
) -> None:
    store = proxy.store
    changes: list[Callable[[], object]] = [
        partial(store.add_instance, instance),
        partial(store.set_pair_phone, instance, "5511999990001"),
        partial(store.set_proxy, instance, "http://10.0.0.5:3128"),
        partial(store.remove_instance, instance),
    ]
    for change in changes:
        states = {instance: "CONNECTING"} if ends and store.instance(instance) else {}
        assert await _ends(client, change, states, shard="1/2", patience=5 if ends else 0.3) == ends


async def test_an_instance_of_another_shard_that_is_named_counts_for_nothing(
    proxy: ReferenceProxy, client: httpx.AsyncClient
) -> None:
    proxy.store.queue("shop", NUMBER, "Oi")
    named = {"shop": "CONNECTED", "pub": "CONNECTING"}
    assert await poll(client, named, shard="1/2") == {"instances": [], "messages": []}
    assert not await _ends(client, lambda: None, named, shard="1/2")


async def test_a_connected_instance_of_a_peer_is_listed_for_the_one_that_runs_it(
    proxy: ReferenceProxy, client: httpx.AsyncClient
) -> None:
    """It was removed, and is listed until its worker hears so; another would start it."""
    proxy.store.set_status("shop", "CONNECTED")
    others: list[dict[str, str]] = [{}, {"shop": "ELSEWHERE"}]
    for states in others:
        assert not await _ends(client, lambda: None, states, peers=True)
    proxy.store.remove_instance("shop", call_back=True)
    for states in others:
        assert await poll(client, states, peers=True) == {"instances": [], "messages": []}
        assert not await _ends(client, lambda: None, states, peers=True)
    for state in ("CONNECTED", "SENDING"):
        assert ids(await poll(client, {"shop": state}, 60, peers=True)) == ["shop"]
    assert ids(await poll(client, {}, 0)) == ["shop"], "a worker alone would announce it, and be refused"


async def test_what_a_peer_brings_up_is_listed_and_ends_no_answer_once_it_is_named(
    proxy: ReferenceProxy, client: httpx.AsyncClient
) -> None:
    proxy.store.set_status("shop", "CONNECTING")
    assert ids(await poll(client, {}, 60, peers=True)) == ["shop"], "nobody may run it"
    assert not await _ends(client, lambda: None, {"shop": "ELSEWHERE"}, peers=True)
    added = partial(proxy.store.add_instance, "new")
    assert await _ends(client, added, {"shop": "ELSEWHERE"}, peers=True, patience=5)


@pytest.mark.parametrize("shard", ["0/3", "1/0", "1\n/3", "1", "", 1, None, "1/1001", "1 / 2", ["1/2"]])
async def test_a_shard_that_is_none_is_400(client: httpx.AsyncClient, shard: object) -> None:
    answer = await client.post("/poll", json={**asked_for({}), "shard": shard})
    assert answer.status_code == 400
    assert "shard" in answer.json()["error"]
    assert ids(await poll(client, {}, shard="4/3")) == [], "it is one, and has no instances"


@pytest.mark.parametrize("peers", ["yes", 1, None])
async def test_peers_is_true_or_false(client: httpx.AsyncClient, peers: object) -> None:
    answer = await client.post("/poll", json={**asked_for({}), "peers": peers})
    assert (answer.status_code, answer.json()) == (400, {"error": "peers must be true or false"})
    assert ids(await poll(client, {}, peers=False)) == ["shop"]


async def test_an_older_proxy_knows_none_of_it(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    proxy.play_older()
    assert ids(await poll(client, {}, shard="1/2")) == ["shop"]
