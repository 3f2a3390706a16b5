"""What connect.html talks to: Supabase's gateway, Auth and Realtime, imitated in this process.

Real behind it: the REST stand-in's PostgreSQL, with its policies. Auth knows two users, and does not mail. Realtime
speaks the Phoenix protocol (version 2 of its serializer, as realtime-js does) for changes of one table, and tells a
user only of rows that their policy shows. The page's own files are here, too, with the address in the place of
YOUR-PROJECT, as their reader is told to do.
"""

from __future__ import annotations

import hashlib
import json
import select
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import attrs
import psycopg
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from tests.worker_proxy import tokens, tools
from tests.worker_proxy.processes import ANON_KEY
from tests.worker_proxy.tenants import ANA, BEN

PASSWORD = "a-password-of-the-tests"
USERS = {"ana@example.com": ANA, "ben@example.com": BEN}
CDN = "https://cdn.jsdelivr.net/npm/@supabase/supabase-js@2.119.1/dist/umd/supabase.js"
KINDS = {"html": "text/html; charset=utf-8", "js": "text/javascript", "css": "text/css"}
ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""

RING = """
create or replace function test.ring() returns trigger language plpgsql security definer as $$
begin
  perform pg_notify('test_changes', coalesce(new.id, old.id));
  return null;
end
$$;
create or replace trigger zz_test_ring after insert or update or delete on public.wa_instances
  for each row execute function test.ring();
"""


@attrs.define
class Gateway:
    """`realtime`: whether it answers. Who is `listening` to it now; `reads` of tables and `mailed` addresses so far."""

    rest_url: str
    dsn: str
    url: str = ""
    realtime: bool = True
    listening: set[_Listener] = attrs.Factory(set)
    reads: int = 0
    mailed: list[str] = attrs.Factory(list)
    closing: threading.Event = attrs.Factory(threading.Event)


