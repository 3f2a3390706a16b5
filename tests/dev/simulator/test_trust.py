"""The switch of the root key: what it says when it cannot work. That it works, every other test here shows."""

import os
import subprocess
import sys

import pytest

from wa_worker.dev.simulator.trust import ROOT_VARIABLE, RootKeyNotFound, command, trust


def run(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, env={**os.environ, **environment}, capture_output=True, text=True, timeout=20)


def test_without_a_key() -> None:
    result = run(command("tests.dev.simulator.client"), **{ROOT_VARIABLE: "not hex"})
    assert result.returncode == 1
    assert ROOT_VARIABLE in result.stderr


def test_without_a_module() -> None:
    result = run([sys.executable, "-m", "wa_worker.dev.simulator.trust"])
    assert "usage" in result.stderr


def test_runs_a_module_as_main_without_loading_neonize() -> None:
    result = run(command("json.tool", "--help"), **{ROOT_VARIABLE: "00" * 32})
    assert result.returncode == 0
    assert "usage: " in result.stdout
    probe = "from wa_worker.dev.simulator import trust as t; import sys; t.install(bytes(32)); "
    result = run([sys.executable, "-c", probe + "print('neonize' in sys.modules, 'cryptography' in sys.modules)"])
    assert result.stdout.split() == ["False", "False"]


def test_without_the_library() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        trust(b"short")
    if "neonize._binder" not in sys.modules:
        with pytest.raises(RootKeyNotFound, match="writable memory"):
            trust(bytes(32))
