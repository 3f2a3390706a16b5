"""Receipts of one linked account's client for the messages of another's.

Plays the server between them: a receipt goes to all linked devices of the account that it names, a retry receipt only
to the device that wrote the message, which then may send it once more. That a client is in the background is the
server's business: the author reads "delivered". Does not play a group's receipts, nor those between the devices of one
account.
"""

import time

from wa_worker.dev.simulator.device import Device
from wa_worker.dev.simulator.stanza import LID_SUFFIX, Node, device_jid, phone_of
from wa_worker.dev.simulator.world import Simulator

_FOR_THE_AUTHOR = {"inactive": None}
"""Types that the author of the message reads as another: `sendMessageReceipt` in whatsmeow receipt.go."""


def pass_on(simulator: Simulator, reader: Device, receipt: Node) -> None:
    """Hand a receipt to the devices that it is for; to none if it names a phone without any."""
    to = receipt.attrs["to"]
    kind = receipt.attrs.get("type")
    header = {
        "from": reader.lid if to.endswith(LID_SUFFIX) else reader.jid,
        "id": receipt.attrs["id"],
        "t": receipt.attrs.get("t", str(int(time.time()))),
    }
    if (shown := _FOR_THE_AUTHOR.get(kind or "", kind)) is not None:
        header["type"] = shown
    for author in simulator.devices_of(phone_of(to)):
        if kind == "retry":
            if author.jid != device_jid(to):
                continue
            author.accepted.discard(receipt.attrs["id"])
        author.mailbox.tell(Node("receipt", header, receipt.content))
