"""What is installed, and what is said where it cannot be. These run in the default suite: nothing is fetched here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.baileys import installation
from tests.baileys.installation import FILES, HERE, NotInstalled, home, installed

install = installed.__wrapped__
"""Not what another test was answered."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def programs(folder: Path, **scripts: str) -> str:
    """Returns a PATH that has these programs and a shell."""
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:/bin"


def test_the_lock_says_exactly_what_and_not_from_where() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text())["packages"]
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    packages = {name: package for name, package in lock.items() if name}
    assert lock[""]["dependencies"] == wanted == {"@whiskeysockets/baileys": "6.17.16"}
    assert not [name for name, package in packages.items() if "resolved" in package]
    assert not [name for name, package in packages.items() if "integrity" not in package]


def test_without_npm_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", node="exit 0").partition(":")[0])
    with pytest.raises(NotInstalled, match=r"^Baileys: npm not found$"):
        install()
    assert not home().exists()


def test_where_npm_fails_it_says_what_npm_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = 'echo "code" >&2; echo "no registry here" >&2; exit 1'
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", node="exit 0", npm=npm))
    with pytest.raises(NotInstalled, match="no registry here"):
        install()
    assert not home().exists()


def test_a_registry_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "PATIENCE", 0.2)
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", node="exit 0", npm="exec sleep 60"))
    with pytest.raises(NotInstalled, match=r"did not install it within 0\.2 s"):
        install()


def test_it_is_installed_once_and_anew_when_the_lock_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = f'echo "$@" >> {tmp_path}/calls; mkdir node_modules'
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", node="exit 0", npm=npm))
    assert install() == install() == home()
    assert [(home() / name).read_bytes() for name in FILES] == [(HERE / name).read_bytes() for name in FILES]
    (home() / "package-lock.json").write_text("{}")
    install()
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 2
    assert all(call.startswith("ci --ignore-scripts") for call in calls)
