"""A message that the library has handed over, from its bytes to the journal: the one way in (P3)."""

from __future__ import annotations

from neonize.proto import Neonize_pb2 as pb

from wa_worker.journal import Inbox
from wa_worker.metrics import Metrics, Received
from wa_worker.models import InstanceId
from wa_worker.whatsapp import translate
from wa_worker.whatsapp.store import SessionStore


def receive(
    instance: InstanceId, data: bytes, me: translate.Identity, *, store: SessionStore, inbox: Inbox, metrics: Metrics
) -> bool:
    """Commits the message of a serialised event. False if it is known already, or one that nobody asked for.

    Blocking. Raises JournalError when the disk does not take it: then WhatsApp believes that we have what we have not,
    and the caller tries again. Raises ValueError for what is no message.
    """
    message = translate.inbound(pb.Message.FromString(data), me, store.phone_of, store.lid_of)
    if message is None:
        return False
    new = inbox.record(instance, message)
    metrics.received(Received.NEW if new else Received.REPEATED)
    return new
