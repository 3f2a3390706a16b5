"""An instance among others: what ends it, what does not, and what its neighbours notice of it.

What nobody expected is here a file in the place of an instance's folder: it fails inside the instance, as a bug would.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs

from tests.instances.bed import Bed, listing, open_bed
from tests.proxy_fixture import PATIENCE, SHOP, until
from tests.test_metrics import scrape
from tests.whatsapp.scripted_host import script
from wa_worker.dev.proxy import Fault
from wa_worker.errors import JournalError
from wa_worker.instances.registry import InstanceSnapshot
from wa_worker.instances.status import StatusPublisher
from wa_worker.instances.supervisor import FAREWELL, run_instance
from wa_worker.models import RESERVED_FOLDER, InstanceId
from wa_worker.states import Event, State

OTHER = InstanceId("other")
NEVER: Callable[[], bool] = lambda: False  # noqa: E731 - a name for what it means


async def run(bed: Bed, instance: InstanceId = SHOP, *, stopping: Callable[[], bool] = NEVER) -> None:
    await run_instance(instance, bed.services, StatusPublisher(instance, bed.fixture.edge), says_farewell=stopping)


async def test_a_crash_is_followed_by_a_pause_and_another_start(tmp_path: Path) -> None:
    (tmp_path / SHOP).touch()
    async with open_bed(tmp_path) as bed:
        with capture_logs() as lines:
            bed.nursery.start_soon(run, bed)
            await trio.sleep(2.6)
        crashes = [line for line in lines if line["event"].startswith("instance crashed")]
        assert 2 <= len(crashes) <= 3, "after 0, 1 and 2 s, or half of that"
        assert all((line["log_level"], line["instance"]) == ("error", SHOP) for line in crashes)
        assert scrape(bed.fixture.metrics)["wa_worker_instance_crashes_total"] == len(crashes)


async def test_neighbours_go_on_while_one_crashes(tmp_path: Path) -> None:
    async with open_bed(tmp_path, script(None, {"is": "qr", "code": "2@"})) as bed:
        bed.fixture.proxy.store.add_instance(OTHER)
        (tmp_path / SHOP).touch()
        bed.nursery.start_soon(run, bed, SHOP)
        bed.nursery.start_soon(run, bed, OTHER)
        registry = bed.services.registry
        await until(lambda: (now := registry.all().get(OTHER)) and now.because is Event.QR)
        await until(lambda: (now := registry.all().get(SHOP)) and now.because is Event.CRASHED)
        shown = registry.all()[OTHER]
        await trio.sleep(1)
        assert registry.all()[OTHER] == shown
        assert registry.all()[SHOP].state in (State.RETRYING, State.PAIRING)


async def test_it_is_told_to_the_proxy_while_it_crashes(tmp_path: Path) -> None:
    (tmp_path / SHOP).touch()
    async with open_bed(tmp_path) as bed:
        bed.nursery.start_soon(run, bed)
        await until(lambda: bed.fixture.proxy.store.statuses(SHOP))
        assert bed.fixture.proxy.store.statuses(SHOP)[0].status == "CONNECTING"


async def test_one_that_the_proxy_does_not_know_is_let_go(tmp_path: Path) -> None:
    async with open_bed(tmp_path, script(None, {"is": "qr", "code": "2@"})) as bed:
        bed.store(SHOP).prepare()
        bed.fixture.proxy.store.remove_instance(SHOP)
        with trio.fail_after(PATIENCE), capture_logs() as lines:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(listing, bed)
                await run(bed)
                nursery.cancel_scope.cancel()
        assert SHOP not in bed.services.registry.all()
        assert bed.store(SHOP).folder.exists(), "its data is kept"
        assert "instance let go: the proxy does not know it" in [line["event"] for line in lines]
        assert scrape(bed.fixture.metrics)["wa_worker_instance_crashes_total"] == 0


@pytest.mark.parametrize("stopping", [True, False])
async def test_the_farewell_is_for_the_end_of_the_worker(tmp_path: Path, stopping: bool) -> None:
    async with open_bed(tmp_path, script(None, {"is": "qr", "code": "2@"})) as bed:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run(bed, stopping=lambda: stopping))
            await until(lambda: bed.fixture.proxy.store.statuses(SHOP))
            nursery.cancel_scope.cancel()
        said = [change.status for change in bed.fixture.proxy.store.statuses(SHOP)]
        assert (said[-1] == "DISCONNECTED") == stopping
        assert SHOP not in bed.services.registry.all()


@pytest.mark.parametrize("fault", [Fault(hang=True), Fault(status=500)])
async def test_a_farewell_that_is_not_heard_takes_its_time_and_no_more(tmp_path: Path, fault: Fault) -> None:
    async with open_bed(tmp_path, script(None, {"is": "qr", "code": "2@"})) as bed:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run(bed, stopping=lambda: True))
            await until(lambda: bed.fixture.proxy.store.statuses(SHOP))
            bed.fixture.proxy.faults.set("update-status", fault)
            told = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - told < FAREWELL + 1.5


async def test_a_journal_that_cannot_be_read_is_no_crash(tmp_path: Path) -> None:
    """Whether a ban has passed is in it: nothing begins before that is known."""
    async with open_bed(tmp_path, script(None, {"is": "qr", "code": "2@"})) as bed:
        with (
            closing(sqlite3.connect(tmp_path / RESERVED_FOLDER / "journal.db", isolation_level=None)) as other,
            capture_logs() as lines,
        ):
            other.execute("ALTER TABLE holds RENAME TO away")
            bed.nursery.start_soon(run, bed)
            await until(lambda: any(line["event"] == "the journal cannot be read" for line in lines))
            assert SHOP not in bed.services.registry.all(), "nothing has begun"
            other.execute("ALTER TABLE away RENAME TO holds")
            await until(lambda: (now := bed.services.registry.all().get(SHOP)) and now.because is Event.QR)
        assert not [line for line in lines if line["event"].startswith("instance crashed")]


async def test_nor_is_one_that_any_part_of_it_could_not_read(tmp_path: Path) -> None:
    async with open_bed(tmp_path, script(None, {"is": "qr", "code": "2@"})) as bed:
        said: list[State] = []

        def fails_once(_instance: InstanceId, now: InstanceSnapshot) -> None:
            said.append(now.state)
            if len(said) == 1:
                raise JournalError("away for a moment")

        bed.services.registry.on_changed.append(fails_once)
        with capture_logs() as lines:
            bed.nursery.start_soon(run, bed)
            await until(lambda: (now := bed.services.registry.all().get(SHOP)) and now.because is Event.QR)
        assert [line["reason"] for line in lines if line["event"] == "the journal cannot be read"] == [
            "away for a moment"
        ]
        assert not [line for line in lines if line["event"].startswith("instance crashed")]
