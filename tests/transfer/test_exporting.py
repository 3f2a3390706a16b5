from __future__ import annotations

import sqlite3
from contextlib import closing
from uuid import uuid4

import pytest

from tests.transfer.test_importing import ALL, REGISTER, assert_whole, contents
from tests.transfer.volume import CAFE, NEW, OLD, PROXY, SHOP, Bed, journal_of, moved, on_volume
from wa_worker.errors import TransferError
from wa_worker.journal import open_journal
from wa_worker.models import InstanceId
from wa_worker.ownership.closed import closed_for, why_closed
from wa_worker.transfer.journal import OWN, SHARED
from wa_worker.transfer.values import columns_in_file
from wa_worker.whatsapp.egress_memory import EgressFiles

TOOLS = {"format", "workers", "instances"}


def there(bed: Bed, name: str = "back") -> dict[InstanceId, object]:
    return {instance: on_volume(bed.folder / name, instance) for instance in ALL if instance != NEW}


def test_what_came_goes_back_whole_and_can_come_again(bed: Bed) -> None:
    bed.volume()
    before = contents(bed)
    bed.move_in()
    back = bed.folder / "back"
    done = bed.move_out(back)
    assert (done.instances, done.sessions) == (4, 2)
    assert there(bed) == before
    assert (EgressFiles(back).of(SHOP), EgressFiles(back).of(CAFE)) == (PROXY, None)
    assert closed_for(back) is None
    with open_journal(journal_of(back)) as journal:
        assert journal.trouble() is None
    with closing(sqlite3.connect(journal_of(back))) as sql:
        assert sql.execute("SELECT key FROM contact_key").fetchone() == (b"auth".ljust(32),)
        assert sql.execute("SELECT count(*) FROM accounts").fetchone() == (1,)
    assert bed.claimable() == []
    assert bed.in_state(SHOP) == {table.name: [] for table in OWN}
    bed.listed()
    assert bed.claimable() == []
    again = bed.move_in(back)
    assert (again.instances, again.before) == (4, 0)
    assert {instance: bed.in_state(instance) for instance in before} == before
    with pytest.raises(TransferError, match="is not empty"):
        bed.move_out(bed.folder)


def test_it_goes_on_after_kill_9_at_any_stage(bed: Bed) -> None:
    bed.volume()
    before = contents(bed)
    bed.move_in()
    back = bed.folder / "back"
    for stage in ("the volume is closed", "nobody claims them", f"journal of {CAFE}, 1 of 4", "the volume is opened"):
        bed.move_out_killed(back, stage)
        bed.listed()
        assert closed_for(back) == "exporting"
        assert bed.claimable() == ([] if "closed" not in stage else ALL)
    assert "run it again" in str(why_closed(back))
    assert bed.move_out(back).sessions == 2
    assert there(bed) == before
    assert closed_for(back) is None
    assert bed.asked("SELECT count(*) FROM ledger") == 0


def test_a_volume_that_was_left_half_is_older_than_an_export_to_another(bed: Bed) -> None:
    """Its folder still has the keys, for the import was killed before it was renamed."""
    bed.volume()
    bed.move_in_killed(f"{CAFE} has come")
    with bed.state() as sql:
        sql.execute("DELETE FROM instances WHERE not_before = 'infinity'")  # somebody cleared it by hand
    bed.move_out(bed.folder / "back")
    with pytest.raises(TransferError, match="this one is older"):
        bed.move_in()


def test_no_export_before_an_import_is_over(bed: Bed) -> None:
    bed.volume()
    before = contents(bed)
    bed.move_in_killed(f"{CAFE} has come")
    with pytest.raises(TransferError, match="held by a move to or from another volume"):
        bed.move_out(bed.folder / "back")
    bed.move_in()
    assert_whole(bed, before)


def test_no_export_while_a_worker_is_there(bed: Bed) -> None:
    bed.volume("auth", SHOP)
    bed.move_in()
    with bed.state() as sql:
        sql.execute(REGISTER, (uuid4(), -1))
        sql.execute(REGISTER, (uuid4(), 60))
        with pytest.raises(TransferError, match=r"1 workers run on PostgreSQL \(here\)"):
            bed.move_out(bed.folder / "back")
        assert bed.claimable() == [SHOP]
        sql.execute("UPDATE workers SET expires_at = clock_timestamp()")
    assert bed.move_out(bed.folder / "back").instances == 1
    with pytest.raises(TransferError, match="no instance is in this database"):
        bed.move_out(bed.folder / "more")


def test_a_session_of_a_former_owner_finds_no_keys(bed: Bed) -> None:
    bed.volume("auth", SHOP)
    bed.move_in()
    with bed.state() as sql:
        schema = sql.execute("SELECT format('wa_%%s_%%s', n, token) FROM instances", ()).fetchone()
    assert schema is not None
    bed.move_out(bed.folder / "back")
    assert bed.asked("SELECT to_regclass(%s)", f"{schema[0]}.whatsmeow_device") is None
    assert bed.asked("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^wa_1_x'") == 1


def test_every_table_of_the_journal_is_moved(bed: Bed) -> None:
    with open_journal(journal_of(bed.auth_dir)):
        pass
    with closing(sqlite3.connect(journal_of(bed.auth_dir))) as file, bed.state() as sql:
        found = columns_in_file(file)
        state = {name for (name,) in sql.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'wa'")}
    assert set(found) == {table.name for table in OWN} | SHARED == state - TOOLS
    assert {name for name, columns in found.items() if "instance" in columns} == {
        table.name for table in OWN if table.refers is None
    }
    assert moved(on_volume(bed.volume(), OLD))["ledger"][1]["store"] is None
