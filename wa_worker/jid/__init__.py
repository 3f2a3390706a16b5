"""Addresses: what a proxy may write as a destination, how JIDs are told apart, and how they are masked in a log.

servers.py       the servers of JIDs
numbering.py     phone numbers by the numbering plans of all countries
destination.py   what a proxy wrote, as the JID to send to
masking.py       texts without the addresses in them

WhatsApp knows a person by a phone number JID (`5511...@s.whatsapp.net`) and, more and more, by a LID (`...@lid`), a
number that is not a phone number. We never turn one into the other by writing digits: a mapping either came with the
event, is in the session store, or is not known.
"""

from wa_worker.jid.destination import destination
from wa_worker.jid.masking import masked, masked_address
from wa_worker.jid.servers import GROUP, LID, USER, is_group, is_lid, is_number, without_device

__all__ = [
    "GROUP",
    "LID",
    "USER",
    "destination",
    "is_group",
    "is_lid",
    "is_number",
    "masked",
    "masked_address",
    "without_device",
]
