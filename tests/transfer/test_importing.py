from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from uuid import uuid4

import pytest

from tests.transfer.volume import CAFE, NEW, OLD, PROXY, SHOP, Bed, fill, journal_of, moved, on_volume
from wa_worker.errors import StateError, TransferError
from wa_worker.journal.restored import write_gaps
from wa_worker.models import InstanceId
from wa_worker.ownership.closed import MOVED, close_volume, closed_for, why_closed
from wa_worker.ownership.volume import try_volume
from wa_worker.transfer.importing import import_volume
from wa_worker.transfer.marks import only_move
from wa_worker.whatsapp.egress_rows import EgressRows

ALL = [CAFE, NEW, OLD, SHOP]

REGISTER = (
    "INSERT INTO workers (id, host, version, capacity, expires_at)"
    " VALUES (%s, 'here', '0', 0, clock_timestamp() + %s * interval '1 s') RETURNING 1"
)


def contents(bed: Bed) -> dict[InstanceId, object]:
    return {instance: moved(on_volume(bed.auth_dir, instance)) for instance in ALL if instance != NEW}


def assert_whole(bed: Bed, before: dict[InstanceId, object]) -> None:
    """Each instance is in PostgreSQL, and in no folder that a worker looks into."""
    assert {instance: bed.in_state(instance) for instance in before} == before
    assert bed.claimable() == ALL
    assert {path.name for path in bed.auth_dir.iterdir()} == {
        "@worker",
        *(f"{each}@moved" for each in (CAFE, NEW, SHOP)),
    }
    assert closed_for(bed.auth_dir) == "in state"


def test_all_of_an_instance_comes_and_the_volume_is_left_for_good(bed: Bed) -> None:
    bed.volume()
    before = contents(bed)
    done = bed.move_in()
    assert (done.instances, done.sessions, done.rows, done.before, done.contacts) == (4, 2, 4 * 30, 0, True)
    assert_whole(bed, before)
    assert (EgressRows(bed.url).of(SHOP), EgressRows(bed.url).of(CAFE)) == (PROXY, None)
    assert bed.asked("SELECT array_agg(id ORDER BY id) FROM instances WHERE paired") == [CAFE, SHOP]
    assert bed.asked("SELECT learned_at FROM accounts") == 7.5
    assert bed.asked("SELECT count(*) FROM pg_namespace WHERE nspname = 'wa_reference'") == 0
    assert bed.asked("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conname LIKE 'whatsmeow%%'") == 2 * 13
    assert "state export" in str(why_closed(bed.auth_dir))
    again = bed.move_in()
    assert (again.instances, again.before) == (0, 4)
    assert_whole(bed, before)


def test_it_goes_on_after_kill_9_at_any_stage(bed: Bed) -> None:
    bed.volume()
    before = contents(bed)
    for stage, come in {
        "the volume is closed": [],
        "PostgreSQL knows them": [],
        f"{CAFE} is written": [],  # not committed
        f"{CAFE} has come": [CAFE],  # not renamed
        f"{OLD} is written": [CAFE, NEW],
    }.items():
        bed.move_in_killed(stage)
        bed.listed()
        assert closed_for(bed.auth_dir) == "in state"
        assert bed.claimable() == come
    done = bed.move_in()
    assert (done.instances, done.before) == (2, 2)
    assert_whole(bed, before)


def test_another_volume_comes_beside_it_with_numbers_of_its_own(bed: Bed) -> None:
    bed.volume("auth", SHOP)
    before = on_volume(bed.auth_dir, SHOP)
    assert bed.move_in().contacts
    other = bed.volume("other", CAFE)
    theirs = moved(on_volume(other, CAFE))
    done = bed.move_in(other)
    assert not done.contacts  # hashed with another key
    assert bed.in_state(CAFE) == theirs | {"contacts": [], "linked_accounts": []}
    assert bed.in_state(SHOP) == moved(before)
    assert bed.asked("SELECT count(DISTINCT seq) FROM inbox") == 8


