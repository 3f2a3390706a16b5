"""How POST /poll of the Edge Function is held open, by waiting in PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import psycopg
import pytest
import trio

from tests.e2e.world import SECRET
from tests.worker_proxy.backend import EdgeProxy
from tests.worker_proxy.calls import Row, held_in_database, poll, waiting
from tests.worker_proxy.conftest import open_client
from tests.worker_proxy.postgres import Postgres
from tests.worker_proxy.processes import DidNotStart, Server, open_function


def _looks(proxy: EdgeProxy) -> int:
    """How many have ended. PostgreSQL counts them with up to a second's delay."""
    row = proxy.store.db.execute(
        "select coalesce(sum(calls), 0) from pg_stat_user_functions where funcname = 'wa_poll'"
    ).fetchone()
    assert row is not None
    return int(row[0])


async def test_an_answer_without_news_is_held_for_as_long_as_the_worker_asks(
    client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    for wait in (0, 1, 3):
        started = time.monotonic()
        assert await poll(client, connected, wait) == {"instances": [], "messages": []}
        assert wait <= time.monotonic() - started < wait + 5


Change = Callable[[EdgeProxy], object]

CHANGES: dict[str, tuple[str, Change, Row]] = {
    "a message": ("CONNECTED", lambda p: p.store.queue("shop", "55", "Oi"), {"messages": 1, "instances": 0}),
    "a new instance": ("CONNECTED", lambda p: p.store.add_instance("new"), {"messages": 0, "instances": 1}),
    "a lost status": (
        "CONNECTED",
        lambda p: p.store.set_status("shop", "DISCONNECTED"),
        {"messages": 0, "instances": 1},
    ),
    "a lost status of one that sends": (
        "SENDING",
        lambda p: p.store.set_status("shop", "CONNECTING"),
        {"messages": 0, "instances": 1},
    ),
    "switched off": ("CONNECTED", lambda p: p.store.enable("shop", False), {"messages": 0, "instances": 1}),
    "switched off while it was down": (
        "DISCONNECTED",
        lambda p: p.store.enable("shop", False),
        {"messages": 0, "instances": 0},
    ),
    "deleted while it was down": (
        "CONNECTING",
        lambda p: p.store.remove_instance("shop"),
        {"messages": 0, "instances": 0},
    ),
    "it is down and counts as connected": (
        "CONNECTING",
        lambda p: p.store.set_status("shop", "CONNECTED"),
        {"messages": 0, "instances": 0},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_held_answer_ends_at_once_with(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str], name: str
) -> None:
    state, change, expected = CHANGES[name]
    if state in ("CONNECTING", "DISCONNECTED"):
        proxy.store.set_status("shop", state)
    found: list[Row] = []

    async def ask() -> None:
        found.append(await poll(client, {**connected, "shop": state}, wait=13))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        with trio.fail_after(10):
            await waiting(proxy)
        started = time.monotonic()
        change(proxy)
    assert time.monotonic() - started < 5
    assert {key: len(rows) for key, rows in found[0].items()} == expected


async def test_a_look_that_waits_ends_at_once_too(
    postgres: Postgres, proxy: EdgeProxy, connected: dict[str, str]
) -> None:
    """The function looks again every two seconds: this is PostgreSQL alone, asked to wait for longer."""
    look = "select wa_poll('{shop}', '{}', '{}', 15000, 200, 1048576)"
    with psycopg.connect(postgres.dsn("supabase_admin")) as db:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, partial(db.execute, look))
            with trio.fail_after(10):
                await waiting(proxy)
            started = time.monotonic()
            proxy.store.queue("shop", "5511988880001", "Oi")
    assert time.monotonic() - started < 8


@pytest.mark.parametrize("state", ["SENDING", "HIBERNATING"])
async def test_what_is_no_news_does_not_end_it(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str], state: str
) -> None:
    """A message for one that is at work, one for an instance of another worker, an instance that waits for its scan."""
    proxy.store.queue("shop", "5511988880001", "Oi")
    proxy.store.queue("two", "5511988880001", "Oi")
    proxy.store.add_instance("unpaired", "CONNECTING")
    if state == "HIBERNATING":
        proxy.store.set_status("shop", "DISCONNECTED")
    asked = {"shop": state, "three": "CONNECTED", "unpaired": "CONNECTING"}
    started = time.monotonic()
    found = await poll(client, asked, wait=2)
    assert time.monotonic() - started >= 2
    assert ([row["id"] for row in found["instances"] if row["id"] != "shop"], found["messages"]) == (["unpaired"], [])


async def test_two_wait_in_the_database_and_the_others_hear_of_it_all_the_same(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    found: list[Row] = []

    async def ask(worker: str) -> None:
        found.append(await poll(client, connected, wait=13, worker=worker))

    most, before = 0, _looks(proxy)
    async with trio.open_nursery() as nursery:
        for n in range(6):
            nursery.start_soon(ask, f"w-{n}")
        with trio.fail_after(12):
            while _looks(proxy) < before + 6:
                most = max(most, held_in_database(proxy))
                await trio.sleep(0.02)
        assert not found
        started = time.monotonic()
        proxy.store.queue("shop", "5511988880001", "Oi")
    assert time.monotonic() - started < 8
    assert most == 2
    assert [len(answer["messages"]) for answer in found] == [1] * 6


async def test_a_poll_whose_worker_asks_anew_looks_no_more(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    """It was given up, and nothing on the way tells reliably: it would be gone on with for its whole time."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll, client, connected, 60)
        with trio.fail_after(10):
            await waiting(proxy)
        nursery.cancel_scope.cancel()
    await poll(client, connected)
    free = 0
    with trio.fail_after(10):
        while free < 20:  # from look to look it takes a few milliseconds
            free = free + 1 if held_in_database(proxy) == 0 else 0
            await trio.sleep(0.05)


async def test_a_poll_that_was_not_given_up_after_all_is_answered_in_time(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    """Two workers with one name: neither makes the other ask all the time."""
    answered: list[float] = []

    async def ask() -> None:
        started = time.monotonic()
        assert (await poll(client, connected, wait=4))["messages"]
        answered.append(time.monotonic() - started)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        with trio.fail_after(10):
            await waiting(proxy)
        await poll(client, connected)
        with trio.fail_after(10):
            await waiting(proxy, 0)
        proxy.store.queue("shop", "5511988880001", "Oi")
    assert 4 <= answered[0] < 10


async def test_a_setting_says_how_long_it_may_be_held(
    rest: Server, function_folder: Path, connected: dict[str, str]
) -> None:
    for setting, least, most in (("0", 0, 10), ("1", 1, 11)):
        with open_function(function_folder, rest.url, SECRET, POLL_HOLD_SECONDS=setting) as function:
            async with open_client(function.url) as client:
                await client.get("/disconnected-instances")
                started = time.monotonic()
                await poll(client, connected, wait=60)
                assert least <= time.monotonic() - started < most


@pytest.mark.parametrize("setting", ["-1", "20s", "1e3"])
def test_a_hold_that_is_no_number_of_seconds(function_folder: Path, installed: None, setting: str) -> None:
    with (
        pytest.raises(DidNotStart, match="POLL_HOLD_SECONDS must be a whole number of seconds"),
        open_function(function_folder, "http://127.0.0.1:9", SECRET, POLL_HOLD_SECONDS=setting),
    ):
        pass
