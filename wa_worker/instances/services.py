"""What all instances share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from wa_worker.config import Settings
from wa_worker.delivery.poll_timer import PollTimer
from wa_worker.delivery.read_marks import ReadMarks
from wa_worker.delivery.sending import MessageSender
from wa_worker.edge.client import EdgeClient
from wa_worker.instances.history import ChangeHistory
from wa_worker.instances.ownership import Ownership
from wa_worker.instances.pair_phones import PairPhones
from wa_worker.instances.registry import Registry
from wa_worker.journal import Holds
from wa_worker.metrics import Metrics
from wa_worker.volume import VolumeGuard

if TYPE_CHECKING:
    from wa_worker.whatsapp.bridge import WhatsApp


@attrs.frozen
class Services:
    """Holds one of each per process. They outlive the instances."""

    settings: Settings
    edge: EdgeClient
    holds: Holds
    registry: Registry
    metrics: Metrics
    sender: MessageSender
    pace: PollTimer
    """When the next poll comes that asks for all instances."""
    volume: VolumeGuard
    whatsapp: WhatsApp
    pair_phones: PairPhones = attrs.field(factory=PairPhones)
    history: ChangeHistory = attrs.field(factory=ChangeHistory)
    ownership: Ownership | None = None
    """Which instances may run here; None: all."""
    reads: ReadMarks = attrs.field(factory=lambda: ReadMarks(wanted=False))
