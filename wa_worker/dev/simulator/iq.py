"""What the server answers to a client's requests (iq stanzas). No I/O, except that prekeys are handed out.

Plays prekey upload, count and query, usync (who is on WhatsApp, devices, LIDs), the metadata of a group, where the
media host is; answers everything else with an empty result, which is what whatsmeow needs of keepalives, privacy
settings, presence and the like.
"""

import attrs

from wa_worker.dev.simulator.device import Device
from wa_worker.dev.simulator.media_host import AUTH, MEDIA_HOST
from wa_worker.dev.simulator.stanza import (
    LID_SUFFIX,
    PHONE_SUFFIX,
    SERVER,
    Node,
    child,
    children,
    content_bytes,
    device_jid,
    device_number,
    phone_of,
)
from wa_worker.dev.simulator.world import Simulator


@attrs.frozen
class Refusal(Exception):
    """The request is answered with an error."""

    code: int
    text: str


_FEWEST_PREKEYS = 1
"""What a device without prekeys is told that it has. Told 0, as by WhatsApp, a new one of whatsmeow makes and commits
812 (prekeys.go): seconds on a slow disk, for each pairing of a test. Told any other number below 5, it makes 50."""


def answer(simulator: Simulator, device: Device | None, iq: Node) -> Node:
    """Returns the answer to a request; `device` is None for a client that is not paired."""
    attributes = {"from": SERVER, "id": iq.attrs["id"]}
    try:
        content = [] if device is None else _content(simulator, device, iq)
    except Refusal as refusal:
        error = Node("error", {"code": str(refusal.code), "text": refusal.text})
        return Node("iq", {**attributes, "type": "error"}, [error])
    return Node("iq", {**attributes, "type": "result"}, content or None)


def link_code(simulator: Simulator, iq: Node, answer: Node) -> Node:
    """Returns the answer to a request for a pairing code."""
    attributes = {"from": SERVER, "id": iq.attrs["id"]}
    simulator.link_codes += 1
    if simulator.link_code_error is not None:
        error = Node("error", {"code": str(simulator.link_code_error), "text": "rate-overlimit"})
        return Node("iq", {**attributes, "type": "error"}, [error])
    return Node("iq", {**attributes, "type": "result"}, [answer])


def asks_for_contacts(iq: Node) -> bool:
    """Whether it asks who has a phone number."""
    usync = child(iq, "usync")
    return usync is not None and child(child(usync, "query"), "contact") is not None


def _content(simulator: Simulator, device: Device, iq: Node) -> list[Node]:
    namespace, kind = iq.attrs.get("xmlns"), iq.attrs.get("type")
    if namespace == "encrypt" and kind == "set":
        _store_prekeys(device, iq)
    elif namespace == "encrypt" and child(iq, "count"):
        return [Node("count", {"value": str(max(len(device.prekeys), _FEWEST_PREKEYS))})]
    elif namespace == "encrypt" and (query := child(iq, "key")):
        if simulator.no_keys:
            raise Refusal(503, "service-unavailable")
        return [Node("list", {}, [_bundle(simulator, user.attrs["jid"]) for user in children(query)])]
    elif namespace == "usync" and (usync := child(iq, "usync")):
        users = [_user(simulator, user) for user in children(child(usync, "list"))]
        return [Node("usync", dict(usync.attrs), [Node("list", {}, users)])]
    elif namespace == "w:g2" and kind == "get":
        return [_group(simulator, device, iq.attrs["to"])]
    elif namespace == "w:m" and child(iq, "media_conn"):
        access = {"auth": AUTH, "ttl": "300", "auth_ttl": "21600", "max_buckets": "12"}  # whatsmeow mediaconn.go
        return [Node("media_conn", access, [Node("host", {"hostname": MEDIA_HOST})])]
    elif namespace == "w:g2":
        raise Refusal(404, "item-not-found")
    elif namespace == "privacy" and kind == "get":  # asked for before the first message is marked as read
        return [Node("privacy", {}, [Node("category", {"name": "readreceipts", "value": "all"})])]
    elif namespace in simulator.answers:
        return simulator.answers[namespace](device, iq)
    return []


def _group(simulator: Simulator, device: Device, jid: str) -> Node:
    """`getGroupInfo` in whatsmeow group.go."""
    group = simulator.groups.get(jid)
    if group is None:
        raise Refusal(404, "item-not-found")
    group.queries += 1
    if device.phone not in group.phones:
        raise Refusal(403, "forbidden")
    return group.as_node()


def _store_prekeys(device: Device, iq: Node) -> None:
    """`uploadPreKeys` in whatsmeow prekeys.go."""
    signed, registration = child(iq, "skey"), child(iq, "registration")
    if signed is not None:
        number = int.from_bytes(content_bytes(child(signed, "id")), "big")
        public, signature = (content_bytes(child(signed, tag)) for tag in ("value", "signature"))
        device.signed_prekey = (number, public, signature)
    if registration is not None:
        device.registration_id = int.from_bytes(content_bytes(registration), "big")
    for key in children(child(iq, "list")):
        number = int.from_bytes(content_bytes(child(key, "id")), "big")
        device.prekeys[number] = content_bytes(child(key, "value"))


def _bundle(simulator: Simulator, jid: str) -> Node:
    if device_number(jid) == 0:
        return simulator.contact(phone_of(jid)).party.new_bundle().as_node(jid)
    linked = simulator.devices.get(device_jid(jid))
    if linked is None:
        return Node("user", {"jid": jid}, [Node("error", {"code": "404", "text": "item-not-found"})])
    return linked.take_bundle().as_node(jid)


def _user(simulator: Simulator, user: Node) -> Node:
    """Returns a user as usync describes it: looked up by number, or by JID with its devices and LID."""
    jid = user.attrs.get("jid")
    if jid is None:
        # `IsOnWhatsApp` in whatsmeow user.go asks by "+5511...@c.us" and wants its query back.
        query = content_bytes(child(user, "contact"))
        phone = query.decode().partition("@")[0].lstrip("+")
        simulator.contact_queries[phone] += 1
        if simulator.contact_error is not None:
            raise Refusal(simulator.contact_error, "rate-overlimit")
        if not simulator.is_on_whatsapp(phone):
            return Node("user", {"jid": f"{phone}{PHONE_SUFFIX}"}, [Node("contact", {"type": "out"}, query)])
        phone = simulator.registered_as.get(phone, phone)
        names = {"jid": f"9{phone}{LID_SUFFIX}", "pn_jid": f"{phone}{PHONE_SUFFIX}"}
        return Node("user", names, [Node("contact", {"type": "in"}, query)])
    phone = phone_of(jid)
    if phone in simulator.registered_as or not simulator.is_on_whatsapp(phone):
        return Node("user", {"jid": jid}, [])
    numbers = [0, *(device_number(linked.jid) for linked in simulator.devices_of(phone))]
    devices = [Node("device", {"id": str(number), "key-index": "1"}) for number in numbers]
    return Node(
        "user",
        {"jid": jid},
        [
            Node("devices", {}, [Node("device-list", {}, devices)]),
            Node("lid", {"val": f"9{phone}{LID_SUFFIX}"}),
        ],
    )
