"""The settings: what is wrong with them, what is unwise, and what of them other checks can use all the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from wa_worker.check.result import Result, fail, ok, warn
from wa_worker.config import Settings
from wa_worker.errors import ConfigError
from wa_worker.models import Secret

NAME = "configuration"

SHORT_SECRET = 16
"""Characters: a random one of fewer can be guessed by whoever may ask the proxy as often as they like."""

_INNER = (".local", ".internal", ".localhost", ".lan")


@attrs.frozen
class Configuration:
    """Says what is usable; None is a setting that is missing or wrong."""

    results: tuple[Result, ...]
    usable: bool
    base_url: str | None
    secret: Secret | None
    auth_dir: Path | None


def read_configuration(environ: Mapping[str, str]) -> Configuration:
    """Never raises for what is in the environment: each fault is a result."""
    url, secret, auth_dir = (_alone(environ, name) for name in ("EDGE_BASE_URL", "WORKER_SECRET", "AUTH_DIR"))
    try:
        Settings.from_environ(environ)
    except ConfigError as error:
        results = [_fault(text) for text in error.faults]
        usable = False
    else:
        results = [ok(NAME, _given(environ))]
        usable = True
    if url is not None:
        results += _unwise_url(url.edge_base_url)
    if secret is not None:
        results += _unwise_secret(secret.worker_secret)
    return Configuration(
        tuple(results),
        usable,
        url.edge_base_url if url else None,
        secret.worker_secret if secret else None,
        auth_dir.auth_dir if auth_dir else None,
    )


def _alone(environ: Mapping[str, str], name: str) -> Settings | None:
    """Settings of which only `name` is as in the environment, or None if that one is not usable."""
    others = {"EDGE_BASE_URL": "http://localhost", "WORKER_SECRET": "none"}
    others.pop(name, None)
    own = {key: environ[key] for key in (name, f"{name}_FILE") if key in environ}
    try:
        return Settings.from_environ({**others, **own})
    except ConfigError:
        return None


def _given(environ: Mapping[str, str]) -> str:
    names = [field.metadata["name"] for field in attrs.fields(Settings)]
    given = [name for name in names if environ.get(name) or environ.get(f"{name}_FILE")]
    defaults = len(names) - len(given)
    return f"{', '.join(given)} and {defaults} default{'' if defaults == 1 else 's'}"


def _fault(text: str) -> Result:
    found, _, remedy = text.partition(". Set ")
    if remedy:
        return fail(NAME, found, f"set {remedy.rstrip('.')}")
    return fail(NAME, text.rstrip("."), f"correct {text.split()[0]}")


def _unwise_url(url: str) -> Iterator[Result]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http" and not _is_inner(host):
        found = f"EDGE_BASE_URL is plain http to {host}: the secret and all messages can be read on the way"
        yield warn(NAME, found, "use https")


def _is_inner(host: str) -> bool:
    """On this machine or a private network, as a container's name is."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_INNER)


def _unwise_secret(secret: Secret) -> Iterator[Result]:
    text = secret.reveal()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`":
        yield warn(NAME, "WORKER_SECRET stands in quotation marks, and they count", "give it without them")
    if len(text) < SHORT_SECRET:
        found = f"WORKER_SECRET has fewer than {SHORT_SECRET} characters"
        yield warn(NAME, found, "make a long one (openssl rand -hex 32), here and at the proxy")
