"""What became of the messages of a fault run."""

from __future__ import annotations

import attrs

from tests.faults.schedule import Contract, Incident


@attrs.define
class Account:
    """What became of the messages of a run."""

    seed: int
    contract: Contract
    incidents: list[Incident]
    out: int = 0
    inbound: int = 0
    calls: int = 0
    """To the proxy, as far as they reached it."""
    calls_of_version_2: int = 0
    flips: int = 0
    """How often the proxy changed from one version of the contract to the other."""
    followed: int = 0
    """How often the worker had asked as that version says when it changed."""
    lost_out: list[str] = attrs.Factory(list)
    lost_in: list[str] = attrs.Factory(list)
    """The journal had accepted them, the proxy never did."""
    gone_with_a_kill: int = 0
    """Inbound that WhatsApp had been told we have, but that a kill -9 caught in the library (docs/delivery.md)."""
    gone_with_a_receipt: int = 0
    """The same, in a run without a kill -9, of what was behind a receipt of an unknown type."""
    not_written: list[str] = attrs.Factory(list)
    """What the proxy got and nobody wrote: of an edit or a reaction also one with another target."""
    receipts: int = 0
    """Of messages, by receiver, at the proxy."""
    receipts_back: list[str] = attrs.Factory(list)
    """What the proxy heard of a message when it had heard of something further."""
    receipts_not_ours: list[str] = attrs.Factory(list)
    """What it heard of messages that no contact got from the worker."""
    lost_files: list[str] = attrs.Factory(list)
    """Files of received messages that the proxy cannot read."""
    damaged_files: list[str] = attrs.Factory(list)
    """Files that arrived, at a contact or at the proxy, and are not what was sent."""
    files: int = 0
    came_late: int = 0
    """Received messages that were posted without their file first, and with it later."""
    unreadable: int = 0
    """Outbound that arrived, but that the contact's phone could not decrypt, for good."""
    doubled_out: list[str] = attrs.Factory(list)
    """Copies of rows that the ledger does not count as uncertain."""
    doubled_in: list[str] = attrs.Factory(list)
    out_of_order: list[str] = attrs.Factory(list)
    unfinished: list[str] = attrs.Factory(list)
    uncertain: int = 0
    copies_of_uncertain: int = 0
    recovery: float = 0.0
    """Seconds from the end of the last fault until everything had arrived."""

    @property
    def broken(self) -> list[str]:
        """The promises that did not hold, in words."""
        return [
            f"{name}: {found[:5]} ({len(found)})"
            for name, found in (
                ("lost outbound", self.lost_out),
                ("lost inbound", self.lost_in),
                ("doubled outbound", self.doubled_out),
                ("doubled inbound", self.doubled_in),
                ("out of order", self.out_of_order),
                ("unfinished", self.unfinished),
                ("inbound that nobody wrote", self.not_written),
                ("receipts that went back", self.receipts_back),
                ("receipts of messages that are not ours", self.receipts_not_ours),
                ("lost files", self.lost_files),
                ("damaged files", self.damaged_files),
            )
            if found
        ]