def test_a_key_that_hashed_nothing_gives_way(bed: Bed) -> None:
    with bed.state() as sql:
        sql.execute("INSERT INTO contact_key VALUES ('\\x01')")
    bed.volume("auth", SHOP)
    assert bed.move_in().contacts
    assert bytes(bed.asked("SELECT key FROM contact_key")) == b"auth".ljust(32)


def test_a_dry_run_counts_and_changes_nothing(bed: Bed) -> None:
    bed.volume()
    done = bed.move_in(dry_run=True)
    assert (done.instances, done.sessions) == (4, 2)
    assert done.rows == 4 * 30
    assert closed_for(bed.auth_dir) is None
    assert {path.name for path in bed.auth_dir.iterdir()} == {"@worker", CAFE, NEW, SHOP}
    assert bed.asked("SELECT count(*) FROM instances") == 0


def test_what_fails_before_anything_has_come_leaves_the_volume_open(bed: Bed) -> None:
    bed.volume()
    with closing(sqlite3.connect(bed.auth_dir / CAFE / "session.db")) as sql, sql:
        sql.execute("PRAGMA ignore_check_constraints=1")
        sql.execute("UPDATE whatsmeow_pre_keys SET key = x'00'")
    with pytest.raises(StateError, match="key_check"):
        bed.move_in()
    assert closed_for(bed.auth_dir) is None
    assert not (bed.auth_dir / "@worker" / "move.json").exists()
    assert bed.asked("SELECT count(*) FROM instances") == 0
    assert bed.asked("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'wa\\_%%'") == 0


def test_what_fails_after_one_has_come_leaves_it_closed(bed: Bed) -> None:
    bed.volume()
    with closing(sqlite3.connect(bed.auth_dir / SHOP / "session.db")) as sql, sql:
        sql.execute("PRAGMA ignore_check_constraints=1")
        sql.execute("UPDATE whatsmeow_pre_keys SET key = x'00'")
    with pytest.raises(StateError, match="key_check"):
        bed.move_in()
    assert closed_for(bed.auth_dir) == "in state"
    assert bed.claimable() == [CAFE, NEW, OLD]
    assert (bed.auth_dir / SHOP / "session.db").exists()


def test_no_volume_that_a_worker_has(bed: Bed) -> None:
    bed.volume("auth", SHOP)
    with try_volume(bed.auth_dir), pytest.raises(TransferError, match="a worker is running"):
        bed.move_in()


def test_no_volume_that_is_closed_for_another_reason(bed: Bed) -> None:
    bed.volume("auth", SHOP)
    close_volume(bed.auth_dir, MOVED)
    with pytest.raises(TransferError, match="run the copy"):
        bed.move_in()


def test_no_folder_on_which_no_worker_has_run(bed: Bed) -> None:
    with pytest.raises(TransferError, match="there is no journal"):
        bed.move_in(bed.folder)


def test_no_volume_whose_ledger_has_a_gap(bed: Bed) -> None:
    bed.volume("auth", SHOP)
    write_gaps(bed.auth_dir / "@worker" / "restored.json", 1.0, ["shop"])
    with pytest.raises(TransferError, match="shop that is not over"):
        bed.move_in()


def test_no_store_of_another_version_of_whatsmeow(bed: Bed) -> None:
    bed.volume()
    with closing(sqlite3.connect(bed.auth_dir / SHOP / "session.db")) as sql, sql:
        sql.execute("UPDATE whatsmeow_version SET version = version - 1")
    with pytest.raises(
        TransferError, match=r"version 14, and this wa-worker has version 15: let this version's worker"
    ):
        bed.move_in()
    assert closed_for(bed.auth_dir) is None


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ("INSERT INTO let_go (instance, at) VALUES ('shop', 1)", "messages"),
        ("INSERT INTO chats (instance, jid) VALUES ('shop', 'x')", "messages"),
        ("UPDATE instances SET owner = (SELECT id FROM workers)", "a worker runs it"),
        (
            "ALTER TABLE wa_1_0.whatsmeow_version RENAME TO whatsmeow_device;"
            "INSERT INTO wa_1_0.whatsmeow_device VALUES (1, 1)",
            "a session",
        ),
        (
            f"UPDATE instances SET not_before = 'infinity'; COMMENT ON SCHEMA wa_1_0 IS 'moved in {uuid4()}'",
            "an import of another volume",
        ),
    ],
)
def test_no_instance_that_is_in_both_places(bed: Bed, there: str, says: str) -> None:
    bed.volume("auth", SHOP)
    with bed.state() as sql:
        sql.execute(REGISTER, (uuid4(), 60))
        sql.execute("INSERT INTO instances (id, n) OVERRIDING SYSTEM VALUE VALUES ('shop', 1)")
        sql.execute("CREATE SCHEMA wa_1_0; CREATE TABLE wa_1_0.whatsmeow_version (version integer, compat integer)")
        sql.execute(there.encode())
    for dry_run in (True, False):
        with pytest.raises(TransferError, match=f"shop is in PostgreSQL already: .*{says}"):
            bed.move_in(dry_run=dry_run)
    assert closed_for(bed.auth_dir) is None


