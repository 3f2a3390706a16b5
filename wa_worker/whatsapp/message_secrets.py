"""What whatsmeow's session store knows of messages by their secrets: the id under which a send left, if it did, and who
wrote a message.

`send_message` of the library takes no id and, when it fails, tells none. But before a message with a `messageSecret`
leaves, whatsmeow writes its id beside that secret (`PutMessageSecret`, called in its send.go). So no row means that it
never left. A row gives the id and does not say that it left: it is there, too, when the keys of the receiver could not
be fetched after that.

What is read here is whatsmeow's file, which it has open: read-only, in WAL mode only, in which readers and writers do
not wait for each other, and for LONGEST seconds at the most.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wa_worker.errors import SessionError
from wa_worker.jid import is_group, without_device
from wa_worker.models import Jid, WaMessageId
from wa_worker.whatsapp.sqlite import Reader, open_read_only
from wa_worker.whatsapp.store import SessionStore

LONGEST = 2.0
"""Seconds for a look into the table, which has no index on the secret: 100,000 rows take some 50 ms."""

SHORT_LOOK = 1.0
"""Seconds for a look by its primary key: it takes less than a millisecond."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

NOT_STORED = "Failed to store message secret"
"""What whatsmeow logs when it could not write a secret down: it sends the message all the same."""


def store_mark(store: SessionStore) -> str | None:
    """Returns what tells this session store from any other, None where that cannot be said.

    It is another after a new pairing, when the file was copied back from somewhere, and when the machine has started
    anew: whatsmeow commits without an fsync (`synchronous=NORMAL`), so its last rows do not survive a power cut.
    Blocking.
    """
    try:
        with _reading(store) as database:
            return _mark(store, database)
    except (SessionError, OSError, sqlite3.Error):
        return None


def sent_id(store: SessionStore, secret: bytes, mark: str | None) -> WaMessageId | None:
    """Returns the id under which the message with this secret has left, if it has left. None: it certainly never did.

    `mark` is that of the store through which it was sent. Raises SessionError when the store cannot tell: it cannot be
    read, or knows nothing of the message and is not that one. Blocking.
    """
    try:
        with _reading(store) as database:
            rows = database.rows(_FIND, secret)
            found = _mark(store, database)
    except (OSError, sqlite3.Error) as error:
        raise SessionError(f"session store {store.file}: {error}") from error
    if rows:
        return WaMessageId(str(rows[0][0]))
    if mark is None or found != mark:
        raise SessionError(f"session store {store.file}: it is not known to be the one that the message went through")
    return None


def senders(store: SessionStore, chat: Jid, message: str) -> list[tuple[Jid, bytes]]:
    """Returns who has sent a message with this id into the chat, and its secret; in practice one person or none.

    Raises SessionError when it cannot be read now, which says nothing of whose the message is. Blocking.
    """
    chats = {chat} if is_group(chat) else {chat, store.lid_of(chat), store.phone_of(chat)}
    try:
        with open_read_only(store.file, patience=SHORT_LOOK, longest=SHORT_LOOK) as database:
            rows = [row for each in sorted(filter(None, chats)) for row in database.rows(_SENDERS, each, message)]
    except (OSError, sqlite3.Error) as error:
        raise SessionError(f"session store {store.file}: {error}") from error
    return [(Jid(without_device(str(sender))), secret) for sender, secret in rows if isinstance(secret, bytes)]


_SENDERS = """
SELECT sender_jid, key FROM whatsmeow_message_secrets
WHERE our_jid IN (SELECT jid FROM whatsmeow_device) AND chat_jid = ? AND message_id = ?"""

_FIND = "SELECT message_id FROM whatsmeow_message_secrets WHERE key = ? ORDER BY rowid DESC LIMIT 1"


def _mark(store: SessionStore, database: Reader) -> str:
    """Raises OSError, sqlite3.Error, or SessionError if no device is in it."""
    device = database.rows("SELECT jid, registration_id FROM whatsmeow_device")
    if len(device) != 1:
        raise SessionError(f"session store {store.file}: it has {len(device)} devices")
    file = store.file.stat()
    parts = (BOOT_ID.read_text("ascii"), file.st_dev, file.st_ino, *device[0])
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


@contextmanager
def _reading(store: SessionStore) -> Iterator[Reader]:
    """Raises SessionError, or sqlite3.Error after LONGEST."""
    if not store.file.is_file():
        raise SessionError(f"session store {store.file}: there is none")
    with open_read_only(store.file, patience=LONGEST, longest=LONGEST) as database:
        mode = database.rows("PRAGMA journal_mode")[0][0]
        if mode != "wal":
            raise SessionError(f"session store {store.file}: in mode {mode!r} a reader keeps the writer waiting")
        yield database
