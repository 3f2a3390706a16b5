"""`wa-worker journal` called wrongly, without a journal, or with what is none."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cli.volume import Volume
from wa_worker.cli.commands import cli


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
