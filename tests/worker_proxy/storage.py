"""A stand-in for Supabase Storage's HTTP API, which storage-js talks to. Served by rest.py, below /storage/v1.

Storage itself is in no package registry either. This does the calls that the Edge Function and its users make, as
Supabase's documentation and storage-js have them: signed URLs to put a file by and to get one, a file for who has the
key, and removing. It answers errors as Storage does: with HTTP 400, and what is meant in the body's `statusCode`. The
bucket has to be there, and files are known to `storage.objects`, as in a project; their bytes are in memory. Keys are
the two fixed ones of rest.py; tokens are signed, but are no JWT.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import attrs
import psycopg
from psycopg.rows import TupleRow

PREFIX = "/storage/v1/object/"
UPLOAD_SECONDS = 7200

Database = psycopg.Connection[TupleRow]


@attrs.frozen
class Answer:
    status: int
    body: bytes
    content_type: str = "application/json"


class RefusedError(Exception):
    def __init__(self, code: int, error: str, message: str) -> None:
        super().__init__(message)
        said = {"statusCode": str(code), "error": error, "message": message}
        self.answer = Answer(400, json.dumps(said).encode())


@attrs.define
class Storage:
    """Keeps the files. `signs_again` False makes it one that signs for no file that is there, whatever it is asked."""

    signs_again: bool = True
    _key: bytes = attrs.field(factory=lambda: secrets.token_bytes(32))
    _files: dict[str, tuple[bytes, str]] = attrs.field(factory=dict)

    def handle(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, database: Callable[[], Database | None]
    ) -> Answer:
        """`database` says no to who has no key, by None."""
        parts = urlsplit(url)
        path = unquote(parts.path.removeprefix(PREFIX))
        token = parse_qs(parts.query).get("token", [""])[0]
        try:
            for start, allowed, act in (
                ("upload/sign/", "POST", self._sign_upload),
                ("sign/", "POST", self._sign),
                ("authenticated/", "GET", self._get),
            ):
                if path.startswith(start) and method == allowed:
                    return act(_known(database), path.removeprefix(start), headers, body)
            if path.startswith("upload/sign/") and method == "PUT":
                return self._put(database, path.removeprefix("upload/sign/"), token, headers, body)
            if path.startswith("sign/") and method == "GET":
                self._check(token, "get", path.removeprefix("sign/"))
                return self._file(path.removeprefix("sign/"))
            if method == "DELETE":
                return self._remove(_known(database), path, body)
        except RefusedError as refused:
            return refused.answer
        return RefusedError(404, "not_found", f"the stand-in has no {method} {path}").answer

    def _sign_upload(self, db: Database, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        _bucket(db, path)
        upsert = headers.get("x-upsert") == "true"
        if path in self._files and not (upsert and self.signs_again):
            raise RefusedError(409, "Duplicate", "The resource already exists")
        token = self._token("put", path, UPLOAD_SECONDS, upsert=upsert)
        return _json({"url": f"/object/upload/sign/{path}?token={token}", "token": token})

    def _put(
        self, database: Callable[[], Database | None], path: str, token: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        upsert = self._check(token, "put", path)["upsert"]
        db = _known(database)  # Storage has a key of its own: the token is all that it asks for
        limit = _bucket(db, path)
        if path in self._files and not upsert:
            raise RefusedError(409, "Duplicate", "The resource already exists")
        if limit is not None and len(body) > limit:
            raise RefusedError(413, "Payload too large", "The object exceeded the maximum allowed size")
        bucket, _, name = path.partition("/")
        db.execute(
            "insert into storage.objects (bucket_id, name) values (%s, %s) on conflict do nothing", (bucket, name)
        )
        self._files[path] = (body, headers.get("content-type", "text/plain;charset=UTF-8"))
        return _json({"Key": path})

    def _sign(self, db: Database, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self._file(path)
        token = self._token("get", path, json.loads(body)["expiresIn"])
        return _json({"signedURL": f"/object/sign/{path}?token={token}"})

    def _get(self, db: Database, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        return self._file(path)

    def _file(self, path: str) -> Answer:
        if path not in self._files:
            raise RefusedError(404, "not_found", "Object not found")
        content, kind = self._files[path]
        return Answer(200, content, kind)

    def _remove(self, db: Database, bucket: str, body: bytes) -> Answer:
        names = json.loads(body)["prefixes"]
        if len(names) > 1000:
            raise RefusedError(400, "invalid_request", "too many")
        removed = [name for name in names if self._files.pop(f"{bucket}/{name}", None) is not None]
        db.execute("delete from storage.objects where bucket_id = %s and name = any(%s)", (bucket, removed))
        return _json([{"name": name} for name in removed])

    def _token(self, what: str, path: str, seconds: float, **more: object) -> str:
        claims = json.dumps({"what": what, "url": path, "exp": time.time() + seconds, **more}).encode()
        return f"{base64.urlsafe_b64encode(claims).decode()}.{self._signature(claims)}"

    def _signature(self, claims: bytes) -> str:
        return hmac.new(self._key, claims, hashlib.sha256).hexdigest()

    def _check(self, token: str, what: str, path: str) -> dict[str, Any]:
        encoded, _, signature = token.partition(".")
        claims = base64.urlsafe_b64decode(encoded or "")
        if not hmac.compare_digest(self._signature(claims), signature):
            raise RefusedError(400, "InvalidJWT", "signature verification failed")
        said: dict[str, Any] = json.loads(claims)
        if (said["what"], said["url"]) != (what, path):
            raise RefusedError(400, "InvalidSignature", "The url do not match the signature")
        if said["exp"] < time.time():
            raise RefusedError(400, "InvalidJWT", '"exp" claim timestamp check failed')
        return said


def _known(database: Callable[[], Database | None]) -> Database:
    if (db := database()) is None:
        raise RefusedError(403, "Unauthorized", "Invalid Compact JWS")
    return db


def _bucket(db: Database, path: str) -> int | None:
    """Returns its limit in bytes."""
    row = db.execute(
        "select public, file_size_limit from storage.buckets where id = %s", (path.partition("/")[0],)
    ).fetchone()
    if row is None:
        raise RefusedError(404, "Bucket not found", "Bucket not found")
    limit: int | None = row[1]
    return limit


def _json(data: object) -> Answer:
    return Answer(200, json.dumps(data).encode())
