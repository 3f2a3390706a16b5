"""Stanzas (WhatsApp's binary XML nodes) and JIDs, as the server reads and writes them.

Owns: the node, helpers over it, and the simulator's one rule of naming: the LID of phone number N is 9N.
Does not own the binary encoding (binary_xml.py) or what a stanza means (session.py, iq.py, messages.py).
"""

import secrets

import attrs

# Written as a JID without a user, so that whatsmeow's decoder yields a JID and not a string
# (`handleIQ` in whatsmeow pair.go compares `from` with types.ServerJID).
SERVER = "@s.whatsapp.net"
PHONE_SUFFIX = "@s.whatsapp.net"
LID_SUFFIX = "@lid"
GROUP_SUFFIX = "@g.us"

__all__ = [
    "GROUP_SUFFIX",
    "LID_SUFFIX",
    "PHONE_SUFFIX",
    "SERVER",
    "Node",
    "child",
    "children",
    "content_bytes",
    "describe",
    "device_jid",
    "device_number",
    "is_person",
    "lid_of",
    "new_message_id",
    "phone_of",
]


@attrs.define
class Node:
    """One node. Bytes in the place of its content may be a token of the dictionary, and come as text then."""

    tag: str
    attrs: dict[str, str]
    content: "list[Node] | bytes | str | None" = None


def children(node: Node | None) -> list[Node]:
    return node.content if node is not None and isinstance(node.content, list) else []


def child(node: Node | None, tag: str) -> Node | None:
    return next((item for item in children(node) if item.tag == tag), None)


def content_bytes(node: Node | None) -> bytes:
    """Returns the node's content as bytes; empty if it has none."""
    if node is None or isinstance(node.content, list) or node.content is None:
        return b""
    return node.content.encode() if isinstance(node.content, str) else bytes(node.content)


def phone_of(jid: str) -> str:
    """Returns the phone number behind a person's JID, be it a phone JID or a LID, with or without a device."""
    user, _, server = jid.partition("@")
    user = user.partition(":")[0]
    return user.removeprefix("9") if server == LID_SUFFIX[1:] else user


def device_number(jid: str) -> int:
    """0 is the phone itself, 1 and up its linked devices."""
    return int(jid.partition("@")[0].partition(":")[2] or 0)


def is_person(jid: str) -> bool:
    return jid.endswith((PHONE_SUFFIX, LID_SUFFIX))


def device_jid(jid: str) -> str:
    """Returns the key of a device in `Simulator.devices`, whichever of its JIDs is given."""
    return f"{phone_of(jid)}:{device_number(jid)}{PHONE_SUFFIX}"


def lid_of(jid: str) -> str:
    user, _, _ = jid.partition("@")
    return f"9{user}{LID_SUFFIX}"


def new_message_id() -> str:
    """Ids of messages from phones look like this; whatsmeow does not care."""
    return "3A" + secrets.token_hex(9).upper()


def describe(node: Node) -> str:
    """One line for the trace: tags and attributes, never the content."""
    attrs = "".join(f" {name}={value!r}" for name, value in node.attrs.items())
    inner = "".join(describe(item) for item in children(node)[:6])
    return f"<{node.tag}{attrs}>{inner}</{node.tag}>" if inner else f"<{node.tag}{attrs}/>"
