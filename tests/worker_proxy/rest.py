"""A stand-in for PostgREST, the REST side that supabase-js talks to. `python -m tests.worker_proxy.rest`

PostgREST itself is in no package registry for Debian, Python or Node. This does the one kind of call that the Edge
Function makes, `POST /rest/v1/rpc/<function>`, the way PostgREST does: it logs in as `authenticator`, takes the role of
the key in a transaction, finds the function by its arguments' names, has PostgreSQL turn the JSON into the declared
types, and maps an error's SQLSTATE to a status. And the one that pages make, `GET /rest/v1/<table>` with `select` and
`order`, of columns alone. Nothing else of PostgREST is here. A key is one of two fixed ones, or a user's token of
tokens.py. The stand-in for Storage (storage.py) is on the same port, as in a project.

Environment: REST_DSN, REST_SERVICE_KEY, REST_ANON_KEY, REST_PORT (default: any), REST_OLD_STORAGE (see storage.py),
REST_PREFIX (default: the path that Supabase's gateway has for it; PostgREST itself has /rpc/). Prints its URL once it
listens.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from tests.worker_proxy import storage, tokens

PREFIX = os.environ.get("REST_PREFIX", "/rest/v1/rpc/")

STATUSES = {"23503": 409, "23505": 409, "42883": 404, "42P01": 404, "42501": 403, "P0001": 400, "57014": 500}
"""PostgREST's status for an SQLSTATE; 400 for what is neither here nor in the next table."""

STATUSES_OF_CLASS = {"08": 503, "25": 500, "40": 500, "53": 503, "54": 500, "55": 500, "57": 500, "58": 500, "XX": 500}


class Rest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    roles: dict[str, str]
    storage: storage.Storage
    dsn: str

    def setup(self) -> None:
        super().setup()
        self._db: psycopg.Connection[TupleRow] | None = None

    def finish(self) -> None:
        if self._db is not None:
            self._db.close()
        super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith(storage.PREFIX):
            self._store(body)
            return
        if not self.path.startswith(PREFIX):
            self._answer(404, _error("PGRST125", "the stand-in has rpc alone"))
        else:
            self._as_role(lambda role, claims: self._call(role, claims, self.path.removeprefix(PREFIX), body))

    def do_GET(self) -> None:
        if self.path.startswith(storage.PREFIX):
            self._store(b"")
        else:
            self._as_role(self._read)

    def _as_role(self, answer: Callable[[str, str], str]) -> None:
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
        role, claims = self.roles.get(bearer), tokens.read(bearer)
        if role is not None and self.headers.get("apikey") != bearer:
            role = None
        elif claims is not None and self.headers.get("apikey") in self.roles:
            role = claims["role"]
        if role is None:
            self._answer(401, _error("PGRST301", "no such key"))
            return
        try:
            self._answer(200, answer(role, json.dumps(claims or {"role": role})))
        except LookupError as problem:
            self._answer(404, _error("PGRST202", str(problem)))
        except psycopg.Error as problem:
            code, diag = problem.sqlstate or "08000", problem.diag
            status = int(code[2:]) if code[:2] == "PT" else STATUSES.get(code) or STATUSES_OF_CLASS.get(code[:2], 400)
            self._answer(status, _error(code, diag.message_primary or str(problem), diag.message_hint))

    def _read(self, role: str, claims: str) -> str:
        """Rows as JSON text. Raises psycopg.Error."""
        asked = urlsplit(self.path)
        query = dict(parse_qsl(asked.query))
        columns = sql.SQL(", ").join(sql.Identifier(name) for name in query["select"].split(","))
        order = sql.Identifier(query["order"].removesuffix(".asc"))
        table = sql.Identifier("public", asked.path.rpartition("/")[2])
        rows = sql.SQL("select coalesce(json_agg(r), '[]')::text from (select {} from {} order by {}) as r")
        with self._transaction(role, claims) as db:
            row = db.execute(rows.format(columns, table, order)).fetchone()
        assert row is not None
        return str(row[0])

    @contextmanager
    def _transaction(self, role: str, claims: str) -> Iterator[psycopg.Connection[TupleRow]]:
        if self._db is None or self._db.closed:
            self._db = psycopg.connect(self.dsn)
        with self._db.transaction():
            self._db.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
            self._db.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
            yield self._db

    def do_PUT(self) -> None:
        self._store(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def do_DELETE(self) -> None:
        self._store(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _store(self, body: bytes) -> None:
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
        # A signed URL is all that a PUT to one needs: Storage works as itself then.
        allowed = self.roles.get(bearer) == "service_role" or (self.command == "PUT" and not bearer)
        with psycopg.connect(self.dsn, autocommit=True) as db:
            db.execute("set role service_role")
            headers = {key.lower(): value for key, value in self.headers.items()}
            answer = self.storage.handle(self.command, self.path, headers, body, lambda: db if allowed else None)
        self._answer(answer.status, answer.body, answer.content_type)

    def _call(self, role: str, claims: str, name: str, body: bytes) -> str:
        """The function's value as JSON text. Raises LookupError, or psycopg.Error."""
        given: dict[str, Any] = json.loads(body or b"{}")
        with self._transaction(role, claims) as db:
            found = db.execute(
                "select coalesce(p.proargnames, '{}'), array(select format_type(t, null) from unnest(p.proargtypes) t),"
                " pronargs - pronargdefaults"
                " from pg_proc p where p.pronamespace = 'public'::regnamespace and p.proname = %s",
                (name,),
            ).fetchall()
            types = next((types for row in found if (types := _types(given, *row)) is not None), None)
            if types is None:
                raise LookupError(f"no function public.{name}({', '.join(given)})")
            row = db.execute(_call_of(name, types), (body.decode(),) if types else None).fetchone()
        assert row is not None
        value: str = row[0]
        return value

    def _answer(self, status: int, body: str | bytes, kind: str = "application/json; charset=utf-8") -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        pass


def _types(given: dict[str, Any], names: list[str], types: list[str], required: int) -> dict[str, str] | None:
    """The declared types of the given arguments. None: the function is not one for them."""
    if not set(names[:required]) <= given.keys() <= set(names):
        return None
    return {name: type_ for name, type_ in zip(names, types, strict=True) if name in given}


def _call_of(name: str, types: dict[str, str]) -> sql.Composed:
    function = sql.Identifier("public", name)
    if not types:
        return sql.SQL("select coalesce(to_json({}())::text, 'null')").format(function)
    # A type's name is PostgreSQL's own spelling of it, from its catalogue.
    columns = [sql.SQL("{} {}").format(sql.Identifier(key), sql.SQL(types[key])) for key in types]
    arguments = [sql.SQL("{0} := given.{0}").format(sql.Identifier(key)) for key in types]
    return sql.SQL("select coalesce(to_json({}({}))::text, 'null') from json_to_record(%s::json) as given({})").format(
        function, sql.SQL(", ").join(arguments), sql.SQL(", ").join(columns)
    )


def _error(code: str, message: str, hint: str | None = None) -> str:
    return json.dumps({"code": code, "message": message, "details": None, "hint": hint})


def main() -> None:
    Rest.dsn = os.environ["REST_DSN"]
    Rest.storage = storage.Storage(signs_again="REST_OLD_STORAGE" not in os.environ)
    Rest.roles = {os.environ["REST_SERVICE_KEY"]: "service_role", os.environ["REST_ANON_KEY"]: "anon"}
    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer.allow_reuse_port = True  # a test may hold the port for it
    with ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("REST_PORT", "0"))), Rest) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
