"""`wa-worker journal retry` and `discard`: what becomes of a message, and what cannot."""

from __future__ import annotations

import pytest

from tests.cli.volume import BAR, CHAT, SHOP, Volume, message
from wa_worker.journal import InboxResult, InboxState, SendState, Settled
from wa_worker.journal.review import CHUNK, open_review


def test_a_retried_dead_message_is_pending_again(volume: Volume) -> None:
    volume.dead("D1")
    volume.journal.inbox.record(SHOP, message("P2"))
    assert volume.pending() == ["P2"]
    result = volume.run("retry", "in:1")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "in:1: dead -> pending")
    assert volume.pending() == ["D1", "P2"]
    (row,) = [row for row in volume.rows() if row["id"] == "in:1"]
    assert (row["rejections"], row["error"]) == (0, None)


@pytest.mark.parametrize("state", [SendState.FAILED, SendState.UNCERTAIN])
def test_a_retried_send_waits_for_the_proxy_to_list_it(volume: Volume, state: SendState) -> None:
    volume.send("m", state)
    assert not volume.due("m")
    result = volume.run("retry", "out:1")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, f"out:1: {state.value} -> waiting")
    assert "when the proxy lists them" in result.stdout
    assert "put them back into the queue" not in result.stdout
    assert volume.due("m")
    (row,) = volume.rows()
    assert (row["state"], row["attempts"], row["not_before"]) == ("waiting", 0, None)
    assert volume.journal.ledger.unreported(0, 9) == []


def test_retry_says_when_the_proxy_took_a_failed_one_out_of_its_queue(volume: Volume) -> None:
    volume.send("m", SendState.FAILED)
    volume.journal.ledger.reported(volume.journal.ledger.unreported(0, 9))
    assert "told that 1 had failed: put them back" in volume.run("retry", "out:1").stdout
    volume.journal.ledger.step(SHOP, [], "m")
    volume.journal.ledger.step(SHOP, [Settled("m", SendState.FAILED, error="again")], None)
    assert [row.error for row in volume.journal.ledger.unreported(0, 9)] == ["again"], "the proxy must hear of it anew"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (SendState.SENT, "never sent again"),
        (SendState.MARKED, "never sent again"),
        (SendState.INTENT, "being sent"),
        (SendState.WAITING, "tried anyway"),
    ],
)
def test_what_whatsapp_accepted_or_is_under_way_cannot_be_retried(
    volume: Volume, state: SendState, reason: str
) -> None:
    volume.send("m", state)
    result = volume.run("retry", "out:1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert reason in result.stderr
    assert f"out:1  {state.value}" in volume.run("show", "out:1").stdout


@pytest.mark.parametrize("dead", [True, False])
def test_a_discarded_message_is_gone_but_recognised(volume: Volume, dead: bool) -> None:
    if dead:
        volume.dead("M1")
    else:
        volume.journal.inbox.record(SHOP, message("M1"))
    assert volume.run("discard", "in:1").exit_code == 0
    assert volume.pending() == []
    assert volume.states() == {}
    assert not volume.journal.inbox.record(SHOP, message("M1")), "WhatsApp's second delivery is taken for new"
    shown = volume.run("show", "in:1", "--body").stdout
    assert "in:1  posted" in shown
    assert "discarded by a person" in shown
    assert volume.journal.inbox.purge(-1.0) == 1, "it is never forgotten"


def test_a_discarded_uncertain_send_is_told_as_failed(volume: Volume) -> None:
    volume.send("m", SendState.UNCERTAIN)
    assert volume.run("discard", "out:1").stdout.splitlines()[0] == "out:1: uncertain -> failed"
    assert [(row.message_id, row.wa_id, row.error) for row in volume.journal.ledger.unreported(0, 9)] == [
        ("m", None, "discarded by a person")
    ]
    assert not volume.due("m")


@pytest.mark.parametrize("state", [s for s in SendState if s is not SendState.UNCERTAIN])
def test_other_sends_cannot_be_discarded(volume: Volume, state: SendState) -> None:
    volume.send("m", state)
    result = volume.run("discard", "out:1")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: out:1: it is ")
    assert f"out:1  {state.value}" in volume.run("show", "out:1").stdout


def test_one_that_was_discarded_while_it_was_refused_stays_discarded(volume: Volume) -> None:
    """The courier had it in memory: its refusal comes too late to count."""
    volume.journal.inbox.record(SHOP, message("M1"))
    volume.run("discard", "in:1")
    volume.journal.inbox.settle([InboxResult(1, "answered 422", True)])
    assert volume.states() == {}
    assert volume.pending() == []


def test_several_ids_do_what_can_be_done(full: Volume) -> None:
    result = full.run("retry", "in:1", "out:3", "in:99", "out:5", "out:5")
    assert result.exit_code == 1
    assert [line for line in result.stdout.splitlines() if "->" in line] == [
        "in:1: dead -> pending",
        "out:5: failed -> waiting",
    ]
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["out:3", "in:99"]


@pytest.mark.parametrize(("command", "state"), [("retry", "dead"), ("discard", "pending")])
def test_bulk_asks_first(full: Volume, command: str, state: str) -> None:
    before = full.states()
    for answer in ("n\n", "\n", ""):
        result = full.run(command, "--state", state, answer=answer)
        assert result.exit_code == 1
        assert f"{command.capitalize()} 1 {state}?" in result.stderr
        assert full.states() == before
    assert full.run(command, "--state", state, answer="y\n").exit_code == 0
    assert full.states() != before


def test_bulk_takes_the_chosen_states_of_the_chosen_instance(full: Volume) -> None:
    full.dead("D2", instance=BAR)
    result = full.run("retry", "--state", "dead", "--state", "failed", "--instance", "shop", "--yes")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:2] == ["1 dead -> pending", "1 failed -> waiting"]
    states = full.states()
    assert (states["in:1"], states["in:4"]) == ("pending", "dead")
    assert (states["out:5"], states["out:6"]) == ("waiting", "uncertain")
    again = full.run("retry", "--state", "dead", "--instance", "shop")
    assert (again.exit_code, again.stdout) == (0, "Nothing.\n")


def test_a_large_bulk_lets_the_worker_commit_in_between(volume: Volume) -> None:
    count = 3 * CHUNK + 1
    with volume.journal.database.transaction() as sql:
        sql.execute("INSERT INTO chats (id, instance, jid) VALUES (1, 'shop', ?)", (CHAT,))
        sql.executemany(
            "INSERT INTO inbox (chat, wa_id, message, state, received_at, settled_at)"
            " VALUES (1, ?, '{}', 'dead', 0, 0)",
            [(f"D{n}",) for n in range(count)],
        )
    with open_review(volume.auth_dir / "@worker" / "journal.db", write=True) as review:
        ids = list(review.ids({InboxState.DEAD}, None))
        outcomes = review.discard(ids)
        next(outcomes)
        assert volume.journal.inbox.record(BAR, message("W1"))
        assert len(review.ids({InboxState.DEAD}, None)) == count - CHUNK
        assert sum(1 for _ in outcomes) == count - 1
        assert not review.ids({InboxState.DEAD}, None)
