"""What the lease gives, on its way to the fleet: also before there is one."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
import trio.testing

from tests.instances.bed import Bed, open_bed
from tests.instances.test_shared_fleet import CODE, Shared
from tests.proxy_fixture import SHOP, until
from wa_worker.app.shared import OwnedInstances
from wa_worker.errors import SessionError
from wa_worker.instances.fleet import InstanceFleet
from wa_worker.models import InstanceId
from wa_worker.ownership.lease import Because
from wa_worker.postgres.url import StateUrl
from wa_worker.states import Event, State
from wa_worker.whatsapp.schema_store import SchemaStores

NOWHERE = StateUrl.of("postgres://nobody:x@127.0.0.1:9/nowhere")


@asynccontextmanager
async def open_owned(folder: Path) -> AsyncIterator[tuple[OwnedInstances, InstanceFleet, SchemaStores, Bed]]:
    async with open_bed(folder, CODE) as bed, trio.open_nursery() as nursery:
        cuts: list[InstanceId] = []
        stores, shared = SchemaStores(NOWHERE), Shared(mine={SHOP})
        owned = OwnedInstances(stores, bed.services.registry, cuts.append)
        yield owned, InstanceFleet(bed.services, nursery, stopping=lambda: False, ownership=shared), stores, bed
        nursery.cancel_scope.cancel()


def held(stores: SchemaStores) -> str | None:
    try:
        return stores.of(SHOP).schema
    except SessionError:
        return None


async def test_what_was_ours_before_there_was_a_fleet_starts_with_it_once_it_is_prepared(tmp_path: Path) -> None:
    async with open_owned(tmp_path) as (owned, fleet, stores, bed):
        prepared: list[InstanceId] = []

        async def prepare(instance: InstanceId) -> bool:
            prepared.append(instance)
            return False

        owned.gained(SHOP, "wa_7_42", "wa/7/42")
        assert held(stores) == "wa_7_42"
        owned.attach(fleet, prepare, bed.journal.let_go)
        await until(lambda: list(fleet.running()) == [SHOP])
        assert prepared == [SHOP]


async def test_what_is_given_up_before_there_was_a_fleet_does_not_start(tmp_path: Path) -> None:
    async with open_owned(tmp_path) as (owned, fleet, stores, bed):
        owned.gained(SHOP, "wa_7_42", "wa/7/42")
        await owned.give_up(SHOP, Because.HANDED_OVER)
        assert held(stores) is None

        async def prepare(_instance: InstanceId) -> bool:
            return False

        owned.attach(fleet, prepare, bed.journal.let_go)
        await trio.testing.wait_all_tasks_blocked()
        assert list(fleet.running()) == []


async def test_a_session_is_closed_before_its_store_is_let_go(tmp_path: Path) -> None:
    async with open_owned(tmp_path) as (owned, fleet, stores, bed):

        async def prepare(_instance: InstanceId) -> bool:
            return False

        owned.attach(fleet, prepare, bed.journal.let_go)
        owned.gained(SHOP, "wa_7_42", "wa/7/42")
        await until(lambda: list(fleet.running()) == [SHOP])
        await owned.give_up(SHOP, Because.HANDED_OVER)
        assert (list(fleet.running()), held(stores)) == ([], None)


async def test_how_many_should_get_through_and_how_many_do(tmp_path: Path) -> None:
    async with open_owned(tmp_path) as (owned, _, _, bed):
        states = (State.CONNECTED, State.OPENING, State.RECONNECTING, State.RETRYING, State.PAIRING, State.HELD)
        for n, state in enumerate(states):
            bed.services.registry.set(InstanceId(f"i{n}"), state, because=Event.PAIRED)
        assert owned.connections() == (4, 1), "who waits for a scan or is held says nothing of the line"


async def test_the_idlest_goes_first(tmp_path: Path) -> None:
    async with open_owned(tmp_path) as (owned, _, _, bed):
        activity = bed.services.registry.activity(SHOP)
        assert owned.last_used(SHOP) == 0
        activity.last_in, activity.last_out = 5.0, 3.0
        assert owned.last_used(SHOP) == 5.0
        bed.services.registry.set(SHOP, State.PAIRING, because=Event.QR)
        assert owned.last_used(SHOP) == math.inf, "somebody may be scanning its code"
