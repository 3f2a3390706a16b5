"""docs/recipes.md, block by block: pg_net, the Vault and Chatwoot are imitated, PostgreSQL and Deno are real."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.worker_proxy import tools
from tests.worker_proxy.postgres import Postgres, open_postgres
from tests.worker_proxy.processes import SERVICE_KEY, deno, deno_environment, open_rest, open_server, project

pytestmark = pytest.mark.worker_proxy

PAGE = (tools.SOURCE.parent / "recipes.md").read_text("utf-8")
SQL, TYPESCRIPT, JSON = (re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) for kind in ("sql", "ts", "json"))
IMITATED = """
create schema vault;
create table vault.decrypted_secrets (name text unique, decrypted_secret text);
create function vault.create_secret(secret text, name text) returns void language sql as $$
  insert into vault.decrypted_secrets values ($2, $1) $$;
create schema net;
create table net.calls (seq bigint generated always as identity, url text not null, body jsonb, headers jsonb);
create function net.http_post(
  url text, body jsonb default '{}', params jsonb default '{}',
  headers jsonb default '{"Content-Type": "application/json"}', timeout_milliseconds integer default 5000
) returns bigint language sql as $$ insert into net.calls (url, body, headers) values ($1, $2, $4) returning seq $$;
alter table net.calls owner to postgres;
grant usage on schema net, vault to postgres;
grant all on all tables in schema net, vault to postgres;
"""


@pytest.fixture(scope="module")
def postgres(installed: None) -> Iterator[Postgres]:
    """With every recipe in force, as somebody who copies them has it."""
    with open_postgres() as postgres:
        with psycopg.connect(postgres.dsn("supabase_admin")) as db:
            db.execute(IMITATED.encode())
        for name in ("migration.sql", *tools.CUSTOMERS):
            postgres.psql(tools.SOURCE / name)
        with psycopg.connect(postgres.dsn("postgres")) as db:
            for block in SQL:
                db.execute(re.sub(r"create extension.*", "", block).encode())
        yield postgres


@pytest.fixture
def db(postgres: Postgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as db:
        db.execute("truncate net.calls, wa_notices, wa_chatwoot_sent")
        db.execute("delete from wa_instances")
        db.execute(
            "insert into wa_instances (id, name, status, jid) values "
            "('shop', 'Loja', 'CONNECTED', 'x@s.whatsapp.net'), "
            "('OUR-INSTANCE', 'ours', 'DISCONNECTED', null), ('OUR-OTHER-INSTANCE', 'also ours', 'CONNECTED', null)"
        )
        yield db


def _inbound(db: psycopg.Connection, id_: str, **columns: Any) -> None:
    row = {
        "instance_id": "shop",
        "chat_id": "5511988887777@s.whatsapp.net",
        "wa_message_id": id_,
        "from": "f",
        "to": "t",
        "body": "Oi",
        "push_name": "Ana",
        "chat_type": "direct",
        "message_type": "text",
        **columns,
    }
    names, marks = ", ".join(f'"{name}"' for name in row), ", ".join(["%s"] * len(row))
    db.execute(f"insert into wa_inbound ({names}) values ({marks})".encode(), list(row.values()))


def test_a_ban_goes_to_slack_mail_whatsapp_and_n8n(db: psycopg.Connection) -> None:
    db.execute("update wa_instances set status = 'DISCONNECTED', reason = 'worker_stopping'")  # a deploy
    assert db.execute("select * from net.calls").fetchall() == []
    db.execute("update wa_instances set status = 'CONNECTED', reason = 'connected' where id <> 'OUR-INSTANCE'")
    db.execute("update wa_instances set status = 'DISCONNECTED', reason = 'banned' where id = 'shop'")
    text = "Loja is down: WhatsApp has banned it for a while. Do not link it again."
    calls = {url: (body, headers) for url, body, headers in db.execute("select url, body, headers from net.calls")}
    assert len(calls) == 3
    assert calls["https://hooks.slack.com/services/..."][0] == {"text": text}
    mail, headers = calls["https://api.resend.com/emails"]
    assert (mail["subject"], mail["text"], headers["Authorization"]) == (text, text, "Bearer re_...")
    to_n8n = calls["https://YOUR-N8N.example/webhook/wa-notices"][0]
    assert (to_n8n["kind"], to_n8n["reason"], to_n8n["instance_id"], to_n8n["text"]) == ("down", "banned", "shop", text)
    assert db.execute("select instance_id, body from wa_messages").fetchall() == [("OUR-OTHER-INSTANCE", text)]


def test_what_comes_in_goes_to_n8n_and_what_we_wrote_does_not(db: psycopg.Connection) -> None:
    _inbound(db, "1")
    _inbound(db, "2", from_me=True)
    _inbound(db, "3", message_type="reaction")
    calls = db.execute(
        "select body from net.calls where url = 'https://YOUR-N8N.example/webhook/wa-inbound'"
    ).fetchall()
    assert [row[0]["wa_message_id"] for row in calls] == ["1"]
    db.execute("alter table net.calls add constraint broken check (url = '') not valid")
    try:
        _inbound(db, "4")
    finally:
        db.execute("alter table net.calls drop constraint broken")
    assert db.execute("select count(*) from wa_inbound").fetchone() == (4,)


def test_n8ns_workflow_writes_columns_that_there_are(db: psycopg.Connection) -> None:
    (workflow,) = map(json.loads, JSON)
    names = {node["name"] for node in workflow["nodes"]}
    assert set(workflow["connections"]) | {"Answer"} == names
    answer = workflow["nodes"][-1]["parameters"]
    columns = {"instance_id": "shop", "to": "5511988887777@s.whatsapp.net", "body": "x"}
    assert {each["fieldId"] for each in answer["fieldsUi"]["fieldValues"]} == columns.keys()
    marks = ", ".join(f'"{name}"' for name in columns)
    db.execute(f"insert into {answer['tableId']} ({marks}) values (%s, %s, %s)".encode(), list(columns.values()))
    _inbound(db, "1")
    sent = db.execute("select body from net.calls where url like '%wa-inbound'").fetchone()
    assert sent is not None
    used = set(re.findall(r"\$json\.body\.(\w+)", json.dumps(workflow)))
    assert used <= sent[0].keys()


@contextmanager
def _chatwoot() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Its public API for the inbox "abc": the answers' fields are those of its documentation."""
    heard: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            path = self.path.removeprefix("/public/api/v1/inboxes/abc/")
            heard.append((path, body))
            ids = {"contacts": {"source_id": "s-1", "id": 5}, "contacts/s-1/conversations": {"id": 9}}
            data = json.dumps(ids.get(path, {"id": 1})).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", heard
        server.shutdown()
        thread.join()


