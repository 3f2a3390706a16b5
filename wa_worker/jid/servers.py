"""The servers of JIDs: what stands after the `@` says whom the digits before it name."""

from __future__ import annotations

USER = "s.whatsapp.net"
GROUP = "g.us"
LID = "lid"
OLD_USER = "c.us"
"""The old name of USER."""


def is_lid(jid: str) -> bool:
    """Says whether it is a LID."""
    return jid.endswith(f"@{LID}")


def is_number(jid: str) -> bool:
    """Says whether it is a phone number: one that WhatsApp can be asked for."""
    return jid.endswith(f"@{USER}")


def is_group(jid: str) -> bool:
    """Says whether it is a group."""
    return jid.endswith(f"@{GROUP}")
