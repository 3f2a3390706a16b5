"""A message that the library has handed over, from its bytes to the journal: the one way in (P3)."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from neonize.proto import Neonize_pb2 as pb

from wa_worker.journal import Inbox
from wa_worker.metrics import Metrics, Received
from wa_worker.models import InstanceId
from wa_worker.whatsapp.identity import Identity
from wa_worker.whatsapp.incoming import inbound
from wa_worker.whatsapp.parsing import parsed
from wa_worker.whatsapp.store import SessionStore

log = structlog.get_logger(__name__)


class Receiver:
    """Commits received messages. One per process; any thread.

    recorded(): called after each commit of a new message.
    """

    def __init__(self, inbox: Inbox, metrics: Metrics, recorded: Callable[[], None]) -> None:
        self._inbox = inbox
        self._metrics = metrics
        self._recorded = recorded

    def receive(self, instance: InstanceId, store: SessionStore, me: Identity, data: bytes) -> bool:
        """Commits the message of a serialised event. False if it is known already, one that nobody asked for, or cannot
        be understood, which is logged and counted.

        Blocking. Raises JournalError when the disk does not take it: then WhatsApp believes that we have what we have
        not, and the caller tries again.
        """
        try:
            message = inbound(parsed(pb.Message, data), me, store.phone_of, store.lid_of)
        except Exception:  # whatever is in it, it ends neither a session nor a pairing
            log.exception("a message was not understood", instance=instance)
            self._metrics.received(Received.NOT_UNDERSTOOD)
            return False
        if message is None:
            return False
        new = self._inbox.record(instance, message)
        self._metrics.received(Received.NEW if new else Received.REPEATED)
        if new:
            self._recorded()
        return new

    def undecryptable(self) -> None:
        """Counts a message that the library could not decrypt: WhatsApp is asked for it again."""
        self._metrics.received(Received.UNDECRYPTABLE)
