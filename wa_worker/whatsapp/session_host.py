"""What all sessions of the process share, and what the library is not asked for any more since it ended a loop."""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs
import trio

from wa_worker.journal import Accounts
from wa_worker.models import InstanceId
from wa_worker.whatsapp import events
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.receipts import ReceiptTaker
from wa_worker.whatsapp.receiving import Receiver
from wa_worker.whatsapp.send_tracking import UncertainSends
from wa_worker.whatsapp.spool import Spool, Spooled
from wa_worker.whatsapp.uploads import Uploads

NO_RECEIPTS = 3600.0
"""Seconds without receipts after one of a type without a name has ended the library's loop. Each such end can lose the
messages that the library had taken and not handed over; without receipts uncertain sends are only not proven."""

NO_GROUPS = 3600.0
"""The same for changes of groups: without them, the proxy does not hear of any, and names of groups may be old."""


KEEPING = 1.0
"""Seconds for a small file, when a session closes."""


@attrs.frozen
class SessionHost:
    """Holds what all sessions of the process share. `threads` is a nursery that outlives the instances: the tasks of
    the native threads live there. Without `accounts`, whose number it is is asked for each message anew."""

    receiver: Receiver
    gate: StartGate
    threads: trio.Nursery
    device_name: str
    uncertain: UncertainSends
    accounts: Accounts | None = None
    """What WhatsApp has said of numbers; None: it is not remembered."""
    receipts: ReceiptTaker | None = None
    """Who wants receipts; None: they only settle uncertain sends."""
    recent_history: bool = False
    """Whether a phone is asked for a week of its history, or for none."""
    spool: Spool | None = None
    """Where what came is kept that the journal does not take now; None: the journal is on the same disk."""
    uploads: Uploads = attrs.field(factory=Uploads)
    goes_on: Callable[[], bool] = lambda: True
    """Says whether the worker does: what a session has in hand when it closes may then take its time."""
    no_receipts_until: dict[InstanceId, float] = attrs.field(factory=dict)
    """Instances whose library was ended by a receipt, and until when none are asked for (`time.monotonic()`)."""
    no_groups_until: dict[InstanceId, float] = attrs.field(factory=dict)
    """The same for changes of groups."""

    def take(self, event: Spooled, commit: Callable[[], bool]) -> bool:
        """Commits an event that WhatsApp believes us to have, or has the spool keep it. See Spool.take()."""
        return commit() if self.spool is None else self.spool.take(event, commit)

    async def keep(self, event: Spooled) -> bool:
        """Has the spool keep an event that is being committed, cancelled or not. False: it does not, or not in time."""
        kept = False
        if self.spool is not None:
            with trio.move_on_after(KEEPING, shield=True):
                # on a thread of its own: the others may all wait for PostgreSQL
                alone = trio.CapacityLimiter(1)
                kept = await trio.to_thread.run_sync(self.spool.keep, event, abandon_on_cancel=True, limiter=alone)
        return kept

    def codes(self, instance: InstanceId) -> list[int]:
        """Returns what a session subscribes to: not to what has ended the library's loop a while ago."""
        until = {events.RECEIPTS: self.no_receipts_until, events.GROUPS: self.no_groups_until}
        left_out = [codes for codes, ends in until.items() if time.monotonic() < ends.get(instance, 0.0)]
        return [code for code in events.CODES if not any(code in codes for codes in left_out)]
