"""The ways out to WhatsApp: which one an instance takes, and whether it works. One per process; Trio thread only."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from wa_worker.models import Egress, InstanceId
from wa_worker.whatsapp.egress import EgressTable
from wa_worker.whatsapp.egress_probe import EgressProbe
from wa_worker.whatsapp.probe import ReachabilityProbe, target


@attrs.frozen
class Routes:
    """Holds the ways. own: asks the proxies that instances have for themselves; shared: the way of all others."""

    table: EgressTable
    own: EgressProbe
    shared: ReachabilityProbe

    @classmethod
    def of(cls, table: EgressTable, environ: Mapping[str, str]) -> Routes:
        return cls(table, EgressProbe(environ), ReachabilityProbe(*target(environ)))

    async def unreachable(self, instance: InstanceId) -> str | None:
        """Returns why WhatsApp cannot be reached by the way that all share, None if it can, or if this instance has one
        of its own: that is `proxy_problem()`'s."""
        return None if self.table.of(instance) is not None else await self.shared.problem()

    async def proxy_problem(self, egress: Egress) -> str | None:
        """Returns None if an instance may try to connect this way, else what is wrong with its proxy."""
        return await self.own.problem(egress)
