"""Reads `STATE_URL`, and writes it as the two drivers want it. Nothing here connects.

Two drivers read it: psycopg (libpq) for our own tables, and lib/pq, which is in neonize's library, for the sessions'
keys. They differ in what they assume when nothing is said of TLS, so something is always said.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import attrs

from wa_worker.models import Secret

SSL_MODES = ("disable", "require", "verify-ca", "verify-full")
"""Those that lib/pq knows, too (pkg.go.dev/github.com/lib/pq). It has neither `allow` nor `prefer`."""

PASSED_ON = frozenset({"host", "sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout"})
"""What else may stand in the URL: what both drivers read alike."""

LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})

CONNECT_TIMEOUT = 5
"""Seconds for a new connection, unless the URL says otherwise."""


@attrs.frozen
class StateUrl:
    """Holds where the state is: a PostgreSQL database of its own, and the role that owns it.

    `host` is a name, an address, or the folder of a socket file.
    """

    host: str
    port: int
    database: str
    user: str
    password: Secret = attrs.field(repr=False)
    options: Mapping[str, str] = attrs.field(factory=dict)

    @classmethod
    def of(cls, text: str) -> StateUrl:
        """Reads `postgres://user:password@host:port/database?sslmode=...`. Raises ValueError, without the password."""
        try:
            parts = urlsplit(text)
            port = parts.port or 5432
        except ValueError:
            raise ValueError("is not a URL: characters of the password such as / @ # must be percent-encoded") from None
        if parts.scheme not in ("postgres", "postgresql"):
            raise ValueError("is not a postgres:// URL; it looks like postgres://wa_worker:PASSWORD@HOST:5432/wa_state")
        if parts.fragment:
            raise ValueError("has a '#': percent-encode it in the password (%23)")
        try:
            options = dict(parse_qsl(parts.query, strict_parsing=True, max_num_fields=20)) if parts.query else {}
        except ValueError:
            raise ValueError("has a query that cannot be read; it looks like ?sslmode=verify-full") from None
        if unknown := sorted(options.keys() - PASSED_ON):
            raise ValueError(f"has {unknown[0]!r}, which is none of: {', '.join(sorted(PASSED_ON))}")
        host = options.pop("host", "") or unquote(parts.hostname or "")
        missing = {"host": host, "user": parts.username, "database": parts.path.strip("/")}
        for name, value in missing.items():
            if not value:
                raise ValueError(f"names no {name}; it looks like postgres://wa_worker:PASSWORD@HOST:5432/wa_state")
        if "," in host or "," in parts.netloc.rpartition("@")[2]:
            raise ValueError("names several hosts: name one, or a name that leads to the primary")
        mode = options.setdefault("sslmode", "disable" if _is_local(host) else "require")
        if mode not in SSL_MODES:
            raise ValueError(f"has sslmode={mode}, which is none of: {', '.join(SSL_MODES)}")
        timeout = options.setdefault("connect_timeout", str(CONNECT_TIMEOUT))
        if not timeout.isascii() or not timeout.isdigit() or not 1 <= int(timeout) <= 60:
            raise ValueError("has a connect_timeout that is not a whole number of seconds from 1 to 60")
        user, password = unquote(parts.username or ""), Secret(unquote(parts.password or ""))
        return cls(host, port, unquote(parts.path.strip("/")), user, password, options)

    @property
    def place(self) -> str:
        """Says where it is, for people: no user, no password."""
        return f"{self.host}:{self.port}/{self.database}"

    @property
    def is_plain(self) -> bool:
        """Says whether what goes over the network can be read there: no TLS, and another machine."""
        return self.options["sslmode"] == "disable" and not _is_local(self.host)

    def with_options(self, **settings: str) -> Secret:
        """Returns the URL with more in its query. lib/pq hands what it does not know to the server, as settings of the
        session (`search_path`, `application_name`, ...)."""
        query = urlencode({**self.options, **self._socket, **settings}, quote_via=quote)
        host = "" if self._socket else f"[{self.host}]" if ":" in self.host else self.host
        who = f"{quote(self.user, safe='')}:{quote(self.password.reveal(), safe='')}"
        return Secret(f"postgres://{who}@{host}:{self.port}/{quote(self.database, safe='')}?{query}")

    @property
    def _socket(self) -> Mapping[str, str]:
        return {"host": self.host} if self.host.startswith("/") else {}


def _is_local(host: str) -> bool:
    return host in LOCAL or host.startswith("/")