@contextmanager
def open_gateway(rest_url: str, dsn: str) -> Iterator[Gateway]:
    gateway = Gateway(rest_url, dsn)

    class Handler(_Handler):
        pass

    Handler.gateway = gateway
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        gateway.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield gateway
        finally:
            gateway.closing.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gateway: Gateway

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/rest/v1/"):
            self.gateway.reads += 1
            self._forward(b"")
        elif path == "/realtime/v1/websocket" and self.gateway.realtime:
            self._websocket()
        elif path.startswith("/connect/"):
            self._file(path.removeprefix("/connect/"))
        else:
            self._json(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        if path.startswith("/rest/v1/"):
            self._forward(body)
        elif path == "/auth/v1/token":
            self._sign_in(json.loads(body))
        elif path == "/auth/v1/otp":
            self.gateway.mailed.append(json.loads(body)["email"])
            self._json(200, {})
        elif path == "/auth/v1/logout":
            self._answer(204, b"", "text/plain")
        else:
            self._json(404, {})

    def _sign_in(self, said: dict[str, str]) -> None:
        """`POST /auth/v1/token?grant_type=password`, in the fields of Supabase Auth's API."""
        user = USERS.get(said.get("email", ""))
        if user is None or said.get("password") != PASSWORD:
            self._json(400, {"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials"})
            return
        claims = {"sub": user, "role": "authenticated", "aud": "authenticated", "exp": int(time.time()) + 3600}
        self._json(
            200,
            {
                "access_token": tokens.make(claims),
                "token_type": "bearer",
                "expires_in": 3600,
                "expires_at": claims["exp"],
                "refresh_token": "none",
                "user": {"id": user, "aud": "authenticated", "role": "authenticated", "email": said["email"]},
            },
        )

    def _file(self, name: str) -> None:
        if name == "supabase.js":
            data = (tools.npm_tools() / "node_modules/@supabase/supabase-js/dist/umd/supabase.js").read_bytes()
        elif name in ("connect.html", "connect.css", "connect.js", "numbers.js", "words.js"):
            text = (tools.SOURCE / name).read_text("utf-8").replace(CDN, "supabase.js")
            host = urlsplit(self.gateway.url).netloc
            text = text.replace("https://YOUR-PROJECT.supabase.co", f"http://{host}")
            text = text.replace("wss://YOUR-PROJECT.supabase.co", f"ws://{host}")
            data = text.replace("YOUR-PUBLISHABLE-KEY", ANON_KEY).encode()
        else:
            self._json(404, {})
            return
        self._answer(200, data, KINDS[name.rpartition(".")[2]])

    def _forward(self, body: bytes) -> None:
        connection = HTTPConnection(urlsplit(self.gateway.rest_url).netloc)
        try:
            headers = {key: value for key, value in self.headers.items() if key.lower() in ("authorization", "apikey")}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            self._answer(answer.status, answer.read(), "application/json")
        finally:
            connection.close()

    def _json(self, status: int, value: object) -> None:
        self._answer(status, json.dumps(value).encode(), "application/json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        with suppress(ConnectionError):  # a page that was left
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        pass

    # --- Realtime

    def _websocket(self) -> None:
        key = hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + ACCEPT).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", b64encode(key).decode())
        self.end_headers()
        self.close_connection = True
        with psycopg.connect(self.gateway.dsn, autocommit=True) as db, suppress(ConnectionError):
            db.execute("listen test_changes")
            listener = _Listener(self.connection, db)
            try:
                listener.serve(self.gateway)
            finally:
                self.gateway.listening.discard(listener)


class _Listener:
    def __init__(self, connection: socket.socket, db: psycopg.Connection) -> None:
        self._socket = connection
        self._frames = Connection(ConnectionType.SERVER)
        self._db = db
        self._joined: tuple[str, str, dict[str, Any]] | None = None
        self._claims = "{}"

    def serve(self, gateway: Gateway) -> None:
        while gateway.realtime and not gateway.closing.is_set():
            ready, _, _ = select.select([self._socket.fileno(), self._db.fileno()], [], [], 0.2)
            if self._socket.fileno() in ready and not self._take(self._socket.recv(65536)):
                return
            for notice in list(self._db.notifies(timeout=0.01)):  # the generator holds the connection
                self._tell(notice.payload)
            (gateway.listening.discard if self._joined is None else gateway.listening.add)(self)

    def _take(self, data: bytes) -> bool:
        self._frames.receive_data(data or None)
        for event in self._frames.events():
            if isinstance(event, TextMessage | BytesMessage):
                self._hear(*json.loads(event.data))
            elif isinstance(event, Ping):
                self._socket.sendall(self._frames.send(event.response()))
            elif isinstance(event, CloseConnection):
                return False
        return bool(data)

    def _hear(self, join: str, ref: str, topic: str, event: str, payload: dict[str, Any]) -> None:
        response: dict[str, Any] = {}
        if event == "phx_join":
            (wanted,) = payload["config"]["postgres_changes"]
            assert (wanted["schema"], wanted["table"], wanted["event"]) == ("public", "wa_instances", "*")
            self._joined = (join, topic, wanted)
            self._token(payload.get("access_token"))
            response = {"postgres_changes": [{"id": 1, **wanted}]}
        elif event == "phx_leave":
            self._joined = None
        elif event == "access_token":
            self._token(payload.get("access_token"))
        self._send([join, ref, topic, "phx_reply", {"status": "ok", "response": response}])

    def _token(self, token: str | None) -> None:
        self._claims = json.dumps(tokens.read(token or "") or {})

    def _tell(self, instance_id: str) -> None:
        """Only of what the policy shows to this user; as Realtime asks it."""
        with self._db.transaction():
            self._db.execute("set local role authenticated")
            self._db.execute("select set_config('request.jwt.claims', %s, true)", (self._claims,))
            seen = self._db.execute("select id from public.wa_instances where id = %s", (instance_id,)).fetchone()
        if self._joined is None or seen is None:
            return
        join, topic, _ = self._joined
        change = {"schema": "public", "table": "wa_instances", "type": "UPDATE", "commit_timestamp": "", "errors": None}
        data = {**change, "columns": [{"name": "id", "type": "text"}], "record": {"id": instance_id}, "old_record": {}}
        self._send([join, None, topic, "postgres_changes", {"ids": [1], "data": data}])

    def _send(self, message: list[Any]) -> None:
        self._socket.sendall(self._frames.send(TextMessage(data=json.dumps(message))))
