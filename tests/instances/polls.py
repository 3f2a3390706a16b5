"""Polling as the worker does it, for tests."""

from __future__ import annotations

from wa_worker.delivery.poll_timer import PollTimer
from wa_worker.delivery.polled import PolledMessages
from wa_worker.edge.client import EdgeClient
from wa_worker.instances.discovery import Fleet
from wa_worker.instances.polling import Polling


async def run_polling(edge: EdgeClient, fleet: Fleet, interval: float, polled: PolledMessages | None = None) -> None:
    """Polls every `interval` seconds, until cancelled."""
    pace = PollTimer(interval, 0)
    await Polling(edge, fleet, polled or PolledMessages(), interval=interval, pace=pace).run()
