"""Through which proxy each instance goes out: what is listed, what is remembered, and what is never forgotten."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import trio
import trio.testing

from wa_worker.edge.wire import instances_from
from wa_worker.models import Egress, EgressProxy, InstanceId, Unusable
from wa_worker.whatsapp.egress import EgressTable
from wa_worker.whatsapp.egress_memory import FILE, EgressFiles

SHOP = InstanceId("shop")
URL = "http://customer:hidden@127.0.0.1:3128"


def url_of(egress: Egress) -> str | None:
    return egress.url.reveal() if isinstance(egress, EgressProxy) else None


async def listed(table: EgressTable, **row: object) -> Egress:
    await table.listed(instances_from([{"id": SHOP, **row}]))
    return table.of(SHOP)


def again(folder: Path) -> Egress:
    table = EgressTable(EgressFiles(folder))
    table.load()
    return table.of(SHOP)


async def test_what_was_said_last_outlives_the_process(tmp_path: Path) -> None:
    table = EgressTable(EgressFiles(tmp_path))
    assert url_of(await listed(table, proxy=URL)) == URL
    file = tmp_path / SHOP / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert url_of(again(tmp_path)) == URL
    assert url_of(await listed(table)) == URL, "a list without a word of it takes nothing away"
    assert isinstance(await listed(table, proxy="nonsense"), Unusable)
    assert isinstance(again(tmp_path), Unusable), "nor does a restart make it one that needs no proxy"
    assert await listed(table, proxy=None) is None
    assert again(tmp_path) is None
    assert not file.exists()


@pytest.mark.parametrize("content", ["", "{}", "[]", "7", '{"proxy": null}', '{"proxy": "http://"}', "\x00"])
async def test_what_cannot_be_read_is_not_no_proxy(tmp_path: Path, content: str) -> None:
    (tmp_path / SHOP).mkdir()
    (tmp_path / SHOP / FILE).write_text(content)
    (tmp_path / "@worker").mkdir()
    (tmp_path / "@worker" / FILE).write_text(content)
    assert isinstance(again(tmp_path), Unusable)


async def test_what_the_volume_does_not_take_is_not_used_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / SHOP).write_text("in the way of the folder")
    table = EgressTable(EgressFiles(tmp_path))
    assert isinstance(await listed(table, proxy=URL), Unusable)
    (tmp_path / SHOP).unlink()
    assert url_of(await listed(table, proxy=URL)) == URL


async def test_who_waits_hears_of_another_one_alone(tmp_path: Path) -> None:
    table = EgressTable(EgressFiles(tmp_path))
    was = await listed(table, proxy=URL)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(table.until_other, SHOP, was)
        await trio.testing.wait_all_tasks_blocked()
        await table.listed(instances_from([{"id": "other", "proxy": URL}]))
        await listed(table, proxy=URL)
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks
        await listed(table, proxy=None)
