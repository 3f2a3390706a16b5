"""Where the programs are that these tests run: PostgreSQL, Deno and supabase-js. `.ci/worker-proxy-services` puts
them there.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.postgres_server import program

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "docs" / "worker-proxy"

BEFORE_CONTRACT_2 = HERE / "before_contract_2"
"""What SOURCE was before contract 2: what an installation has that is upgraded, or runs that is rolled back."""


BEFORE_CONVERSATIONS = HERE / "before_conversations"
"""The same before there was more than texts: files, receipts, events, codes."""


BEFORE_CUSTOMERS = HERE / "before_customers"
"""The example policies that migration.sql had as comments before customers.sql."""


CUSTOMERS = ("customers.sql", "retention.sql", "notices.sql")
"""What may be run after migration.sql, in any order."""


def npm_tools() -> Path:
    """Where the npm packages are: the script's default, or WORKER_PROXY_TOOLS."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("WORKER_PROXY_TOOLS") or Path(cache) / "wa-worker" / "worker-proxy")


def deno() -> Path | None:
    return next(npm_tools().glob("node_modules/@deno/*/deno"), None)


def missing() -> str:
    """What is not installed, for the reason of a skip; "" if all is there."""
    needed = {"Deno": deno(), "supabase-js": _supabase(), "PostgreSQL": program("initdb"), "psql": program("psql")}
    names = [name for name, path in needed.items() if path is None]
    return f"{', '.join(names)} not found: run .ci/worker-proxy-services" if names else ""


@contextmanager
def held_port() -> Iterator[int]:
    """A port that refuses connections, and that nobody gets by chance; a server with SO_REUSEPORT may listen on it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def _supabase() -> Path | None:
    """supabase-js, if it is the version that package.json asks for."""
    package = npm_tools() / "node_modules" / "@supabase" / "supabase-js" / "package.json"
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]["@supabase/supabase-js"]
    if not package.exists() or json.loads(package.read_text())["version"] != wanted:
        return None
    return package.parent
