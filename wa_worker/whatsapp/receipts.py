"""A receipt event of the library as the model: whose, for which messages, and how far they have come. Pure."""

from __future__ import annotations

from typing import Protocol

from neonize.proto import Neonize_pb2 as pb

from wa_worker import jid
from wa_worker.messages import Progress, Receipt
from wa_worker.models import InstanceId, WaMessageId
from wa_worker.whatsapp.identity import Lookup, bare, phone_number
from wa_worker.whatsapp.incoming import seconds

_PROGRESS = {
    pb.Receipt.DELIVERED: Progress.DELIVERED,
    pb.Receipt.INACTIVE: Progress.DELIVERED,  # by a client that nobody looks at
    pb.Receipt.READ: Progress.READ,
    pb.Receipt.PLAYED: Progress.PLAYED,
}
"""The types that say how far a message has come. READ_SELF and SENDER are of the account's own devices, RETRY asks for
a message once more, and SERVER_ERROR may be a type that the library mistakes."""


class ReceiptTaker(Protocol):
    """Who wants receipts that say how far messages have come: delivery/receipts.py. Called on the library's threads."""

    def heard(self, instance: InstanceId, receipt: Receipt) -> None:
        """Commits a receipt. Blocking. Raises JournalError."""


def receipt(event: pb.Receipt, phone_of: Lookup) -> Receipt | None:
    """Returns the receipt, None for one that says nothing of how far messages have come. `phone_of` looks a LID's
    number up in the session store."""
    source = event.MessageSource
    progress = _PROGRESS.get(event.Type)
    if progress is None or source.IsFromMe:
        return None
    recipient = None
    if source.Chat.Server == jid.GROUP:
        alternative = bare(source.SenderAlt) if source.SenderAlt.User else None
        recipient = phone_number(bare(source.Sender), alternative, phone_of)
    wa_ids = tuple(WaMessageId(wa_id) for wa_id in event.MessageIDs)
    return Receipt(wa_ids, progress, seconds(event.Timestamp), recipient)
