"""Tokens as Supabase Auth makes them: JWTs of HS256."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

JWT_SECRET = "the-jwt-secret-of-the-tests-has-32-characters"


def make(claims: dict[str, Any]) -> str:
    said = ".".join(_part(json.dumps(each).encode()) for each in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{said}.{_part(_signature(said))}"


def read(token: str) -> dict[str, Any] | None:
    """The claims of a token that this secret signed."""
    said, _, signature = token.rpartition(".")
    if not said or not hmac.compare_digest(_part(_signature(said)), signature):
        return None
    payload = said.partition(".")[2]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def _signature(said: str) -> bytes:
    return hmac.digest(JWT_SECRET.encode(), said.encode(), hashlib.sha256)


def _part(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
