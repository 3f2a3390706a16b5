"""The settings: what is wrong with them, what is unwise, and what of them other checks can use all the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from wa_worker.advice import advice_on
from wa_worker.check.result import Result, fail, ok, warn
from wa_worker.check.version import Usage
from wa_worker.config import Settings
from wa_worker.errors import ConfigError
from wa_worker.models import Secret
from wa_worker.postgres.url import StateUrl

NAME = "configuration"


@attrs.frozen
class Configuration:
    """Says what is usable; None is a setting that is missing or wrong."""

    results: tuple[Result, ...]
    usable: bool
    base_url: str | None
    secret: Secret | None
    auth_dir: Path | None
    bind_host: str | None
    port: int | None
    state_url: StateUrl | None
    usage: Usage
    """What is wrong of it is as by default."""


def read_configuration(environ: Mapping[str, str]) -> Configuration:
    """Never raises for what is in the environment: each fault is a result."""
    names = ("EDGE_BASE_URL", "WORKER_SECRET", "AUTH_DIR", "BIND_HOST", "PORT", "ADMIN_TOKEN", "STATE_URL")
    url, secret, auth_dir, bind_host, port, admin, state = (_alone(environ, name) for name in names)
    base_url = url.edge_base_url if url else None
    worker_secret = secret.worker_secret if secret else None
    try:
        Settings.from_environ(environ)
    except ConfigError as error:
        results = [_fault(text) for text in error.faults]
        usable = False
    else:
        results = [ok(NAME, _given(environ))]
        usable = True
    advices = advice_on(environ, base_url, worker_secret, admin.admin_token if admin else None)
    results += [warn(NAME, advice.found, advice.remedy) for advice in advices]
    return Configuration(
        tuple(results),
        usable,
        base_url,
        worker_secret,
        auth_dir.auth_dir if auth_dir else None,
        bind_host.bind_host if bind_host else None,
        port.port if port else None,
        state.state_url if state else None,
        _usage(environ),
    )


def _usage(environ: Mapping[str, str]) -> Usage:
    lists, queues, most = (_alone(environ, name) for name in ("INSTANCE_POLL_MS", "MSG_POLL_MS", "MSG_POLL_MAX_MS"))
    usage = Usage()
    if lists is not None:
        usage = attrs.evolve(usage, instance_poll=lists.instance_poll)
    if queues is not None:
        usage = attrs.evolve(usage, message_poll=queues.message_poll)
    if (part := _alone(environ, "WORKER_SHARD")) is not None:
        usage = attrs.evolve(usage, shard=part.worker_shard)
    return usage if most is None else attrs.evolve(usage, idle_poll=most.message_poll_max)


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
