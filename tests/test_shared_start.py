"""The start of a worker with STATE_URL: what it waits for, and what it refuses at once (wa_worker/app/shared.py)."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import attrs
import pytest
import trio
from structlog.testing import capture_logs

from tests.environment import bare
from tests.postgres.test_pooler import needs_pgbouncer
from tests.postgres_pooler import open_pooler
from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
from wa_worker.app.shared import _until_there
from wa_worker.errors import StartupError
from wa_worker.models import Secret
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.fitness import POOLER
from wa_worker.postgres.migrations import FORMAT, format_of, upgrade
from wa_worker.postgres.url import StateUrl


@needs_pgbouncer
async def test_a_pooler_in_transaction_mode_ends_it_with_the_words_of_the_check(
    state_url: StateUrl, tmp_path: Path
) -> None:
    with open_pooler(state_url, "transaction") as pooled:
        settings = bare(
            EDGE_BASE_URL="http://127.0.0.1:1",
            WORKER_SECRET="s",
            AUTH_DIR=str(tmp_path),
            BIND_HOST="127.0.0.1",
            PORT="0",
            STATE_URL=pooled.with_options().reveal(),
        )
        with trio.fail_after(30):
            done = await trio.run_process(
                [sys.executable, "-m", "wa_worker", "run"],
                env=settings,
                check=False,
                capture_stdout=True,
                capture_stderr=True,
            )
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 1
    assert "is a pooler in transaction mode" in said
    assert POOLER in said
    assert state_url.password.reveal() not in said
    assert "Traceback" not in said
    with closing(connect(state_url, "test")) as sql:
        assert format_of(sql) == 0, "nothing was made through it"


async def test_a_state_of_a_newer_version_ends_it(state_url: StateUrl) -> None:
    with closing(connect(state_url, "test")) as sql:
        upgrade(sql)
        sql.execute("UPDATE format SET format = format + 1")
    with pytest.raises(StartupError, match=rf"newer wa-worker .*format {FORMAT + 1}.* Do: run that version\."):
        await _until_there(state_url)


@pytest.mark.parametrize(
    ("differs", "reason"),
    [({"password": Secret("wrong")}, "password authentication failed"), ({"port": 1}, "Connection refused")],
)
async def test_what_it_waits_for(state_url: StateUrl, differs: dict[str, object], reason: str) -> None:
    """A password may be put right, and a server come up: the worker is there then."""
    with capture_logs() as logs, trio.move_on_after(2.5) as waiting:  # one try more
        await _until_there(attrs.evolve(state_url, **differs))  # type: ignore[arg-type]
    assert waiting.cancelled_caught
    (line,) = [line for line in logs if line["event"] == "PostgreSQL does not take this worker in: waiting for it"]
    assert reason in line["reason"]
    await _until_there(state_url)


@needs_pgbouncer
async def test_a_pooler_that_drops_the_settings_ends_it(state_url: StateUrl) -> None:
    with (
        open_pooler(state_url, "transaction", "extra_float_digits,options") as pooled,
        pytest.raises(StartupError, match="settings of a connection are lost"),
    ):
        await _until_there(pooled)
