"""Receipts of one linked account's client for the messages of another's, in a direct chat or in a group.

Plays the server between them: a receipt goes to all linked devices of the account whose message it names, a retry
receipt only to the device that wrote, which then may send it once more. That a client is in the background is the
server's business: the author reads "delivered". Does not play receipts between the devices of one account.
"""

import time

from wa_worker.dev.simulator.device import Device
from wa_worker.dev.simulator.stanza import LID_SUFFIX, SERVER, Node, device_jid, is_person, phone_of
from wa_worker.dev.simulator.world import Simulator

_FOR_THE_AUTHOR = {"inactive": None}
"""Types that the author of the message reads as another: `sendMessageReceipt` in whatsmeow receipt.go."""


def pass_on(simulator: Simulator, reader: Device, receipt: Node) -> None:
    """Hand a receipt to the devices that it is for: none, if it is for a phone without any or for the own account."""
    to = receipt.attrs.get("to", SERVER)
    author = receipt.attrs.get("participant", to) if to in simulator.groups else to
    if not is_person(author) or phone_of(author) == reader.phone:
        return
    kind = receipt.attrs.get("type")
    name = reader.lid if author.endswith(LID_SUFFIX) else reader.jid
    header = {"from": name} if author is to else {"from": to, "participant": name}
    header |= {"id": receipt.attrs["id"], "t": receipt.attrs.get("t", str(int(time.time())))}
    if (shown := _FOR_THE_AUTHOR.get(kind or "", kind)) is not None:
        header["type"] = shown
    for device in simulator.devices_of(phone_of(author)):
        if kind == "retry":
            if device.jid != device_jid(author):
                continue
            device.accepted.discard(receipt.attrs["id"])
        device.mailbox.tell(Node("receipt", header, receipt.content))
