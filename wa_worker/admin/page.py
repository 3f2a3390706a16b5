"""Puts the admin page on the health port. Off unless ADMIN_TOKEN is set.

The web stack is half of the program's import time: routes.py, which needs it, is imported on the thread that loads the
health app.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wa_worker.admin.actions import Actions
from wa_worker.instances.fleet import InstanceFleet
from wa_worker.instances.registry import Registry
from wa_worker.journal import Journal
from wa_worker.models import Secret
from wa_worker.monitoring.readiness import Readiness


class AdminPage:
    """Holds what the pages need. One per process; Trio thread only, but for `extend()`.

    token: opens it; None: there is none. show_qr: whether the page of an instance shows its QR code.
    """

    def __init__(self, token: Secret | None, registry: Registry, readiness: Readiness, *, show_qr: bool) -> None:
        self.token = token
        self.registry = registry
        self.readiness = readiness
        self.show_qr = show_qr
        self._actions: Actions | None = None

    def working(self, journal: Journal, fleet: InstanceFleet) -> None:
        """The start is over: there is something to see and to act on."""
        self._actions = Actions(journal, fleet)

    @property
    def actions(self) -> Actions | None:
        """What one can act on; None while the worker starts or stops."""
        return self._actions if self.readiness.at_work else None

    def extend(self, app: Any) -> Mapping[str, int]:
        """Adds the pages to a quart-trio app, and returns the paths that take a form, with its largest size in bytes.
        Blocking: it loads templates and files."""
        if self.token is None:
            return {}
        from wa_worker.admin.routes import add_routes

        return add_routes(app, self, self.token)
