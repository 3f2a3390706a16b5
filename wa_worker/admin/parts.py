"""What the admin page is made of: what it shows, and what it acts on once the worker is at work."""

from __future__ import annotations

from wa_worker.admin.actions import Actions
from wa_worker.instances.fleet import InstanceFleet
from wa_worker.instances.registry import Registry
from wa_worker.journal import Journal
from wa_worker.monitoring.readiness import Readiness


class Parts:
    """Holds what the pages show and act on. One per process; Trio thread only.

    show_qr: whether the page of an instance shows its QR code.
    """

    def __init__(self, registry: Registry, readiness: Readiness, *, show_qr: bool) -> None:
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
