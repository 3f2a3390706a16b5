"""What becomes of a device's message to a group.

Plays the server between the device and the members: refuses it, or hands each phone and device of a member its copy of
the sender key and the one ciphertext for all. A phone that cannot read it asks for it again.
"""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wa_worker.dev.simulator.contact import Contact, Received
from wa_worker.dev.simulator.device import Device
from wa_worker.dev.simulator.groups import Group
from wa_worker.dev.simulator.keys import Undecryptable
from wa_worker.dev.simulator.mailbox import Letter
from wa_worker.dev.simulator.protobufs import Message
from wa_worker.dev.simulator.stanza import Node, child, children, content_bytes, device_number, phone_of

if TYPE_CHECKING:
    from wa_worker.dev.simulator.world import Simulator

# What WhatsApp answers to a message; seen in the wild, documented nowhere: 420 for who may not write to an
# announcement group, 403 for who is not in the group.
NOT_A_MEMBER = 403
NO_SUCH_GROUP = 404
ADMINS_ONLY = 420


def refusal(group: Group, sender: Device) -> int | None:
    """Says with which code a device's message is refused."""
    if group.error is not None:
        return group.error
    if sender.phone not in group.phones:
        return NOT_A_MEMBER
    return ADMINS_ONLY if group.announcement and not group.is_admin(sender.phone) else None


def deliver(simulator: "Simulator", group: Group, sender: Device, stanza: Node) -> Iterator[tuple[Contact, Received]]:
    """A device's message has come: hand it on, and yield which phones could read it.

    One with a `participant` is for that one only: who asked for it again.
    """
    skmsg = next((enc for enc in children(stanza) if enc.tag == "enc" and enc.attrs["type"] == "skmsg"), None)
    only = stanza.attrs.get("participant")
    pairs = {to.attrs["jid"]: child(to, "enc") for to in children(child(stanza, "participants"))}
    if only is not None:
        pairs = {only: child(stanza, "enc")}
    own = {(phone_of(jid), device_number(jid)): enc for jid, enc in pairs.items()}
    for phone in group.phones:
        if phone != sender.phone and (only is None or (phone, 0) in own):
            contact = simulator.contact(phone)
            received = _take(group, contact, sender, stanza, own.get((phone, 0)), skmsg)
            if received is not None:
                yield contact, received
        for device in simulator.devices_of(phone):
            enc = own.get(device.address)
            if device is not sender and (only is None or enc is not None):
                if enc is not None:
                    simulator.on_relay(sender, device, enc)
                parts = [part for part in (enc, skmsg) if part is not None]
                header = {**_from_device(group, sender), "type": stanza.attrs.get("type", "text")}
                header |= {"id": stanza.attrs["id"], "t": str(int(time.time()))}
                if "edit" in stanza.attrs:
                    header["edit"] = stanza.attrs["edit"]
                device.mailbox.put(Letter(stanza.attrs["id"], header, parts[0], more=tuple(parts[1:])))


def _from_device(group: Group, device: Device) -> dict[str, str]:
    other = {"participant_pn": device.jid} if group.addressing == "lid" else {"participant_lid": device.lid}
    name = device.lid if group.addressing == "lid" else device.jid
    return {"from": group.jid, "participant": name, **other, "addressing_mode": group.addressing}


def _take(
    group: Group, contact: Contact, sender: Device, stanza: Node, enc: Node | None, skmsg: Node | None
) -> Received | None:
    """None if it does not decrypt: the phone asks for it again."""
    message = Message()
    try:
        if enc is not None:
            plaintext = contact.party.decrypt(sender.address, enc.attrs["type"], content_bytes(enc))
            message = Message.FromString(plaintext)
            distribution = message.senderKeyDistributionMessage.axolotlSenderKeyDistributionMessage
            contact.group_keys.known.learn(group.jid, sender.address, distribution)
        if skmsg is not None:
            plaintext = contact.group_keys.known.decrypt(group.jid, sender.address, content_bytes(skmsg))
            message = Message.FromString(plaintext)
    except Undecryptable:
        contact.undecryptable += 1
        contact.ask_again(sender, stanza, participant=group.name_of(contact.phone))
        return None
    return contact.keep(sender, stanza, message)
