"""Shell completion, as docs/installing.md says to set it up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tests

AS_INSTALLED = "import sys; sys.argv = ['wa-worker']; from wa_worker.__main__ import main; main()"
"""What the script that pip makes does: a copy of the tree has none."""

DOCS = Path(tests.__file__).parents[1] / "docs"


def _completed(**variables: str) -> str:
    environment = {"PATH": os.environ["PATH"], **variables}
    command = [sys.executable, "-c", AS_INSTALLED]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_by_what_the_page_says(shell: str) -> None:
    variable = f"_WA_WORKER_COMPLETE={shell}_source"
    assert f"{variable} wa-worker" in (DOCS / "installing.md").read_text("utf-8")
    script = _completed(_WA_WORKER_COMPLETE=f"{shell}_source")
    assert f"_WA_WORKER_COMPLETE={shell}_complete" in script
    assert "wa-worker" in script


def test_commands_within_a_group_are_completed() -> None:
    found = _completed(_WA_WORKER_COMPLETE="bash_complete", COMP_WORDS="wa-worker instances w", COMP_CWORD="2")
    assert found.split() == ["plain,watch"]
