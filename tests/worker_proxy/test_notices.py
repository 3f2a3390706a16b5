"""notices.sql on PostgreSQL: the nights that a human must hear of, and those that nobody must be woken for."""

from __future__ import annotations

import itertools
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.worker_proxy.postgres import Postgres
from tests.worker_proxy.tenants import ANA, Customers

pytestmark = pytest.mark.worker_proxy

JID = "5511999990001@s.whatsapp.net"
STATUSES = {
    "CONNECTED": ("connected", "restricted"),
    "CONNECTING": ("scan", "waiting", "opening", "reconnecting", "retrying", "crashed", "volume_full", "proxy_failed"),
}
"""The status of a reason; DISCONNECTED for the others."""

_numbers = itertools.count()


def say(customers: Customers, reason: str, *instances: str, until: int | None = None) -> None:
    """As a worker says it, in one call to the Edge Function."""
    status = next((status for status, reasons in STATUSES.items() if reason in reasons), "DISCONNECTED")
    events = [
        {
            "type": "status",
            "instance_id": id_,
            "status": status,
            "reason": reason,
            "until": until,
            "jid": None if reason in ("scan", "waiting") else JID,
            "since": 1790000000,
        }
        for id_ in instances
    ]
    with psycopg.connect(customers.postgres.dsn("authenticator")) as db:
        db.execute("set local role service_role")
        row = db.execute("select wa_events(%s)", (Jsonb(events),)).fetchone()
    assert row == (["stored"] * len(instances),)


def connected(customers: Customers, many: int) -> list[str]:
    ids = [customers.instance(ANA, f"Loja {n}") for n in range(1, many + 1)]
    say(customers, "connected", *ids)
    return ids


def later(customers: Customers, minutes: float) -> None:
    """So much time passes, and pg_cron looks."""
    db = customers.backend.db
    with db.transaction():
        db.execute("set local session_replication_role = replica")  # no trigger
        for table, column in (("wa_instances", "down_since"), ("wa_told", "down_since"), ("wa_notices", "created_at")):
            db.execute(f"update {table} set {column} = {column} - %s * interval '1 minute'".encode(), (minutes,))
    db.execute("select wa_notice_troubles()")


def notices(customers: Customers) -> list[tuple[Any, ...]]:
    return customers.rows("select kind, reason, text from wa_notices order by id")


def test_night_1_a_ban_is_told_at_once_and_once(customers: Customers) -> None:
    first, *_ = connected(customers, 30)
    say(customers, "banned", first, until=1790000000)
    words = "Loja 1 is down: WhatsApp has banned it for a while. Do not link it again (until 2026-09-21 14:13 UTC)."
    assert notices(customers) == [("down", "banned", words)]
    ((tenant, instance, details),) = customers.rows("select tenant_id::text, instance_id, details from wa_notices")
    assert (tenant, instance, details["down"], details["of"]) == (ANA, first, 1, 30)
    for _ in range(3):  # each hour it is tried again
        later(customers, 60)
        say(customers, "opening", first)
        say(customers, "banned", first, until=1790000000)
    say(customers, "worker_stopping", first)
    say(customers, "opening", first)
    say(customers, "banned", first)
    assert len(notices(customers)) == 1
    say(customers, "connected", first)
    assert notices(customers)[1:] == [("back", None, "Loja 1 is connected again.")]
    say(customers, "banned", first)
    assert len(notices(customers)) == 3


@pytest.mark.parametrize("reason", ["logged_out", "scan"])
def test_night_2_all_phones_logged_out(customers: Customers, reason: str) -> None:
    """`scan`: of several statuses the worker tells the last, which may be the code that follows."""
    ids = connected(customers, 30)
    say(customers, reason, *ids)
    assert notices(customers) == [
        (
            "many_down",
            None,
            "30 of 30 numbers are down. New: 30: the phone removed this device. Somebody has to scan a new code.",
        )
    ]
    say(customers, "waiting", *ids)
    say(customers, "scan", *ids)
    later(customers, 60)
    assert len(notices(customers)) == 1
    say(customers, "connected", *ids)
    assert notices(customers)[1:] == [("many_back", None, "30 numbers are connected again.")]


def test_night_2_one_after_the_other_does_not_flood(customers: Customers) -> None:
    ids = connected(customers, 30)
    for id_ in ids:
        say(customers, "logged_out", id_)
    assert [kind for kind, _, _ in notices(customers)] == ["down"] * 3 + ["many_down"]
    later(customers, 1)
    assert [kind for kind, _, _ in notices(customers)] == ["down"] * 3 + ["many_down"] * 2
    assert notices(customers)[-1][2].startswith("30 of 30 numbers are down. New: 26: the phone removed")


def test_night_3_a_third_is_down(customers: Customers) -> None:
    ids = connected(customers, 30)
    say(customers, "reconnecting", *ids[:10])
    say(customers, "retrying", *ids[:10])
    later(customers, 2.9)
    assert notices(customers) == []
    later(customers, 0.2)
    words = "10 of 30 numbers are down. New: 10: the line did not come back. The worker tries again."
    assert notices(customers) == [("many_down", None, words)]
    for _ in range(240):
        later(customers, 1)
    assert len(notices(customers)) == 1


