"""What a receipt event says: whose it is, for which messages, and how far they have come."""

from __future__ import annotations

import pytest
from neonize.proto import Neonize_pb2 as pb

from wa_worker.messages import Progress, Receipt
from wa_worker.models import Jid
from wa_worker.whatsapp.receipts import receipt

PERSON, GROUP = "5511988880002", "120363041234567890"
LID = "95511988880002"
AT = 1_700_000_000

TYPES = {
    "DELIVERED": Progress.DELIVERED,
    "INACTIVE": Progress.DELIVERED,
    "READ": Progress.READ,
    "PLAYED": Progress.PLAYED,
}


def event(kind: str = "READ", chat: str = f"{PERSON}@s.whatsapp.net", sender: str = "", **more: object) -> pb.Receipt:
    def jid(text: str) -> pb.JID:
        user, _, server = text.partition("@")
        return pb.JID(User=user, Server=server, Device=3)

    source = pb.MessageSource(Chat=jid(chat), Sender=jid(sender or chat), **more)
    return pb.Receipt(MessageSource=source, MessageIDs=["A", "B"], Timestamp=AT, Type=kind)


def nobody(_jid: Jid) -> Jid | None:
    return None


@pytest.mark.parametrize("kind", pb.Receipt.ReceiptType.keys())
def test_the_types_that_say_how_far(kind: str) -> None:
    heard = receipt(event(kind), nobody)
    progress = TYPES.get(kind)
    assert heard == (None if progress is None else Receipt(("A", "B"), progress, AT))  # type: ignore[arg-type]


def test_one_of_the_accounts_own_devices_is_no_tick() -> None:
    assert receipt(event("DELIVERED", IsFromMe=True), nobody) is None


def test_in_a_direct_chat_nobody_is_named() -> None:
    heard = receipt(event(chat=f"{LID}@lid"), nobody)
    assert heard is not None
    assert heard.recipient is None, "the ledger knows where it went"


def test_in_a_group_the_participant_is() -> None:
    group = f"{GROUP}@g.us"
    person = Jid(f"{PERSON}@s.whatsapp.net")
    known = {Jid(f"{LID}@lid"): person}
    for heard in (
        receipt(event(chat=group, sender=person), nobody),
        receipt(event(chat=group, sender=f"{LID}@lid"), known.get),
        receipt(event(chat=group, sender=f"{LID}@lid", SenderAlt=pb.JID(User=PERSON, Server="s.whatsapp.net")), nobody),
    ):
        assert heard is not None
        assert heard.recipient == person
    unknown = receipt(event(chat=group, sender=f"{LID}@lid"), nobody)
    assert unknown is not None
    assert unknown.recipient == f"{LID}@lid", "digits are never made up"


def test_milliseconds_are_seconds() -> None:
    late = event()
    late.Timestamp = AT * 1000
    heard = receipt(late, nobody)
    assert heard is not None
    assert heard.timestamp == AT
