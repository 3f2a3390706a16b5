"""What is unwise about the settings though it works. `run` and `check` warn of the same.

The environment is an argument here: config.py reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from urllib.parse import urlsplit

import attrs

from wa_worker.config import Settings
from wa_worker.models import Secret

SHORT_SECRET = 16
"""Characters: a random one of fewer can be guessed by whoever may ask the proxy as often as they like."""

_INNER = (".local", ".internal", ".localhost", ".lan", ".home.arpa", ".svc", ".test")
"""Ends of names that are for private networks (RFC 6762, 8375, 6761; Kubernetes' services)."""

_ALIKE = 0.84
"""How alike two names are (difflib) of which one is the other misspelt: MSG_POL_MS 0.95, MESSAGE_POLL_MS 0.85."""


@attrs.frozen
class Advice:
    """Says what is unwise about the settings, and what to do. Shows no value but a host."""

    found: str
    remedy: str


def advice_on(
    environ: Mapping[str, str], url: str | None, secret: Secret | None, admin_token: Secret | None = None
) -> Iterator[Advice]:
    """Looks at the environment, and at the two required settings and ADMIN_TOKEN if they are usable."""
    yield from _misspelt(environ)
    parts = urlsplit(url or "")
    if parts.scheme == "http" and not _is_inner(parts.hostname or ""):
        found = f"EDGE_BASE_URL is plain http to {parts.hostname}: the secret and all messages can be read on the way"
        yield Advice(found, "use https")
    text = secret.reveal() if secret else None
    if text and len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`":
        yield Advice("WORKER_SECRET stands in quotation marks, and they count", "give it without them")
    if text and len(text) < SHORT_SECRET:
        found = f"WORKER_SECRET has fewer than {SHORT_SECRET} characters"
        yield Advice(found, "make a long one (openssl rand -hex 32), here and at the proxy")
    if admin_token and len(admin_token.reveal()) < SHORT_SECRET:
        found = f"ADMIN_TOKEN has fewer than {SHORT_SECRET} characters: who guesses it sees and stops your instances"
        yield Advice(found, "make a long one (openssl rand -hex 32)")


def _misspelt(environ: Mapping[str, str]) -> Iterator[Advice]:
    """Names the variables that are no setting but nearly one.

    PORT is left out, for many programs have names around it, and so are names with another first letter, which few
    misspell: SERVICE_NAME is not DEVICE_NAME.
    """
    names = [field.metadata["name"] for field in attrs.fields(Settings)]
    known = {name + end for name in names for end in ("", "_FILE")}
    for given in sorted(environ.keys() - known):
        near = [name for name in known if name[0] == given[:1].upper() and not name.startswith("PORT")]
        if environ[given] and (match := get_close_matches(given.upper(), sorted(near), n=1, cutoff=_ALIKE)):
            yield Advice(f"{given} is no setting; {match[0]} is one", f"call it {match[0]}, or take it out")


def _is_inner(host: str) -> bool:
    """Says whether a host is on this machine or in a private network, as a container's name is."""
    try:
        address = ip_address(host)
    except ValueError:
        name = host.rstrip(".")
        return "." not in name or name.endswith(_INNER)
    return not (getattr(address, "ipv4_mapped", None) or address).is_global