def test_chatwoot_hears_what_comes_in_and_its_agents_answer(
    db: psycopg.Connection, postgres: Postgres, tmp_path: Path
) -> None:
    folder = project(tmp_path / "chatwoot")
    (folder / "index.ts").write_text(TYPESCRIPT[0], "utf-8")
    db.execute("insert into wa_chatwoot values ('shop', 'abc')")
    with _chatwoot() as (chatwoot, heard), open_rest(postgres) as rest:
        environment = {
            "SUPABASE_URL": rest.url,
            "SUPABASE_SERVICE_ROLE_KEY": SERVICE_KEY,
            "CHATWOOT_URL": chatwoot,
            "CHATWOOT_KEY": "the-key",
            "DENO_SERVE_ADDRESS": "tcp:127.0.0.1:0",
            **deno_environment(folder),
        }
        command = [*deno("run"), "--check", "--cached-only", "--no-prompt", "--allow-env", "--allow-net=127.0.0.1"]
        with open_server([*command, "index.ts"], environment, folder) as function, httpx.Client(timeout=20) as http:
            url = f"{function.url}/functions/v1/chatwoot?key=the-key&inbox=abc"
            for id_ in ("1", "2"):
                _inbound(db, id_)
                sent = db.execute(
                    "select body from net.calls where url like '%/chatwoot%' order by seq desc"
                ).fetchone()
                assert sent is not None
                assert http.post(url, json=sent[0]).status_code == 200, function.lines
            messages = "contacts/s-1/conversations/9/messages"
            assert [path for path, _ in heard] == ["contacts", "contacts/s-1/conversations", messages, messages]
            assert heard[0][1]["phone_number"] == "+5511988887777"
            assert heard[-1][1] == {"content": "Oi"}
            said = {
                "event": "message_created",
                "id": 77,
                "content": "Olá!",
                "conversation": {"id": 9},
                "private": False,
            }
            for kind in ("incoming", "outgoing", "outgoing"):  # told twice
                assert http.post(url, json={**said, "message_type": kind}).status_code == 200, function.lines
            http.post(url, json={**said, "id": 78, "message_type": "outgoing", "private": True})
            assert http.post(url.replace("the-key", "x"), json={**said, "id": 79}).status_code == 401
    queued = db.execute('select instance_id, "to", body from wa_messages').fetchall()
    assert queued == [("shop", "5511988887777@s.whatsapp.net", "Olá!")]
