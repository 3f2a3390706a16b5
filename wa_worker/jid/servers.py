"""The servers of JIDs: what stands after the `@` says whom the digits before it name."""

from __future__ import annotations

USER = "s.whatsapp.net"
GROUP = "g.us"
LID = "lid"
OLD_USER = "c.us"
"""The old name of USER."""


def is_lid(jid: str) -> bool:
    _, at, server = jid.rpartition("@")
    return bool(at) and server == LID
