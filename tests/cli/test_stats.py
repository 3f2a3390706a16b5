"""`wa-worker journal stats`."""

from __future__ import annotations

import json
import time

from tests.cli.volume import BAR, Volume
from wa_worker.journal import SendState
from wa_worker.journal.states import STATES


def test_stats_count_by_instance_and_state(full: Volume) -> None:
    full.dead("D2", instance=BAR)
    with full.journal.database.transaction() as sql:
        sql.execute("UPDATE inbox SET received_at = received_at - 600 WHERE state = 'pending'")
        sql.execute("UPDATE ledger SET changed_at = changed_at - 7200 WHERE state = 'sent'")
    found = json.loads(full.run("stats", "--json").stdout)
    nothing = dict.fromkeys([state.value for state in STATES], 0)
    assert found["instances"] == {
        "shop": nothing | dict.fromkeys([state.value for state in SendState], 1) | {"dead": 1, "pending": 1},
        "bar": nothing | {"dead": 1, "posted": 1},
    }
    assert found["total"]["dead"] == 2
    assert 600 <= found["oldest_pending_seconds"] < 660
    assert 7200 <= found["oldest_untold_seconds"] < 7260
    assert found["size_bytes"] > 10_000
    table = full.run("stats").stdout
    assert all(len(line) <= 100 for line in table.splitlines())
    assert "oldest pending message           10 m" in table
    assert "oldest outcome the proxy awaits  2 h" in table


def test_stats_of_an_empty_journal(volume: Volume) -> None:
    assert "oldest pending message           none" in volume.run("stats").stdout
    assert json.loads(volume.run("stats", "--json").stdout)["oldest_untold_seconds"] is None


def test_stats_answer_within_a_second_with_100000_pending(volume: Volume) -> None:
    content = json.dumps({"body": "x" * 300})
    with volume.journal.database.transaction() as sql:
        sql.executemany(
            "INSERT INTO chats (id, instance, jid) VALUES (?, ?, ?)",
            [(n, f"shop{n % 20}", f"{n}@s.whatsapp.net") for n in range(1, 2001)],
        )
        sql.executemany(
            "INSERT INTO inbox (chat, wa_id, message, state, received_at, settled_at) VALUES (?, ?, ?, ?, 1.0, 1.0)",
            (
                (n % 2000 + 1, f"W{n}", content if n < 100_000 else None, "pending" if n < 100_000 else "posted")
                for n in range(200_000)
            ),
        )
    started = time.monotonic()
    result = volume.run("stats", "--json")
    took = time.monotonic() - started
    assert json.loads(result.stdout)["total"]["pending"] == 100_000
    assert json.loads(result.stdout)["total"]["posted"] == 100_000
    assert took < 5.0
