"""`wa-worker journal` while the worker has the journal open."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cli.volume import SHOP, Volume, message
from wa_worker.cli.commands import cli
from wa_worker.errors import JournalError
from wa_worker.journal import open_journal
from wa_worker.journal.items import ItemId
from wa_worker.journal.review import open_review


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
