"""retention.sql on PostgreSQL: what is old goes, and of a person nothing is left."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.worker_proxy import tools
from tests.worker_proxy.tenants import ANA, BEN, Customers

pytestmark = pytest.mark.worker_proxy

TABLES = ("wa_messages", "wa_inbound", "wa_chat_events", "wa_reactions", "wa_receipts")
GROUP = "120363041234567890@g.us"
NUMBER, LID = "5511988887777", "123456789012345@lid"
PERSON = f"{NUMBER}@s.whatsapp.net"
OTHER = "5511977776666@s.whatsapp.net"
US = "5511999990001@s.whatsapp.net"


def _event(customers: Customers, *events: dict[str, Any]) -> None:
    """As a worker tells it, by way of the Edge Function."""
    row = customers.backend.db.execute("select wa_events(%s)", (Jsonb(list(events)),)).fetchone()
    assert row is not None
    assert set(row[0]) <= {"new", "stored"}, row


def _inbound(instance: str, id_: str, chat: str, sender: str, lid: str | None = None, **content: Any) -> dict[str, Any]:
    return {
        "type": "inbound",
        "instance_id": instance,
        "chat_id": chat,
        "wa_message_id": id_,
        "from": chat,
        "to": US,
        "sender_id": sender,
        "sender_lid": lid,
        "body": f"words of {sender}",
        "push_name": f"name of {sender}",
        "content": content,
    }


def _about(customers: Customers, instance: str, jid: str, lid: str) -> None:
    """One of everything that a person leaves, in their chat and in a group."""
    key = lid[:3]
    _event(
        customers,
        _inbound(instance, f"1{key}", jid, jid, lid),
        _inbound(instance, f"2{key}", lid, lid),
        _inbound(instance, f"3{key}", GROUP, jid, lid),
        _inbound(instance, f"4{key}", GROUP, lid),
        _inbound(
            instance,
            f"5{key}",
            GROUP,
            US,
            context={"message_id": "x", "from": jid, "body": f"quoted of {jid}"},
            mentions=[jid, lid, US],
        ),
        _inbound(instance, f"6{key}", GROUP, US, revoke={"message_id": "x", "by": lid}),
        _inbound(instance, f"7{key}", GROUP, US, reaction={"message_id": f"3{key}", "emoji": "👍"}),
        _inbound(instance, f"8{key}", GROUP, jid, reaction={"message_id": "x", "emoji": "👍"}),
        *(
            {
                "type": "message_status",
                "instance_id": instance,
                "wa_message_id": "W",
                "status": "read",
                "chat_id": chat,
                "recipient_id": recipient,
            }
            for chat, recipient in ((jid, jid), (GROUP, lid))
        ),
        *(
            {"type": "event", "instance_id": instance, "chat_id": GROUP, "event_type": "group", **more}
            for more in ({"action": "add", "participants": [lid]}, {"action": "subject", "by": jid})
        ),
    )
    db = customers.backend.db
    for to, more in (
        (jid.partition("@")[0], {}),
        (f"+{jid[:2]} ({jid[2:4]}) {jid[4:9]}-{jid[9:13]}", {"sent_to": lid}),
        (jid[:4] + jid[5:], {}),  # without the ninth digit
        (GROUP, {"mentions": Jsonb([jid]), "context": Jsonb({"message_id": "x", "from": lid, "body": f"by {jid}"})}),
    ):
        columns = {"instance_id": instance, "to": to, "body": f"to {jid}" if to != GROUP else "to all", **more}
        names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join(["%s"] * len(columns))
        db.execute(f"insert into wa_messages ({names}) values ({marks})".encode(), list(columns.values()))
    for chat, message in ((jid, f"1{key}"), (GROUP, f"3{key}")):
        db.execute(
            "select wa_media_upload(%s, %s, %s, 'image', 'image/jpeg', 1, 'x', %s, '.jpg')",
            (instance, chat, message, f"photo of {jid}.jpg"),
        )


def _everything(customers: Customers, instance: str) -> dict[str, list[str]]:
    """Each row of each table that has something of that instance, whatever tables there are, but for files' paths."""
    found = {}
    for (table,) in customers.rows(
        "select table_name from information_schema.columns "
        "where table_schema = 'public' and column_name = 'instance_id'"
    ):
        rows = customers.rows(f"select to_jsonb(t)::text from public.{table} t where instance_id = %s", instance)
        found[str(table)] = [row[0] for row in rows]
    return found


def test_of_a_person_nothing_is_left_and_of_others_all(customers: Customers) -> None:
    mine, other = customers.instance(ANA, "mine"), customers.instance(BEN, "theirs")
    for instance in (mine, other):
        _about(customers, instance, PERSON, LID)
        _about(customers, instance, OTHER, "999999999999999@lid")
    before, theirs = _everything(customers, mine), _everything(customers, other)
    assert all(any("98888" in row or LID in row for row in before[table]) for table in (*TABLES, "wa_files"))

    done = customers.backend.db.execute("select wa_delete_person(%s, '+55 11 98888-7777')", (ANA,)).fetchone()
    assert done is not None
    assert done[0] == {
        "wa_messages": 3,
        "wa_inbound": 5,
        "wa_chat_events": 2,
        "wa_reactions": 2,
        "wa_receipts": 2,
        "wa_files": 2,
    }
    after = _everything(customers, mine)
    files = after.pop("wa_files")
    for table, rows in after.items():
        for trace in (NUMBER, NUMBER[:4] + NUMBER[5:], "98888-7777", LID):
            assert [row for row in rows if trace in row] == [], (table, trace)
    assert sum(OTHER in row for row in after["wa_inbound"]) == sum(OTHER in row for row in before["wa_inbound"])
    assert len(after["wa_receipts"]) == len(before["wa_receipts"]) - 2
    assert _everything(customers, other) == theirs
    # the files of both chats go next, and no others
    assert len(files) == 4
    expired = customers.rows("select wa_expired_media(3650, 100)")[0][0]
    assert len(expired) == 2
    assert not any("photo of " + PERSON in row for row in files)
    again = customers.rows("select wa_delete_person(%s, '5511988887777')", ANA)[0][0]
    assert {key: value for key, value in again.items() if key != "wa_files"} == dict.fromkeys(TABLES, 0)


