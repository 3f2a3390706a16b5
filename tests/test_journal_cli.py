"""`wa-worker journal` on a real journal file, beside a worker that has it open; and that the worker notices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from click.testing import CliRunner, Result
from trio.abc import Clock
from trio.testing import MockClock

from wa_worker import lanes
from wa_worker.cli import cli
from wa_worker.errors import EdgeUnavailable, JournalError
from wa_worker.journal import InboxResult, Journal, SendState, Settled, open_journal
from wa_worker.journal.items import ItemId, State
from wa_worker.journal.review import CHUNK, open_review
from wa_worker.lanes import RESCAN, Lanes
from wa_worker.models import ChatType, InboundMessage, InstanceId, Jid, MessageId, WaMessageId

SHOP, BAR = InstanceId("shop"), InstanceId("bar")
PHONE = "5511988880002"
CHAT = Jid(f"{PHONE}@s.whatsapp.net")
SECRET_TEXT = "the secret text"
ESCAPE = "\x1b[2J"


def message(wa_id: str, *, body: str = SECRET_TEXT, chat: Jid = CHAT) -> InboundMessage:
    return InboundMessage(
        wa_id=WaMessageId(wa_id),
        chat=chat,
        chat_type=ChatType.DIRECT,
        to=Jid("5511999990001@s.whatsapp.net"),
        sender=chat,
        sender_lid=None,
        push_name="Ana Maria",
        body=body,
        message_type="text",
        timestamp=1_750_000_000,
    )


@attrs.frozen
class Volume:
    """A worker's AUTH_DIR, and the journal as the running worker has it open."""

    auth_dir: Path
    journal: Journal

    def run(self, *arguments: str, answer: str | None = None) -> Result:
        environment = {"AUTH_DIR": str(self.auth_dir), "EDGE_BASE_URL": None, "WORKER_SECRET": None}
        return CliRunner().invoke(cli, ["journal", *arguments], env=environment, input=answer)

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        result = self.run("list", "--json", *arguments)
        assert result.exit_code == 0, result.output
        found: list[dict[str, Any]] = json.loads(result.stdout)
        return found

    def states(self) -> dict[str, str]:
        return {row["id"]: row["state"] for row in self.rows("--limit", "9999")}

    def dead(
        self, wa_id: str, *, instance: InstanceId = SHOP, error: str = "answered 422", body: str = "poison"
    ) -> None:
        self.journal.inbox.record(instance, message(wa_id, body=body))
        (seq,) = self._sql("SELECT seq FROM inbox ORDER BY seq DESC LIMIT 1")[0]
        self.journal.inbox.settle([InboxResult(seq, error, dead) for dead in (False, False, True)])

    def send(self, message_id: MessageId, state: SendState, *, instance: InstanceId = SHOP) -> None:
        """A message to send that got as far as `state`."""
        outbox = self.journal.outbox
        outbox.admit(instance, {message_id: CHAT}, listed_at=time.time())
        if state is SendState.WAITING:
            return
        outbox.step(instance, [], message_id)
        if state is SendState.INTENT:
            return
        got = SendState.SENT if state is SendState.MARKED else state
        outbox.step(
            instance, [Settled(message_id, got, WaMessageId("3EB0"), None if got is SendState.SENT else "why")], None
        )
        if state is SendState.MARKED:
            outbox.told([row.seq for row in outbox.to_tell(0, 99) if row.message_id == message_id])

    def due(self, message_id: MessageId) -> bool:
        """Whether the worker would send it if the proxy listed it now."""
        return message_id in self.journal.outbox.admit(SHOP, {message_id: CHAT}, listed_at=0.0).due

    def pending(self) -> list[str]:
        """What the worker would post, in order."""
        inbox = self.journal.inbox
        return [row.message.wa_id for lane in inbox.lanes(0, 99) for row in inbox.pending(lane, 9999)]

    def _sql(self, query: str) -> list[Any]:
        with self.journal.database.reading() as sql:
            return sql.execute(query).fetchall()


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    with open_journal(tmp_path / "@worker" / "journal.db") as journal:
        yield Volume(tmp_path, journal)


@pytest.fixture
def full(volume: Volume) -> Volume:
    """One message of each state."""
    volume.dead("D1", error=f"inbound: answered 422 (no customer {PHONE}{ESCAPE})")
    volume.journal.inbox.record(SHOP, message("P1"))
    volume.journal.inbox.record(BAR, message("P2"))
    volume.journal.inbox.settle([InboxResult(3)])
    for number, state in enumerate(SendState):
        volume.send(number, state)
    return volume


# What is shown.


