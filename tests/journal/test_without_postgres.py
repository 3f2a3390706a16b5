"""What is not there without STATE_URL: a worker on a volume loads no driver of PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_WORKER = """
import sys
from pathlib import Path
import wa_worker.app, wa_worker.cli.commands
from wa_worker.journal import open_journal
with open_journal(Path(sys.argv[1])) as journal:
    journal.backlog()
assert "psycopg" not in sys.modules
"""


def test_psycopg_is_not_imported(path: Path) -> None:
    subprocess.run([sys.executable, "-c", _WORKER, str(path)], check=True, timeout=60)