def test_what_is_kept_of_a_person_can_be_exported(customers: Customers) -> None:
    mine, other = customers.instance(ANA, "mine"), customers.instance(BEN, "theirs")
    for instance in (mine, other):
        _about(customers, instance, PERSON, LID)
    _about(customers, mine, OTHER, "999999999999999@lid")
    found = customers.rows("select wa_person(%s, '5511988887777')", ANA)[0][0]
    assert set(found.pop("jids")) == {PERSON, LID, "551188887777@s.whatsapp.net"}
    assert {row["instance_id"] for rows in found.values() for row in rows} == {mine}
    assert {table: len(rows) for table, rows in found.items()} == {
        "wa_messages": 4,
        "wa_inbound": 7,
        "wa_chat_events": 2,
        "wa_reactions": 1,
        "wa_receipts": 2,
        "wa_files": 2,
    }
    assert set(found) == {*TABLES, "wa_files"}


@pytest.mark.parametrize("person", ["", "x", GROUP, "123", "%", "551198888777755119888877775511"])
def test_who_is_nobody_deletes_nothing(customers: Customers, person: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        customers.rows("select wa_delete_person(%s, %s)", ANA, person)
    assert refused.value.sqlstate == "PT400"


def test_what_is_old_goes_a_part_at_a_time_and_what_waits_stays(customers: Customers) -> None:
    instance = customers.instance(ANA, "mine")
    _about(customers, instance, PERSON, LID)
    db = customers.backend.db
    with db.transaction():
        db.execute("set local session_replication_role = replica")  # no trigger: it would set updated_at
        db.execute("update wa_messages set updated_at = now() - interval '91 days'")
        db.execute("update wa_messages set status = 'sent' where id <= 2")
        db.execute("update wa_inbound set received_at = now() - interval '91 days' where id <= 3")
        db.execute("update wa_chat_events set received_at = now() - interval '91 days'")
        db.execute("update wa_reactions set reacted_at = now() - interval '91 days' where sender_id <> %s", (US,))
        db.execute("update wa_receipts set read_at = now() - interval '91 days' where chat_id <> %s", (GROUP,))
    wanted = {"wa_messages": 2, "wa_inbound": 3, "wa_chat_events": 2, "wa_reactions": 1, "wa_receipts": 1}
    before = {table: customers.rows(f"select count(*) from {table}")[0][0] for table in TABLES}
    assert customers.rows("select wa_delete_old(92)")[0][0] == dict.fromkeys(TABLES, 0)
    first = customers.rows("select wa_delete_old(90, 2)")[0][0]
    assert first == {table: min(many, 2) for table, many in wanted.items()}
    customers.rows("select wa_delete_old(90, 2)")
    after = {table: customers.rows(f"select count(*) from {table}")[0][0] for table in TABLES}
    assert {table: before[table] - after[table] for table in TABLES} == wanted
    for wrong in ("0", "-1", "null", "90, 0"):
        with pytest.raises(psycopg.Error, match="whole numbers from 1"):
            customers.rows(f"select wa_delete_old({wrong})")


def test_pg_cron_is_asked_only_where_it_is(customers: Customers) -> None:
    """Its functions are imitated: as its documentation has them."""
    db = customers.backend.db
    with pytest.raises(psycopg.Error, match="create extension pg_cron"):
        db.execute("select wa_keep_days(90)")
    with psycopg.connect(customers.postgres.dsn("supabase_admin")) as cron:
        cron.execute((tools.HERE / "pg_cron.sql").read_text().encode())
        for _ in range(2):
            assert cron.execute("select wa_keep_days(90)").fetchall() == [("kept for 90 days",)]
        ((command,),) = cron.execute("select command from cron.job").fetchall()
        assert command == "select public.wa_delete_old(90)"
        cron.execute(command.encode())
        with pytest.raises(psycopg.Error, match="from 1, or null"), cron.transaction():
            cron.execute("select wa_keep_days(0)")
        cron.execute((tools.SOURCE / "notices.sql").read_bytes())
        jobs: dict[str, str] = dict(cron.execute("select jobname, command from cron.job").fetchall())
        assert jobs.keys() == {"wa-delete-old", "wa-notice-troubles", "wa-delete-old-notices"}
        for command in jobs.values():
            cron.execute(command.encode())
        page = (tools.SOURCE.parent / "lgpd.md").read_text("utf-8")
        for block in re.findall(r"```sql\n(.*?)```", page, re.DOTALL):
            cron.execute(block.encode())
        assert cron.execute("select wa_keep_days(null)").fetchall() == [("kept for ever",)]
        assert cron.execute("select count(*) from cron.job where jobname = 'wa-delete-old'").fetchall() == [(0,)]
        cron.rollback()
