"""A message to send as WhatsApp's protobuf. Pure: what needs the network or a file was done before.

message.py  the whole: which content, and what it carries
context.py  what a message carries beside its content: the chat's timer, the message that it answers, mentions
about.py    what is about another message: reactions, new words, deletions
places.py   places
cards.py    contacts, and their vCards
polls.py    polls
media.py    files
"""

from wa_worker.whatsapp.outgoing.message import address, protobuf

__all__ = ["address", "protobuf"]
