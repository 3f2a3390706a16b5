"""Through which proxy each instance goes out, in PostgreSQL: whichever worker runs it next goes the same way."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import psycopg
import pytest

from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
from wa_worker.edge.wire import instances_from
from wa_worker.errors import StateError
from wa_worker.models import EgressProxy, InstanceId, Unusable
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.migrations import upgrade
from wa_worker.postgres.url import StateUrl
from wa_worker.whatsapp.egress import EgressTable
from wa_worker.whatsapp.egress_rows import EgressRows

SHOP = InstanceId("shop")
URL = "http://customer:hidden@127.0.0.1:3128"


@pytest.fixture
def state(state_url: StateUrl) -> Iterator[psycopg.Connection]:
    with connect(state_url, "test") as sql:
        upgrade(sql)
        yield sql


async def test_what_one_worker_heard_another_goes_by(state_url: StateUrl, state: psycopg.Connection) -> None:
    heard, next_owner = EgressTable(EgressRows(state_url)), EgressTable(EgressRows(state_url))
    await heard.listed(instances_from([{"id": SHOP, "proxy": URL}]))
    next_owner.load()
    next_owner.load_one(SHOP)
    found = next_owner.of(SHOP)
    assert isinstance(found, EgressProxy)
    assert found.url.reveal() == URL
    await heard.listed(instances_from([{"id": SHOP, "proxy": None}]))
    next_owner.load_one(SHOP)
    assert next_owner.of(SHOP) is None


async def test_to_hear_of_its_proxy_makes_nobody_take_an_instance(
    state_url: StateUrl, state: psycopg.Connection
) -> None:
    await EgressTable(EgressRows(state_url)).listed(instances_from([{"id": SHOP, "proxy": URL}]))
    assert state.execute("SELECT wanted FROM instances").fetchall() == [(False,)]
    state.execute("UPDATE instances SET wanted = true")
    await EgressTable(EgressRows(state_url)).listed(instances_from([{"id": SHOP, "proxy": "nonsense"}]))
    assert state.execute("SELECT wanted FROM instances").fetchall() == [(True,)]


@pytest.mark.parametrize("text", ["", "{}", "7", '{"proxy": null}'])
async def test_what_cannot_be_read_is_not_no_proxy(state_url: StateUrl, state: psycopg.Connection, text: str) -> None:
    state.execute("INSERT INTO instances (id, egress) VALUES (%s, %s)", (SHOP, text))
    assert isinstance(EgressRows(state_url).of(SHOP), Unusable)


async def test_without_postgresql_nothing_is_used_and_nothing_is_no_proxy(state_url: StateUrl) -> None:
    away = attrs.evolve(state_url, port=9)
    table = EgressTable(EgressRows(away))
    await table.listed(instances_from([{"id": SHOP, "proxy": URL}]))
    found = table.of(SHOP)
    assert isinstance(found, Unusable)
    assert "hidden" not in found.why
    with pytest.raises(StateError):
        table.load_one(SHOP)
    assert isinstance(table.of(SHOP), Unusable), "it is as it was"