def test_list_shows_what_needs_attention_first_and_nothing_that_is_over(full: Volume) -> None:
    result = full.run("list")
    assert result.exit_code == 0
    heading, *lines = result.stdout.splitlines()
    assert heading.split() == ["ID", "STATE", "AGE", "INSTANCE", "CHAT", "MESSAGE"]
    assert [line.split()[:2] for line in lines] == [
        ["in:1", "dead"],
        ["out:6", "uncertain"],
        ["out:5", "failed"],
        ["in:2", "pending"],
        ["out:1", "waiting"],
        ["out:2", "intent"],
        ["out:3", "sent"],
    ]
    assert all(len(line) <= 100 for line in result.stdout.splitlines())


def test_an_empty_journal_lists_nothing(volume: Volume) -> None:
    assert volume.run("list").stdout == "Nothing needs attention, nothing waits.\n"
    assert volume.run("list", "--json").stdout == "[]\n"


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize("command", ["list", "show"])
def test_numbers_names_and_bodies_are_hidden_unless_asked_for(full: Volume, command: str, form: list[str]) -> None:
    what = [command, "in:1"] if command == "show" else [command]
    shy = full.run(*what, *form).stdout
    assert PHONE not in shy
    assert "***0002" in shy
    assert "Ana Maria" not in shy
    assert "poison" not in shy
    open_ = full.run(*what, *form, "--numbers").stdout
    assert PHONE in open_
    assert "poison" not in open_
    assert ESCAPE not in shy + open_


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_show_tells_the_body_when_asked(full: Volume, form: list[str]) -> None:
    assert SECRET_TEXT in full.run("show", "in:2", "--body", *form).stdout
    hidden = full.run("show", "in:2", *form).stdout
    assert SECRET_TEXT not in hidden
    assert f"({len(SECRET_TEXT)} characters)" in hidden or f'"characters": {len(SECRET_TEXT)}' in hidden


def test_a_body_cannot_steer_the_terminal(volume: Volume) -> None:
    volume.journal.inbox.record(SHOP, message("P1", body=f"one{ESCAPE}\r\ntwo\x9b"))
    shown = volume.run("show", "in:1", "--body").stdout
    assert "\N{REPLACEMENT CHARACTER}[2J" in shown
    assert "    two" in shown.splitlines()[-1]
    assert not {"\x1b", "\r", "\x9b"} & set(shown)


def test_show_of_every_state(full: Volume) -> None:
    shown = {row: full.run("show", row) for row in [f"in:{n}" for n in (1, 2, 3)] + [f"out:{n}" for n in range(1, 7)]}
    assert all(result.exit_code == 0 for result in shown.values())
    assert "refused       3 times" in shown["in:1"].stdout
    assert "(the proxy has it)" in shown["in:3"].stdout
    assert "(in the proxy's queue)" in shown["out:5"].stdout
    assert "will be told" in shown["out:5"].stdout
    assert "WhatsApp id   3EB0" in shown["out:4"].stdout


def test_list_filters_by_state_and_instance_and_limit(full: Volume) -> None:
    full.dead("D2", instance=BAR)
    assert [row["id"] for row in full.rows("--state", "dead", "--state", "failed")] == ["in:1", "in:4", "out:5"]
    assert [row["id"] for row in full.rows("--instance", "bar")] == ["in:4"]
    assert full.rows("--instance", "nobody") == []
    limited = full.run("list", "--limit", "2", "--json")
    assert [row["id"] for row in json.loads(limited.stdout)] == ["in:1", "in:4"]
    assert "more than 2" in limited.stderr
    assert full.run("list", "--limit", "8").stderr == ""


def test_json_is_an_array_with_a_line_a_message(full: Volume) -> None:
    first, *lines, last = full.run("list", "--json").stdout.splitlines()
    assert (first, last) == ("[", "]")
    rows = [json.loads(line.removesuffix(",")) for line in lines]
    assert rows == [{**row, "age_seconds": other["age_seconds"]} for row, other in zip(full.rows(), rows, strict=True)]
    assert [row["message_id"] for row in rows if row["state"] == "failed"] == [4]


def test_long_words_are_cut_to_the_table(volume: Volume) -> None:
    volume.dead("D1", instance=InstanceId("i" * 128), error="e" * 400)
    line = volume.run("list").stdout.splitlines()[1]
    assert len(line) == 100
    assert line.endswith("\N{HORIZONTAL ELLIPSIS}")
    assert "e" * 400 in volume.run("show", "in:1").stdout


# What is decided.


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
    assert volume.journal.outbox.to_tell(0, 9) == []