def test_night_3_without_pg_cron_the_next_status_of_any_number_tells(customers: Customers) -> None:
    ids = connected(customers, 30)
    say(customers, "retrying", *ids[:10])
    with customers.backend.db.transaction():
        customers.backend.db.execute("set local session_replication_role = replica")  # no trigger
        customers.backend.db.execute("update wa_instances set down_since = down_since - interval '4 minutes'")
    say(customers, "restricted", ids[20])
    assert [kind for kind, _, _ in notices(customers)] == ["many_down"]


def test_a_deploy_wakes_nobody_and_a_worker_that_stays_away_does(customers: Customers) -> None:
    ids = connected(customers, 30)
    say(customers, "worker_stopping", *ids)
    later(customers, 2)
    say(customers, "opening", *ids)
    say(customers, "connected", *ids)
    later(customers, 60)
    assert notices(customers) == []
    say(customers, "worker_stopping", *ids)
    later(customers, 3)
    words = "30 of 30 numbers are down. New: 30: the worker was stopped and has not come back."
    assert notices(customers) == [("many_down", None, words)]


def test_another_proxy_wakes_nobody_and_one_that_fails_does(customers: Customers) -> None:
    (only,) = connected(customers, 1)
    db = customers.backend.db
    db.execute("insert into wa_instance_proxies (instance_id, url) values (%s, 'http://10.0.0.5:3128')", (only,))
    assert customers.rows("select status, reason from wa_instances") == [("DISCONNECTED", "connected")]
    say(customers, "proxy_failed", only)
    later(customers, 2)
    assert notices(customers) == []
    later(customers, 1)
    words = "Loja 1 is down: the proxy that it goes through does not work."
    assert notices(customers) == [("down", "proxy_failed", words)]


def test_the_only_number_of_a_team(customers: Customers) -> None:
    (only,) = connected(customers, 1)
    say(customers, "retrying", only)
    later(customers, 3)
    assert [kind for kind, _, _ in notices(customers)] == ["down"]
    say(customers, "logged_out", only)  # worse: it does not pass
    assert [reason for _, reason, _ in notices(customers)] == ["retrying", "logged_out"]
    say(customers, "retrying", only)
    later(customers, 60)
    assert len(notices(customers)) == 2


def test_what_nobody_waits_for_is_not_down(customers: Customers) -> None:
    new, stopped = customers.instance(ANA, "new"), customers.instance(ANA, "stopped")
    say(customers, "connected", stopped)
    for reason in ("waiting", "scan", "opening", "retrying", "passkey"):  # its first code: the page says it
        say(customers, reason, new)
    customers.call(ANA, "wa_stop_instance", stopped)
    customers.update(stopped, status="DISCONNECTED", reason="worker_stopping")
    later(customers, 60)
    assert notices(customers) == []
    say(customers, "outdated", new)  # for the operator
    assert [reason for _, reason, _ in notices(customers)] == ["outdated"]
    customers.call(ANA, "wa_start_instance", stopped)
    later(customers, 1)
    assert len(notices(customers)) == 1


@pytest.mark.parametrize("reason", ["replaced", "refused", "outdated", "passkey", "volume_full", "a_word_of_later"])
def test_other_reasons_that_do_not_pass_are_told_at_once(customers: Customers, reason: str) -> None:
    (only,) = connected(customers, 1)
    say(customers, reason, only)
    ((kind, told, text),) = notices(customers)
    assert (kind, told) == ("down", reason)
    assert text.startswith("Loja 1 is down: ")
    assert (text == f"Loja 1 is down: reason: {reason}.") is (reason == "a_word_of_later")


def test_a_fault_of_the_notices_does_not_cost_the_worker_its_call(
    customers: Customers, customers_postgres: Postgres
) -> None:
    (only,) = connected(customers, 1)
    db = customers.backend.db
    db.execute("alter table wa_notices add constraint broken check (text = '') not valid")
    try:
        say(customers, "banned", only)
    finally:
        db.execute("alter table wa_notices drop constraint broken")
    assert customers.rows("select reason from wa_instances") == [("banned",)]
    assert notices(customers) == []
    db.execute("select wa_notice_troubles()")  # the next look
    assert [reason for _, reason, _ in notices(customers)] == ["banned"]


def test_a_look_that_is_held_up_does_not_hold_up_the_worker(customers: Customers) -> None:
    first, second = connected(customers, 2)
    with psycopg.connect(customers.postgres.dsn("postgres")) as other:
        other.execute("select wa_notice_troubles()")  # and its transaction goes on
        say(customers, "banned", first)
        assert customers.rows("select reason from wa_instances where id = %s", first) == [("banned",)]
        assert notices(customers) == []
    say(customers, "banned", second)
    assert len(notices(customers)) == 2
