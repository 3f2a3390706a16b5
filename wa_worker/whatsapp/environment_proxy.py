"""The proxy that the worker's environment names for WhatsApp, as Go reads it: HTTPS_PROXY and NO_PROXY. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks it


def environment_proxy(environ: Mapping[str, str], host: str) -> str | None:
    """Returns its URL, as written but for the scheme, which may be left out there. None: this host is reached
    without."""
    url = environ.get("HTTPS_PROXY") or environ.get("https_proxy") or ""
    spared = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if not url or proxy_bypass_environment(host, {"no": spared}):
        return None
    return url if "://" in url else f"http://{url}"