def test_retry_says_when_the_proxy_took_a_failed_one_out_of_its_queue(volume: Volume) -> None:
    volume.send("m", SendState.FAILED)
    volume.journal.outbox.told([1])
    assert "told that 1 had failed: put them back" in volume.run("retry", "out:1").stdout
    volume.journal.outbox.step(SHOP, [], "m")
    volume.journal.outbox.step(SHOP, [Settled("m", SendState.FAILED, error="again")], None)
    assert [row.error for row in volume.journal.outbox.to_tell(0, 9)] == ["again"], "the proxy must hear of it anew"


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
    assert [(row.message_id, row.wa_id, row.error) for row in volume.journal.outbox.to_tell(0, 9)] == [
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
        ids = list(review.ids({State.DEAD}, None))
        outcomes = review.discard(ids)
        next(outcomes)
        assert volume.journal.inbox.record(BAR, message("W1"))
        assert len(review.ids({State.DEAD}, None)) == count - CHUNK
        assert sum(1 for _ in outcomes) == count - 1
        assert not review.ids({State.DEAD}, None)


# How it is called.


@pytest.mark.parametrize(
    "arguments",
    [
        ["retry"],
        ["discard"],
        ["retry", "in:1", "--state", "dead"],
        ["retry", "in:1", "--instance", "shop"],
        ["retry", "--state", "pending"],
        ["discard", "--state", "failed"],
        ["show"],
        ["show", "1"],
        ["show", "in:"],
        ["show", "in:-1"],
        ["show", "in:\u0661"],
        ["show", "up:1"],
        ["show", "in:" + "9" * 30],
        ["list", "--state", "marked"],
        ["list", "--limit", "0"],
    ],
)
def test_wrong_calls_exit_2_and_change_nothing(full: Volume, arguments: list[str]) -> None:
    before = full.states()
    result = full.run(*arguments)
    assert result.exit_code == 2
    assert (result.stdout, full.states()) == ("", before)
    assert result.stderr


@pytest.mark.parametrize("command", ["list", "show in:1", "stats", "retry in:1", "discard in:1"])
def test_no_journal_is_an_error_and_none_is_made(tmp_path: Path, command: str) -> None:
    result = CliRunner().invoke(cli, ["journal", *command.split(), "--auth-dir", str(tmp_path / "nowhere")])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no journal at" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["list", "stats", "retry in:1"])
@pytest.mark.parametrize(("content", "says"), [(b"not a database" * 99, "not a database"), (b"", "format 0")])
def test_what_is_no_journal_is_an_error(tmp_path: Path, content: bytes, says: str, command: str) -> None:
    path = tmp_path / "@worker" / "journal.db"
    path.parent.mkdir()
    path.write_bytes(content)
    result = CliRunner().invoke(cli, ["journal", *command.split(), "--auth-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert says in result.stderr
    assert path.read_bytes() == content


def test_a_newer_journal_is_left_alone(volume: Volume) -> None:
    with volume.journal.database.transaction() as sql:
        sql.execute("PRAGMA user_version=99")
    result = volume.run("retry", "in:1")
    assert result.exit_code == 1
    assert "format 99" in result.stderr


def test_auth_dir_comes_from_the_option_the_environment_or_a_file(full: Volume, tmp_path: Path) -> None:
    file = tmp_path / "auth-dir.txt"
    file.write_text(f"{full.auth_dir}\n")
    call = partial(CliRunner().invoke, cli)
    here, wrong = str(full.auth_dir), str(tmp_path / "wrong")
    assert call(["journal", "stats"], env={"AUTH_DIR": None, "AUTH_DIR_FILE": str(file)}).exit_code == 0
    assert call(["journal", "stats", "--auth-dir", here], env={"AUTH_DIR": wrong}).exit_code == 0
    both = call(["journal", "stats"], env={"AUTH_DIR": here, "AUTH_DIR_FILE": str(file)})
    assert both.exit_code == 2
    assert "both set" in both.stderr


def test_every_command_has_help() -> None:
    for command in ("", "list", "show", "retry", "discard", "stats"):
        result = CliRunner().invoke(cli, ["journal", *command.split(), "--help"])
        assert result.exit_code == 0
        assert "Usage:" in result.stdout


# Beside the worker.


@pytest.mark.parametrize("command", ["list", "show in:1", "stats"])
def test_reading_leaves_no_file_behind_when_no_worker_runs(tmp_path: Path, command: str) -> None:
    path = tmp_path / "@worker" / "journal.db"
    with open_journal(path) as journal:
        journal.inbox.record(SHOP, message("M1"))
    result = CliRunner().invoke(cli, ["journal", *command.split(), "--auth-dir", str(tmp_path)])
    assert result.exit_code == 0
    assert [file.name for file in path.parent.iterdir()] == ["journal.db"]


def test_reading_does_not_wait_for_a_commit_under_way(full: Volume) -> None:
    with full.journal.database.transaction() as sql:
        sql.execute("DELETE FROM inbox")
        started = time.monotonic()
        assert full.states()["in:1"] == "dead"
        assert time.monotonic() - started < 2.0


def test_deciding_waits_for_a_commit_under_way(full: Volume) -> None:
    with full.journal.database.transaction():
        process = subprocess.Popen(
            [sys.executable, "-m", "wa_worker", "journal", "retry", "in:1"],
            env={**os.environ, "AUTH_DIR": str(full.auth_dir)},
            stdout=subprocess.PIPE,
        )
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert output.startswith(b"in:1: dead -> pending")
    assert full.pending()[0] == "D1"


def test_a_read_only_connection_refuses_to_write(full: Volume) -> None:
    with (
        open_review(full.auth_dir / "@worker" / "journal.db") as review,
        pytest.raises(JournalError, match="readonly"),
    ):
        list(review.retry([ItemId("in", 1)]))


def test_the_command_itself_tells_stdout_from_stderr(full: Volume) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wa_worker", "journal", "list", "--limit", "1", "--json"],
        env={"PATH": os.environ["PATH"], "AUTH_DIR": str(full.auth_dir)},
        capture_output=True,
        timeout=30,
    )
    assert done.returncode == 0
    assert [row["id"] for row in json.loads(done.stdout)] == ["in:1"]
    assert b"more than 1" in done.stderr


# How much there is.


def test_stats_count_by_instance_and_state(full: Volume) -> None:
    full.dead("D2", instance=BAR)
    with full.journal.database.transaction() as sql:
        sql.execute("UPDATE inbox SET received_at = received_at - 600 WHERE state = 'pending'")
        sql.execute("UPDATE outbox SET changed_at = changed_at - 7200 WHERE state = 'sent'")
    found = json.loads(full.run("stats", "--json").stdout)
    nothing = dict.fromkeys([state.value for state in State], 0)
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


# That the worker notices: lanes look again by themselves, and forget what is gone.


class Rows:
    """Lanes with rows, as if on disk; counts the looks."""

    def __init__(self, *lanes: int) -> None:
        self.lanes = set(lanes)
        self.looks = 0

    def find(self, after: int, limit: int) -> list[int]:
        self.looks += 1
        return sorted(lane for lane in self.lanes if lane > after)[:limit]


async def _unavailable(lane: int) -> None:
    raise EdgeUnavailable("inbound", f"lane {lane}: answered 503", 503)


async def _run(nursery: trio.Nursery, rows: Rows, work: Callable[[int], Any], *, width: int = 16) -> Lanes:
    found = Lanes("test", rows.find, work, width=width)
    nursery.start_soon(found.run)
    return found


@pytest.fixture
def fast() -> Clock:
    """A second takes 2 ms on this clock. pytest-trio runs the test by the clock that is among its arguments."""
    return MockClock(rate=500.0)


async def test_rows_that_nothing_rang_for_are_found_within_the_interval(nursery: trio.Nursery, fast: Clock) -> None:
    rows, done = Rows(), trio.Event()

    async def work(lane: int) -> None:
        rows.lanes.discard(lane)
        done.set()

    await _run(nursery, rows, work)
    await trio.sleep(RESCAN / 2)
    rows.lanes.add(7)
    added = trio.current_time()
    with trio.fail_after(5 * RESCAN):
        await done.wait()
    assert trio.current_time() - added < 3 * RESCAN  # with the thread hop, of which 10 ms are 5 s here


async def test_idle_lanes_look_no_more_often_than_that(nursery: trio.Nursery, fast: Clock) -> None:
    rows = Rows()
    await _run(nursery, rows, _unavailable)
    await trio.sleep(20 * RESCAN)
    assert 0 < rows.looks <= 2 * 21


@pytest.mark.parametrize("lanes_failing", [1, lanes.OUTAGE + 1])
async def test_lanes_whose_rows_were_taken_away_are_forgotten(
    nursery: trio.Nursery, fast: Clock, lanes_failing: int
) -> None:
    """Else the look for them would be repeated without a pause, for ever."""
    rows = Rows(*range(1, lanes_failing + 1))
    found = await _run(nursery, rows, _unavailable)
    await trio.sleep(2 * RESCAN)
    assert found._down == (lanes_failing > lanes.OUTAGE)
    rows.lanes.clear()
    await trio.sleep(4 * RESCAN)
    rows.looks = 0
    await trio.sleep(20 * RESCAN)
    assert rows.looks <= 2 * 21
    assert not found._resting
    assert not found._down


async def test_a_second_try_that_takes_its_time_is_waited_for_quietly(nursery: trio.Nursery, fast: Clock) -> None:
    rows, tries = Rows(1), 0

    async def work(lane: int) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            await _unavailable(lane)
        await trio.sleep_forever()

    await _run(nursery, rows, work)
    await trio.sleep(5 * RESCAN)
    assert tries == 2
    assert rows.looks <= 2 * 10
