"""Imports neonize before the tests do: it forgets to close two pipes, which `filterwarnings = error` minds.

They belong to processes that `subprocess` keeps until it starts another one, so that is done here too.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import AsyncIterator

import pytest
import trio

from wa_worker.dev.simulator import Simulator, open_simulator

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)
    import wa_worker.whatsapp.libmagic  # noqa: F401 - before neonize
    import neonize.client  # noqa: F401  # isort: skip

    subprocess.run(["true"], check=True)


@pytest.fixture
def pythons_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Session stores are read with Python's SQLite, for tests that have them open with it: see whatsapp/sqlite.py."""
    monkeypatch.delitem(sys.modules, "neonize._binder")


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """A simulated WhatsApp. A client of it is a process that `trust.command()` has started."""
    with trio.fail_after(60):
        async with open_simulator() as simulator:
            yield simulator
        assert simulator.faults == []
