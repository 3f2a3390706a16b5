"""Asks a running worker what its instances are doing: `GET /instances`, with ADMIN_TOKEN.

Owns the address of the worker and what each answer that is none means to a person. Blocking.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import httpx

from wa_worker.cli.settings import setting_from
from wa_worker.errors import ConfigError
from wa_worker.models import Secret

ANSWERS_WITHIN = 10.0
"""Seconds for each step of a call. The worker answers in some milliseconds, unless it is busy or far away."""

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - an address to connect to for each to listen on

_FIELDS = {"id": str, "state": str, "because": str, "since": int, "logged_out": bool, "backlog": dict}


class CannotAsk(Exception):
    """The worker cannot be asked. The text says why and what to do. `passing`: it may answer a moment later."""

    def __init__(self, problem: str, *, passing: bool = False) -> None:
        super().__init__(problem)
        self.passing = passing


@attrs.frozen
class RunningWorker:
    """Names a worker and what lets us ask it."""

    url: str
    token: Secret

    @classmethod
    def of(cls, environ: Mapping[str, str], url: str | None) -> RunningWorker:
        """Takes the settings that the worker has; `url` names one elsewhere. Raises ConfigError."""
        token = setting_from(environ, "ADMIN_TOKEN")
        if token is None:
            raise ConfigError(
                [
                    "ADMIN_TOKEN is not set here: set ADMIN_TOKEN or ADMIN_TOKEN_FILE to what the worker has. "
                    "If the worker has none, give it one (openssl rand -hex 32) and start it again."
                ]
            )
        if url is None:
            host, port = setting_from(environ, "BIND_HOST"), setting_from(environ, "PORT")
            if port == 0:
                raise ConfigError(["PORT is 0, any free one: give the worker's address with --url."])
            host = _ANY.get(host, host)
            url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return cls(url.rstrip("/"), token)

    def instances(self) -> list[dict[str, Any]]:
        """Returns what the worker says of each instance. Raises CannotAsk."""
        headers = {"Authorization": f"Bearer {self.token.reveal()}"}
        try:
            with httpx.Client(timeout=ANSWERS_WITHIN, trust_env=False) as http:
                answer = http.get(f"{self.url}/instances", headers=headers)
                worker = answer.status_code == 200 or _is_a_worker(http, self.url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CannotAsk(
                f"nothing answers at {self.url} ({str(error) or type(error).__name__}): is the worker running? "
                "It is looked for at BIND_HOST and PORT; name another place with --url.",
                passing=isinstance(error, httpx.TransportError),
            ) from error
        if not worker:
            raise CannotAsk(self._other(f"it answers {answer.status_code}"))
        match answer.status_code:
            case 200:
                return self._read(answer)
            case 401:
                raise CannotAsk(f"the worker at {self.url} has another ADMIN_TOKEN: set the same one here.")
            case 404:
                raise CannotAsk(
                    f"the worker at {self.url} has no ADMIN_TOKEN, or is older than this command: set it there and "
                    "start the worker again."
                )
        raise CannotAsk(f"the worker at {self.url} answers {answer.status_code}: its log says why.", passing=True)

    def _read(self, answer: httpx.Response) -> list[dict[str, Any]]:
        try:
            rows = answer.json()["instances"]
            fits = all(isinstance(row[name], kind) for row in rows for name, kind in _FIELDS.items())
        except (ValueError, TypeError, KeyError):
            fits = False
        if not fits:
            raise CannotAsk(self._other("its answer is no list of instances"))
        return list(rows)

    def _other(self, what: str) -> str:
        return (
            f"something else than a worker answers at {self.url} ({what}): set PORT to the worker's, or name its "
            "address with --url."
        )


def _is_a_worker(http: httpx.Client, url: str) -> bool:
    """Says whether its health is a worker's: others answer 401 and 404, too."""
    try:
        return "connected" in http.get(f"{url}/health").json()["instances"]
    except (ValueError, TypeError, KeyError):
        return False
