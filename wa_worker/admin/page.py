"""Puts the admin page on the health port. Off unless ADMIN_TOKEN is set.

The web stack is half of the program's import time: routes.py, which needs it, is imported on the thread that loads the
health app.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wa_worker.admin.parts import Parts
from wa_worker.models import Secret


def add_pages(parts: Parts, token: Secret | None, app: Any) -> Mapping[str, int]:
    """Adds the pages to a quart-trio app, and returns the paths that take a form, with its largest size in bytes.

    Without a token there are none. Blocking: it loads templates and files.
    """
    if token is None:
        return {}
    from wa_worker.admin.routes import add_routes

    return add_routes(app, parts, token)
