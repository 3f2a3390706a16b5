"""What becomes of a client's messages and receipts.

Plays the server between a linked device and users it writes to: accepts each message once (by device and id),
hands every ciphertext to the phone or linked device it is for, acknowledges or refuses; brings the receipt of a phone
that could read it; takes receipts, which settle the mailbox, and retry receipts, for which the author encrypts anew.
What one linked account writes to another goes to the devices of both, its receipts the other way (relay.py).
What is for a group goes to group_messages.py.
Does not play newsletters, status, calls or media; of what its devices send the account's own phone reads only what they
ask of itself.
"""

import time

import trio

from wa_worker.dev.simulator import relay
from wa_worker.dev.simulator.contact import Contact, ReadReceipt, Received
from wa_worker.dev.simulator.device import Device
from wa_worker.dev.simulator.group_messages import NO_SUCH_GROUP, deliver, refusal
from wa_worker.dev.simulator.groups import Group
from wa_worker.dev.simulator.mailbox import Letter, LetterKey
from wa_worker.dev.simulator.stanza import (
    LID_SUFFIX,
    SERVER,
    Node,
    child,
    children,
    device_jid,
    device_number,
    is_person,
    phone_of,
)
from wa_worker.dev.simulator.world import Simulator


def take_message(simulator: Simulator, device: Device, stanza: Node) -> None:
    """Deliver and acknowledge a message. With `swallow_acks` it is delivered and the connection is cut."""
    wa_id, to = stanza.attrs["id"], stanza.attrs["to"]
    error = _refusal(simulator, device, to)
    if error is None and (wa_id not in device.accepted or "participant" in stanza.attrs):
        device.accepted.add(wa_id)
        _deliver(simulator, device, stanza)
    if error is None and simulator.swallow_acks > 0:
        simulator.swallow_acks -= 1
        if device.connection is not None:
            device.connection.cut()
        return
    ack = Node("ack", {"class": "message", "id": wa_id, "from": to, "t": str(int(time.time()))})
    if error is not None:
        ack.attrs["error"] = str(error)
    elif (group := simulator.groups.get(to)) is not None and "phash" in stanza.attrs:
        _compare_devices(group, stanza, ack)
    if device.connection is not None:
        device.connection.send_after(simulator.answer_delay, ack)


def take_receipt(simulator: Simulator, device: Device, stanza: Node) -> None:
    """A receipt of the device for one message or a list of them."""
    wa_id, sender = stanza.attrs["id"], stanza.attrs.get("to", SERVER)
    ack = {"class": "receipt", "id": wa_id, "from": sender}
    if "type" in stanza.attrs:
        ack["type"] = stanza.attrs["type"]
    if device.connection is not None:
        device.connection.send(Node("ack", ack))
    relay.pass_on(simulator, device, stanza)
    if stanza.attrs.get("type") == "retry":
        simulator.retry_receipts[wa_id] += 1
        letter = device.mailbox.get((sender, wa_id))
        if letter is not None and letter.encrypt_again is not None:
            letter.encrypt_again(letter, stanza)
            simulator.ask_for_prekeys(device)
        return
    more = [item.attrs["id"] for group in children(stanza) for item in children(group) if "id" in item.attrs]
    if stanza.attrs.get("type") == "read":
        participant = stanza.attrs.get("participant")
        author = simulator.contact(phone_of(participant or sender))
        author.read += [ReadReceipt(each, sender, participant) for each in (wa_id, *more)]
    device.mailbox.settle([(sender, each) for each in (wa_id, *more)])


def take_ack(device: Device, stanza: Node) -> None:
    """Take an ack: a bare one settles what nobody can encrypt anew: a message the client rejects, or garbage.

    For any other undecryptable message whatsmeow sends a retry receipt *and* an ack without an error, in no
    particular order (`decryptMessages` in message.go): that one stays pending until the retry has arrived.
    """
    if stanza.attrs.get("class") == "receipt":
        device.mailbox.told(stanza.attrs)
    key: LetterKey = (stanza.attrs.get("to", SERVER), stanza.attrs["id"])
    if stanza.attrs.get("class") == "notification":
        device.mailbox.settle([key])
    if stanza.attrs.get("class") != "message":
        return
    letter = device.mailbox.get(key)
    if letter is not None and ("error" in stanza.attrs or letter.encrypt_again is None):
        device.mailbox.settle([key])


def _refusal(simulator: Simulator, device: Device, to: str) -> int | None:
    if is_person(to):
        return simulator.message_error.get(phone_of(to))
    return refusal(simulator.groups[to], device) if to in simulator.groups else NO_SUCH_GROUP


def _compare_devices(group: Group, stanza: Node, ack: Node) -> None:
    """Tell a sender that it knows other devices than those of the group: it asks for the members anew then."""
    phash = group.phash()
    if stanza.attrs["phash"] != phash:
        group.outdated += 1
        ack.attrs["phash"] = phash


def _deliver(simulator: Simulator, device: Device, stanza: Node) -> None:
    """One ciphertext per receiving device, or a single one for the receiver's phone."""
    if (group := simulator.groups.get(stanza.attrs["to"])) is not None:
        for contact, received in deliver(simulator, group, device, stanza):
            _delivered(simulator, device, stanza, contact, received)
        return
    parts = [(to.attrs["jid"], child(to, "enc")) for to in children(child(stanza, "participants"))]
    parts.append((stanza.attrs["to"], child(stanza, "enc")))
    for jid, enc in parts:
        if enc is None:
            continue
        if device_number(jid):
            _relay(simulator, device, jid, stanza, enc)
        elif phone_of(jid) != device.phone or stanza.attrs.get("category") == "peer":
            contact = simulator.contact(phone_of(jid))
            taken = contact.take(device, stanza, enc)
            if taken is not None:
                _delivered(simulator, device, stanza, contact, taken)


def _delivered(simulator: Simulator, device: Device, stanza: Node, contact: Contact, received: Received) -> None:
    if contact.phone not in simulator.no_receipts:
        simulator.start_soon(_send_receipt, simulator, contact, device, stanza)
    if contact.on_message is not None:
        simulator.start_soon(contact.on_message, received)


async def _send_receipt(simulator: Simulator, contact: Contact, device: Device, stanza: Node) -> None:
    """The contact's phone says that it has the message."""
    await trio.sleep(simulator.receipt_delay)
    group = simulator.groups.get(stanza.attrs["to"])
    contact.confirm(device, stanza, None if group is None else group.name_of(contact.phone))


def _relay(simulator: Simulator, device: Device, jid: str, stanza: Node, enc: Node) -> None:
    """To another linked device: of the receiver, or of the sender's own account."""
    receiver = simulator.devices.get(device_jid(jid))
    if receiver is None:
        return
    by_lid = jid.endswith(LID_SUFFIX)
    attrs = {
        "from": device.lid if by_lid else device.jid,
        "sender_pn" if by_lid else "sender_lid": device.jid if by_lid else device.lid,
        "type": stanza.attrs.get("type", "text"),
        "id": stanza.attrs["id"],
        "t": str(int(time.time())),
    }
    if receiver.phone == device.phone:
        attrs["recipient"] = stanza.attrs["to"]
    if "edit" in stanza.attrs:
        attrs["edit"] = stanza.attrs["edit"]
    simulator.on_relay(device, receiver, enc)
    receiver.mailbox.put(Letter(stanza.attrs["id"], attrs, enc))
