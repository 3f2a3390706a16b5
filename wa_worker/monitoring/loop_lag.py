"""How late the event loop wakes a sleeping task: the first sign of a worker that is too busy or blocked."""

from __future__ import annotations

import trio

from wa_worker.metrics import Metrics

LAG_INTERVAL = 5.0
"""Seconds between looks at the event loop's lag: the only wake-up that monitoring costs."""


async def watch_lag(metrics: Metrics) -> None:
    """Measures how late a sleeping task wakes, until cancelled."""
    while True:
        due = trio.current_time() + LAG_INTERVAL
        await trio.sleep_until(due)
        metrics.lagged(max(trio.current_time() - due, 0.0))
