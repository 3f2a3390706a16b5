"""The metrics of a worker that shares its instances with others. Without `STATE_URL` there are none of them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from wa_worker.ownership.lease import Came


class LeaseMetrics:
    """Counts takeovers and the end of the lease. One per process, in the registry of all metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._takeovers = Counter(
            "wa_worker_takeovers",
            "Instances that this worker took, by what they were before",
            ["because"],
            registry=registry,
        )
        self._fenced = Counter(
            "wa_worker_fenced", "Times that this worker was kept from writing: its lease was over", registry=registry
        )
        for came in Came:
            self._takeovers.labels(came.value)

    def watch(
        self,
        owned: Callable[[], int],
        lease_left: Callable[[], float],
        unowned: Callable[[], int],
        spooled: Callable[[], int],
    ) -> None:
        """Adds what is asked at each scrape."""
        registry = self._registry
        Gauge(
            "wa_worker_unowned_instances",
            "Instances that are to run and that no worker has, as this one saw them last",
            registry=registry,
        ).set_function(unowned)
        Gauge(
            "wa_worker_spooled_events",
            "Received events that are kept on the volume until PostgreSQL takes them",
            registry=registry,
        ).set_function(spooled)
        Gauge("wa_worker_owned_instances", "Instances that this worker owns", registry=registry).set_function(owned)
        Gauge(
            "wa_worker_lease_seconds_left",
            "Until this worker stops by itself, unless it renews its lease; negative: it has",
            registry=registry,
        ).set_function(lease_left)

    # --- from any thread

    def took_over(self, came: Came) -> None:
        self._takeovers.labels(came.value).inc()

    def fenced(self) -> None:
        """A step of this worker was refused, or came too late, because its lease is over."""
        self._fenced.inc()
