"""`wa-worker journal` with STATE_URL: the journal of all workers, in PostgreSQL."""

from __future__ import annotations

import json
from uuid import uuid4

from click.testing import CliRunner, Result

from tests.cli.volume import BAR, SHOP, message
from tests.journal.stores import StateStore
from wa_worker.cli.commands import cli
from wa_worker.journal import InboxResult
from wa_worker.postgres.url import StateUrl


def run(url: StateUrl, *arguments: str) -> Result:
    environment = {"STATE_URL": url.with_options().reveal(), "EDGE_BASE_URL": None, "WORKER_SECRET": None}
    return CliRunner().invoke(cli, ["journal", *arguments], env=environment)


def test_it_shows_and_decides_about_the_messages_of_all_workers(state_url: StateUrl) -> None:
    state = StateStore.on(state_url)
    state.empty()
    state.give(BAR, state.start(uuid4()))
    with state.open() as journal:
        for instance in (SHOP, BAR):
            journal.inbox.record(instance, message("D"))
        journal.inbox.settle([InboxResult(seq, "no", dead=True) for seq in (1, 2)])
        listed = json.loads(run(state_url, "list", "--json").stdout)
        assert [(row["id"], row["instance"], row["state"]) for row in listed] == [
            ("in:1", "shop", "dead"),
            ("in:2", "bar", "dead"),
        ]
        assert run(state_url, "retry", "in:1").exit_code == 0
        assert [row.message.wa_id for key in journal.inbox.keys(0, 9) for row in journal.inbox.pending(key, 9)] == ["D"]
        assert run(state_url, "discard", "--state", "dead", "--instance", "bar", "--yes").exit_code in (0, 1)
    counted = json.loads(run(state_url, "stats", "--json").stdout)
    assert (counted["instances"]["shop"]["pending"], counted["instances"]["bar"]["posted"]) == (1, 1)
    assert counted["size_bytes"] > 10_000
    state.admin.close()


def test_a_state_that_no_worker_has_made_is_left_alone(state_url: StateUrl) -> None:
    result = run(state_url, "list")
    assert result.exit_code == 1
    assert "start a worker once" in result.stderr
    assert state_url.password.reveal() not in result.output


def test_a_folder_that_is_named_goes_before(state_url: StateUrl) -> None:
    result = run(state_url, "list", "--auth-dir", "/nowhere")
    assert "there is no journal at /nowhere" in result.stderr
