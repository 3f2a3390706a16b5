"""The ways out to WhatsApp: which one an instance takes, and whether it works. One per process; Trio thread only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import attrs

from wa_worker.models import Egress, EgressProxy, InstanceId, Secret
from wa_worker.whatsapp.egress import EgressTable
from wa_worker.whatsapp.egress_probe import EgressProbe
from wa_worker.whatsapp.probe import ReachabilityProbe, target
from wa_worker.whatsapp.socket_gate import SocketGate


@attrs.frozen
class Routes:
    """Holds the ways. own: asks the proxies that instances have for themselves; shared: the way of all others.

    gate: through which all of them lead where several workers share the instances; None: they lead out straight.
    """

    table: EgressTable
    own: EgressProbe
    shared: ReachabilityProbe
    gate: SocketGate | None = None

    @classmethod
    def of(cls, table: EgressTable, environ: Mapping[str, str], gate: SocketGate | None = None) -> Routes:
        # the gate dials socks5 proxies itself, and not through another one
        own = EgressProbe(environ if gate is None else {})
        return cls(table, own, ReachabilityProbe(*target(environ)), gate)

    @contextmanager
    def way_out(self, instance: InstanceId, egress: EgressProxy | None) -> Iterator[Secret | None]:
        """Yields the URL of the proxy that the library is given for one opening of a session, None for none."""
        if self.gate is None:
            yield None if egress is None else egress.url
            return
        with self.gate.passage(instance, egress) as proxy:
            yield proxy

    async def unreachable(self, instance: InstanceId) -> str | None:
        """Returns why WhatsApp cannot be reached by the way that all share, None if it can, or if this instance has one
        of its own: that is `proxy_problem()`'s."""
        return None if self.table.of(instance) is not None else await self.shared.problem()

    async def proxy_problem(self, egress: Egress) -> str | None:
        """Returns None if an instance may try to connect this way, else what is wrong with its proxy."""
        return await self.own.problem(egress)
