"""`wa-worker state` as it is called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
from wa_worker.cli.commands import cli
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.migrations import FORMAT
from wa_worker.postgres.url import StateUrl


def call(url: str | None, *arguments: str | Path) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("signal.signal", lambda *_: None)  # pytest keeps its own way to end
        return CliRunner().invoke(cli, ["state", *map(str, arguments)], env={"STATE_URL": url})


@pytest.fixture
def url(state_url: StateUrl) -> str:
    return state_url.with_options().reveal()


@pytest.mark.parametrize("command", [["migrate"], ["import", "x"], ["import", "x", "--dry-run"], ["export", "x"]])
def test_no_state_url_is_a_wrong_setting(command: list[str]) -> None:
    for text, says in ((None, "STATE_URL is not set"), ("mysql://x", "STATE_URL is not a postgres:// URL")):
        done = call(text, *command)
        assert (done.exit_code, done.stdout) == (2, "")
        assert says in done.stderr


def test_migrate_makes_the_tables_and_says_their_format(url: str) -> None:
    done = call(url, "migrate")
    assert done.exit_code == 0
    assert f"format {FORMAT}, was 0." in done.stdout
    assert call(url, "migrate").stdout.endswith(f"format {FORMAT}.\n")


@pytest.mark.parametrize("command", ["migrate", "export"])
def test_a_newer_state_is_left_alone(url: str, state_url: StateUrl, tmp_path: Path, command: str) -> None:
    call(url, "migrate")
    with connect(state_url, "tests") as sql:
        sql.execute("UPDATE format SET format = format + 1")
    done = call(url, *([command] if command == "migrate" else [command, tmp_path / "out"]))
    assert done.exit_code == 1
    assert "a newer wa-worker wrote the state" in done.stderr


def test_postgresql_away_is_an_error_without_the_password(tmp_path: Path) -> None:
    done = call("postgres://wa:the-password@127.0.0.1:1/wa", "export", tmp_path / "out")
    assert done.exit_code == 1
    assert "error: PostgreSQL 127.0.0.1:1/wa: " in done.stderr
    assert "the-password" not in done.output


def test_what_cannot_be_moved_is_said(url: str, tmp_path: Path) -> None:
    for command in (["import"], ["import", "--dry-run"]):
        done = call(url, *command, tmp_path)
        assert done.exit_code == 1
        assert f"error: no worker has run on AUTH_DIR={tmp_path}" in done.stderr
    done = call(url, "export", tmp_path / "out")
    assert done.exit_code == 1
    assert "error: no instance is in this database" in done.stderr


def test_without_the_driver_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "psycopg.py").write_text("raise ModuleNotFoundError(\"No module named 'psycopg'\")")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "STATE_URL": "postgres://a:b@127.0.0.1/c"}
    command = [sys.executable, "-m", "wa_worker", "state", "migrate"]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert b"pip install 'wa-worker[postgres]'" in done.stderr
