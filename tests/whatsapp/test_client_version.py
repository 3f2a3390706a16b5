"""client.py calls the native library as one version of neonize does: a change there must be looked at.

When this fails: compare `NewClient.connect_with_proxy` and `NewClient.__init__` of the new version with
`QuietClient`, run the end-to-end tests, then pin anew: NEONIZE_VERSION, pyproject.toml, and the digests below.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from neonize.client import NewClient

from wa_worker.whatsapp.client import NEONIZE_VERSION, QuietClient

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_the_installed_version_is_the_one_that_was_read() -> None:
    assert importlib.metadata.version("neonize") == NEONIZE_VERSION


def test_the_package_asks_for_exactly_that_version() -> None:
    dependencies = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["dependencies"]
    assert f"neonize=={NEONIZE_VERSION}" in dependencies


@pytest.mark.parametrize(
    ("method", "digest"),
    [
        (NewClient.connect_with_proxy, "f52d15760535aa28c5605c6ebe866a09251c007e7452cb3175fd444106263d5f"),
        (NewClient.__init__, "f8feb6571203bdffaca09776cac96e42150adc695a0578c0f83b59d2963dcc61"),
        (NewClient.stop, "96affa1d04049d81d0e171a5c88ee68c50ff9bf7650622bf5f1931ad167108a9"),
        (NewClient.send_message, "6ff6ea077ac594dfcaa32f3a345a729ab9ede596d209a17a99e008cc2d8a3584"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_was_read_has_not_changed(method: Callable[..., Any], digest: str) -> None:
    assert hashlib.sha256(inspect.getsource(method).encode()).hexdigest() == digest


def test_it_is_one_of_the_librarys_clients() -> None:
    assert issubclass(QuietClient, NewClient)
    assert {"run", "stop", "cut", "upload_as", "show_typing", "pair_phone", "_hide", "_log_line"} == {
        name for name in vars(QuietClient) if not name.startswith("__")
    }
