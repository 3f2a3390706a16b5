"""What the fault suite makes of edits, reactions and receipts: that it would notice what it is there to notice."""

from __future__ import annotations

from tests.faults.account import Account
from tests.faults.changes import ReceiptWatch
from tests.known_by import edited, reacted, read, said_in, said_out
from wa_worker.dev.proxy import InboundRow, MessageRow, ReceiptRow
from wa_worker.dev.simulator.protobufs import Message


def receipt(**at: int) -> ReceiptRow:
    times = dict.fromkeys(("failed_at", "delivered_at", "read_at", "played_at")) | at
    return ReceiptRow("i0", "c", "3EB0", "c", None, **times, error=None, times_posted=1)


def test_a_status_behind_one_that_was_told_of_is_noticed() -> None:
    watch = ReceiptWatch()
    watch.take([receipt(delivered_at=1)])
    watch.take([receipt(delivered_at=1, read_at=2)])
    watch.take([receipt(delivered_at=1, read_at=2, played_at=3)])
    assert watch.back == []
    late = ReceiptWatch()
    late.take([receipt(read_at=2)])
    late.take([receipt(read_at=2, delivered_at=1)])
    assert late.back == ["3EB0: delivered after ['read']"]


def inbound(kind: str, body: str, **content: object) -> InboundRow:
    return InboundRow(1, "i0", "c", "i", body, "3EB0", {"message_type": kind}, 1, 0.0, dict(content))


def test_an_edit_and_a_reaction_are_known_by_their_targets() -> None:
    known = {
        said_in(inbound("edit", "now", edit={"message_id": "A"})),
        said_in(inbound("edit", "now", edit={"message_id": "B"})),
        said_in(inbound("reaction", "", reaction={"message_id": "A", "emoji": "x"})),
        said_in(inbound("reaction", "", reaction={"message_id": "A", "emoji": "y"})),
        said_in(inbound("text", "now")),
    }
    assert len(known) == 5


def test_what_is_queued_is_known_by_the_same_as_what_arrives() -> None:
    def row(body: str, content: dict[str, object] | None) -> MessageRow:
        return MessageRow(1, "i0", "c", body, "sent", "3EB0", None, 1, 0.0, 0.0, content=content)

    reaction = row("", {"type": "reaction", "reaction": {"message_id": "A", "emoji": "x"}})
    edit = row("now", {"type": "edit", "edit": {"message_id": "A"}, "body": "now"})
    wrapped = Message(editedMessage={"message": edited("c", "A", "now")})
    assert read(Message(**reacted("c", "A", "x")), "") == said_out(reaction)
    assert read(wrapped, "") == said_out(edit)
    assert read(Message(conversation="now"), "now") == said_out(row("now", None)) != said_out(edit)


def test_each_promise_that_did_not_hold_is_named() -> None:
    account = Account(1, "1", [])
    assert account.broken == []
    account.not_written, account.receipts_back, account.receipts_not_ours = ["a"], ["b"], ["c"]
    assert [line.partition(":")[0] for line in account.broken] == [
        "inbound that nobody wrote",
        "receipts that went back",
        "receipts of messages that are not ours",
    ]
