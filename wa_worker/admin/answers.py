"""What every answer of the admin page carries, and what is asked of every request that changes something."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import attrs

COOKIE = "wa_worker_admin"

LARGEST_FORM = 4096
"""Bytes of a form: a token, or an instance's id and what its buttons carry."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{images}; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


def headers(*, show_qr: bool) -> Mapping[str, str]:
    """Returns the headers of every page. With `show_qr` pictures may be in the page itself."""
    return {
        "Content-Security-Policy": _POLICY.format(images=" data:" if show_qr else ""),
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def comes_from_us(sec_fetch_site: str | None) -> bool:
    """Says whether a browser does not say that another site sent a form. Old ones, and plain http, say nothing: the
    form's own token decides then."""
    return sec_fetch_site in (None, "same-origin")


def is_https(scheme: str, forwarded: str | None) -> bool:
    """Says whether the browser came by https, as far as we or a proxy before us know. Who lies about it only keeps
    their own cookie from coming back."""
    return "https" in (scheme, (forwarded or "").partition(",")[0].strip().lower())


@attrs.frozen
class StaticFile:
    """Describes a file that the pages load, by a path with a piece of its hash: it may be kept for good."""

    path: str
    data: bytes
    content_type: str


def static_files() -> dict[str, StaticFile]:
    """Reads the files, by name. Blocking."""
    found = {}
    for file in (resources.files("wa_worker.admin") / "static").iterdir():
        data = file.read_bytes()
        digest = hashlib.sha256(data).hexdigest()[:12]
        path = f"/admin/static/{digest}/{file.name}"
        found[file.name] = StaticFile(path, data, _TYPES[Path(file.name).suffix])
    return found
