"""The servers of JIDs: what stands after the `@` says whom the digits before it name."""

from __future__ import annotations

USER = "s.whatsapp.net"
GROUP = "g.us"
LID = "lid"
OLD_USER = "c.us"
"""The old name of USER."""


def without_device(jid: str) -> str:
    """Returns the account of a device, or of an agent: `5511...@s.whatsapp.net` for `5511...:7@s.whatsapp.net`."""
    user, _, server = jid.partition("@")
    return f"{user.partition(':')[0].partition('.')[0]}@{server}"


def is_lid(jid: str) -> bool:
    """Says whether it is a LID."""
    return jid.endswith(f"@{LID}")


def is_number(jid: str) -> bool:
    """Says whether it is a phone number: one that WhatsApp can be asked for."""
    return jid.endswith(f"@{USER}")


def is_group(jid: str) -> bool:
    """Says whether it is a group."""
    return jid.endswith(f"@{GROUP}")
