"""A message that the library has handed over, from its bytes to the journal: the one way in (P3)."""

from __future__ import annotations

import structlog
from neonize.proto import Neonize_pb2 as pb

from wa_worker.journal import Inbox
from wa_worker.metrics import Metrics, Received
from wa_worker.models import InstanceId
from wa_worker.whatsapp.identity import Identity
from wa_worker.whatsapp.incoming import inbound
from wa_worker.whatsapp.store import SessionStore

log = structlog.get_logger(__name__)


def receive(
    instance: InstanceId, data: bytes, me: Identity, *, store: SessionStore, inbox: Inbox, metrics: Metrics
) -> bool:
    """Commits the message of a serialised event. False if it is known already, one that nobody asked for, or cannot be
    understood, which is logged and counted.

    Blocking. Raises JournalError when the disk does not take it: then WhatsApp believes that we have what we have not,
    and the caller tries again.
    """
    try:
        message = inbound(pb.Message.FromString(data), me, store.phone_of, store.lid_of)
    except Exception:  # whatever is in it, it ends neither a session nor a pairing
        log.exception("a message was not understood", instance=instance)
        metrics.received(Received.NOT_UNDERSTOOD)
        return False
    if message is None:
        return False
    new = inbox.record(instance, message)
    metrics.received(Received.NEW if new else Received.REPEATED)
    return new
