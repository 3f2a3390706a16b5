"""What whatsmeow's session store knows of messages by their secrets: the id under which a send left, if it did, and who
wrote a message.

`send_message` of the library takes no id and, when it fails, tells none. But before a message with a `messageSecret`
leaves, whatsmeow writes its id beside that secret (`PutMessageSecret`, called in its send.go). So no row means that it
never left. A row gives the id and does not say that it left: it is there, too, when the keys of the receiver could not
be fetched after that.

What is read here is whatsmeow's, which has it open: for LONGEST seconds at the most.
"""

from __future__ import annotations

import hashlib

from wa_worker.errors import SessionError
from wa_worker.jid import is_group, without_device
from wa_worker.models import Jid, WaMessageId
from wa_worker.whatsapp.store import Reader, SessionStore

LONGEST = 2.0
"""Seconds for a look into the table, which has no index on the secret: 100,000 rows take some 50 ms."""

SHORT_LOOK = 1.0
"""Seconds for a look by its primary key: it takes less than a millisecond."""

NOT_STORED = "Failed to store message secret"
"""What whatsmeow logs when it could not write a secret down: it sends the message all the same."""


def store_mark(store: SessionStore) -> str | None:
    """Returns what tells this session store from any other, None where that cannot be said.

    It is another after a new pairing, and where rows that were there may be gone: see SessionStore.identity().
    Blocking.
    """
    try:
        with store.reading(LONGEST) as reader:
            return _mark(store, reader)
    except SessionError:
        return None


def sent_id(store: SessionStore, secret: bytes, mark: str | None) -> WaMessageId | None:
    """Returns the id under which the message with this secret has left, if it has left. None: it certainly never did.

    `mark` is that of the store through which it was sent. Raises SessionError when the store cannot tell: it cannot be
    read, or knows nothing of the message and is not that one. Blocking.
    """
    with store.reading(LONGEST) as reader:
        found = _mark(store, reader)
        rows = reader.rows(_FIND + store.newest_first, secret)
    if rows:
        return WaMessageId(str(rows[0][0]))
    if mark is None or found != mark:
        raise SessionError(f"session store {store.place}: it is not known to be the one that the message went through")
    return None


def senders(store: SessionStore, chat: Jid, message: str) -> list[tuple[Jid, bytes]]:
    """Returns who has sent a message with this id into the chat, and its secret; in practice one person or none.

    Raises SessionError when it cannot be read now, which says nothing of whose the message is. Blocking.
    """
    chats = {chat} if is_group(chat) else {chat, store.lid_of(chat), store.phone_of(chat)}
    with store.reading(SHORT_LOOK) as reader:
        rows = [row for each in sorted(filter(None, chats)) for row in reader.rows(_SENDERS, each, message)]
    return [(Jid(without_device(str(sender))), secret) for sender, secret in rows if isinstance(secret, bytes)]


_SENDERS = """
SELECT sender_jid, key FROM whatsmeow_message_secrets
WHERE our_jid IN (SELECT jid FROM whatsmeow_device) AND chat_jid = ? AND message_id = ?"""

_FIND = "SELECT message_id FROM whatsmeow_message_secrets WHERE key = ? ORDER BY "


def _mark(store: SessionStore, reader: Reader) -> str:
    """Ends the reading if no device is in it."""
    device = reader.rows("SELECT jid, registration_id FROM whatsmeow_device")
    if len(device) != 1:
        raise SessionError(f"session store {store.place}: it has {len(device)} devices")
    parts = (*store.identity(reader), *device[0])
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
