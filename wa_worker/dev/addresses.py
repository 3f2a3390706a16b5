"""How the development tools write an address for people."""

from __future__ import annotations


def phone_or_jid(jid: str) -> str:
    """Returns a person's JID as a phone number, and any other unchanged."""
    user, _, server = jid.partition("@")
    return f"+{user}" if server == "s.whatsapp.net" and user.isdigit() else jid
