"""Takes what the library says of messages, calls, groups and receipts to the journal, for one session."""

from __future__ import annotations

import attrs
from neonize.proto import Neonize_pb2 as pb

from wa_worker.models import InstanceId
from wa_worker.states import Report
from wa_worker.whatsapp import events, receipts
from wa_worker.whatsapp.identity import Identity
from wa_worker.whatsapp.parsing import parsed
from wa_worker.whatsapp.receipts import ReceiptTaker
from wa_worker.whatsapp.receiving import Receiver
from wa_worker.whatsapp.store import SessionStore


@attrs.frozen
class Taking:
    """Commits one event at a time, and says whether it is a message that is new. Blocking. Every method raises
    JournalError when the journal does not take it: then nothing has happened.

    store: where people are looked up. receipts: who wants them; None: nobody does.
    """

    instance: InstanceId
    store: SessionStore
    me: Identity
    receiver: Receiver
    receipts: ReceiptTaker | None

    def on_message(self, data: bytes) -> bool:
        return self.receiver.receive(self.instance, self.store, self.me, data)

    def on_receipt(self, event: pb.Receipt) -> bool:
        """Messages of ours have come further."""
        if self.receipts is not None and (heard := receipts.receipt(event, self.store.phone_of)) is not None:
            self.receipts.heard(self.instance, heard)
        return False

    def on_group_change(self, event: pb.GroupInfoEvent | pb.JoinedGroup) -> bool:
        return self.receiver.group_change(self.instance, self.store, self.me, event)

    def on_call(self, news: events.CallNews) -> bool:
        return self.receiver.call(self.instance, self.store, self.me, news)

    def on_undecryptable(self, data: bytes) -> bool:
        """Something can be seen once, on the phone."""
        return self.receiver.view_once(self.instance, self.store, self.me, parsed(pb.UndecryptableMessage, data).Info)

    def on_report(self, report: Report) -> None:
        """Nothing to commit: it is of the session."""

    def on_offline_synced(self) -> None:
        """Nothing to commit: it is of the session."""
