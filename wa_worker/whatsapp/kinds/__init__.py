"""What a message is, from its protobuf: one module for each kind of content. Pure; nothing of it waits or fails.

All of it is the sender's word. A field that is missing, or that no honest phone writes, is left out; the message stays.

content.py         what is found in a message
limits.py          texts, numbers and ids that a sender wrote, within bounds
wrappers.py        messages in messages: what is inside, and what is part of another bubble
reading.py         the table of the kinds, and the general rule
words.py           the words in content of any kind
media.py           pictures, videos, voice notes, documents, stickers
places.py          locations
cards.py           contacts
choices.py         an answer to a choice: a tap on a button or on the row of a list
commerce.py        orders and articles
polls.py           polls and votes
planned_events.py  events that people are invited to
changes.py         what changes another message: reactions, edits, deletions
context.py         what goes along with content of any kind: the quote, the forward, the mentions, the advertisement
calls.py           calls, which are no messages
"""