def test_what_a_worker_only_tried_is_replaced(bed: Bed) -> None:
    """It was listed while no session of it was there: its schema is empty, and its owner is dead."""
    bed.volume("auth", SHOP)
    before = moved(on_volume(bed.auth_dir, SHOP))
    with bed.state() as sql:
        worker = uuid4()
        sql.execute(REGISTER, (worker, -1))
        known = "INSERT INTO instances (id, n, token, owner) OVERRIDING SYSTEM VALUE VALUES ('shop', 1, 3, %s)"
        sql.execute(known, (worker,))
        sql.execute("CREATE SCHEMA wa_1_3; CREATE TABLE wa_1_3.whatsmeow_version (version integer, compat integer)")
    bed.move_in()
    assert bed.in_state(SHOP) == before
    assert bed.asked("SELECT array_agg(nspname::text) FROM pg_namespace WHERE nspname LIKE 'wa\\_%%'") == ["wa_1_4"]


def test_one_move_at_a_time(bed: Bed) -> None:
    bed.volume("auth", SHOP)
    with bed.state() as sql, only_move(sql), pytest.raises(TransferError, match="wait for its end"):
        bed.move_in()


def test_rows_of_an_instance_without_a_folder_are_not_left(bed: Bed) -> None:
    bed.volume("auth", SHOP)
    with closing(sqlite3.connect(journal_of(bed.auth_dir))) as sql, sql:
        fill(sql, OLD, 1)
        sql.execute("DELETE FROM inbox WHERE state = 'pending'")
        sql.execute("UPDATE ledger SET state = 'marked' WHERE instance = 'old'")
    before = moved(on_volume(bed.auth_dir, OLD))
    bed.move_in()
    assert bed.in_state(OLD) == before
    assert bed.claimable() == [SHOP]  # for old there is nothing to do


def test_a_commit_whose_answer_is_cut_off_leaves_the_volume_closed(bed: Bed) -> None:
    """The server commits after the command has given up; nobody may run the volume then."""
    bed.volume("auth", SHOP)

    def cut(what: str) -> None:
        if what == f"{SHOP} has come":  # as if the answer to the commit had been an error
            raise StateError("cut off")

    with pytest.raises(StateError, match="cut off"):
        import_volume(bed.auth_dir, bed.url, os.environ, dry_run=False, progress=cut)
    assert closed_for(bed.auth_dir) == "in state"
    assert (bed.auth_dir / SHOP).exists()
    assert bed.move_in().before == 1
    assert not (bed.auth_dir / SHOP).exists()


def test_rows_of_an_instance_that_came_from_elsewhere_stay_behind(bed: Bed) -> None:
    """As on volumes of shards, each of which has the whole journal of the volume that there was before."""
    first, second = bed.volume("first", SHOP), bed.volume("second", SHOP, CAFE)
    bed.move_in(first)
    before = bed.in_state(SHOP)
    with pytest.raises(TransferError, match="shop is in PostgreSQL already"):
        bed.move_in(second)
    shutil.rmtree(second / SHOP)
    done = bed.move_in(second)
    assert (done.instances, done.behind) == (1, (SHOP,))
    assert bed.in_state(SHOP) == before
    assert bed.claimable() == [CAFE, SHOP]
