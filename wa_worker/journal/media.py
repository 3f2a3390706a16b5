"""Keeps where the files of received messages are, and how far each has come on its way to the proxy.

Steps: wanted -> stored (the whole file is on the volume) -> settled (the proxy has it, or it cannot be had). A message
waits for its file for a while (delivery/file_waits.py); if it is posted without, its content stays here, and what
becomes of the file is a message once more: an `update` under the same id, behind the first in its chat.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable
from contextlib import suppress

import attrs
import structlog

from wa_worker.journal.content import content_of, message_of
from wa_worker.journal.database import Database, Sql
from wa_worker.messages import InboundMessage, MediaError, MediaKind, MediaReference
from wa_worker.models import InstanceId

log = structlog.get_logger(__name__)

UPDATE = "update"
"""The kind of a message that is posted once more (inbox.EventKind has it, too)."""

_REFUSED = "refused"
"""The failure of a file whose proxy takes others; `no_upload` to the proxy, but news to it."""


class FileStep(enum.StrEnum):
    """Says how far a file has come."""

    WANTED = "wanted"
    STORED = "stored"
    SETTLED = "settled"


@attrs.frozen
class ReceivedFile:
    """Describes a file on its way. `seq`: that of its message, and its name on the volume; `chat`: the key of its chat.
    `message` None: it was discarded, or cannot be read."""

    seq: int
    chat: int
    instance: InstanceId
    step: FileStep
    reference: MediaReference
    message: InboundMessage | None = attrs.field(repr=False)


class ReceivedMedia:
    """Keeps the files' rows. Any thread may call; every method raises JournalError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keys(self, step: FileStep, after: int, limit: int) -> list[int]:
        """Returns the messages whose files are at a step (not SETTLED), with seqs above `after`, ascending."""
        with self._database.reading() as sql:
            return [row[0] for row in sql.execute(_KEYS[step], (after, limit))]

    def get(self, seq: int) -> ReceivedFile | None:
        """Returns a file, None if it is settled or its message is over."""
        with self._database.reading() as sql:
            row = sql.execute(_GET, (seq,)).fetchone()
        if row is None:
            return None
        chat, instance, step, content, kind, *rest = row
        reference = MediaReference(MediaKind(kind), *rest)
        message = None
        with suppress(Exception):  # of json or cattrs, which raises groups; the inbox says so, and sets it aside
            message = None if content is None else message_of(content)
        return ReceivedFile(seq, chat, instance, FileStep(step), reference, message)

    def stored(self, seq: int) -> None:
        """The whole file is on the volume."""
        with self._database.transaction() as sql:
            sql.execute(_STEP, (FileStep.STORED.value, seq))

    def lost(self, seq: int) -> None:
        """The file is not on the volume, though it was: it is wanted again."""
        with self._database.transaction() as sql:
            sql.execute(_STEP, (FileStep.WANTED.value, seq))

    def settle(
        self, seq: int, *, url: str | None = None, failure: MediaError | None = None, refused: bool = False
    ) -> None:
        """The proxy has the file, under `url`, or it cannot be had. A message that was posted without is posted once
        more. refused: the proxy takes files, but not this one."""
        with self._database.transaction() as sql:
            sql.execute(_SETTLE, (url, _REFUSED if refused else failure, seq))
            conclude(sql, seq)

    def settle_all(self, failure: MediaError) -> list[int]:
        """None of the files on their way can be had. Returns the keys of their chats, one for each file."""
        with self._database.transaction() as sql:
            rows = sql.execute(_UNSETTLED).fetchall()
            _settle_each(sql, ((seq,) for seq, _ in rows), failure)
        return [chat for _, chat in rows]

    def give_up(self, older_than: float, limit: int = 5000) -> int:
        """Gives up to `limit` files up whose messages came more than `older_than` seconds ago. Returns how many."""
        with self._database.transaction() as sql:
            rows = sql.execute(_OLD, (time.time() - older_than, limit)).fetchall()
            return _settle_each(sql, rows, MediaError.EXPIRED)


def _settle_each(sql: Sql, rows: Iterable[tuple[int]], failure: MediaError) -> int:
    count = 0
    for (seq,) in rows:
        sql.execute(_SETTLE, (None, failure, seq))
        conclude(sql, seq)
        count += 1
    return count


def add(sql: Sql, seq: int, file: MediaReference) -> None:
    """Adds the file of a message, within the transaction that adds the message."""
    values = (file.kind.value, file.direct_path, file.media_key, file.enc_sha256, file.sha256, file.size)
    sql.execute(_ADD, (seq, *values))


def posted_without(sql: Sql, seq: int) -> None:
    """The proxy has taken a message without its file. Within the transaction that settles the message, and before that
    takes its content away."""
    sql.execute(_POSTED, (seq,))


def conclude(sql: Sql, seq: int) -> None:
    """Ends a file's row once both the message and its file are settled; makes an update of what the proxy does not
    know.

    That it takes no files is no news to it: there is no update then, which it would take for a repeat.
    """
    row = sql.execute(_CONCLUDED, (seq,)).fetchone()
    if row is None:
        return
    url, failure, posted = row
    if posted is not None and failure != MediaError.NO_UPLOAD:
        try:
            content = _update(posted, url, failure)
        except Exception as error:  # noqa: BLE001 - of json or cattrs, which raises groups
            log.error("a message is not posted once more: the journal's row is spoiled", row=seq, reason=_name(error))
        else:
            sql.execute(_ADD_UPDATE, (UPDATE, content, time.time(), seq))
    sql.execute(_DELETE, (seq,))


def word(failure: str | None) -> str | None:
    """Returns what the proxy is told of why there is no file."""
    return MediaError.NO_UPLOAD.value if failure == _REFUSED else failure


def taken_back(sql: Sql, seq: int, message: InboundMessage) -> InboundMessage:
    """Returns a message that was posted without its file, as it is to be posted again.

    It says that an update follows only if one does.
    """
    sql.execute(_TAKEN_BACK, (seq,))
    (follows,) = sql.execute(_FOLLOWS, (seq, UPDATE, seq)).fetchone()
    if follows or message.media is None or message.media.error != MediaError.PENDING:
        return message
    return attrs.evolve(message, media=attrs.evolve(message.media, error=MediaError.NO_UPLOAD.value))


def _update(posted: str, url: str | None, failure: str | None) -> str:
    message = message_of(posted)
    if message.media is None:
        raise ValueError("a message without media")
    media = attrs.evolve(message.media, url=url, error=word(failure))
    return content_of(attrs.evolve(message, media=media, update=True))


def _name(error: Exception) -> str:
    return type(error).__name__


_KEYS = {
    step: f"SELECT message_seq FROM media WHERE step = '{step}' AND message_seq > ? /* owned message: message_seq */"
    " ORDER BY message_seq LIMIT ?"
    for step in (FileStep.WANTED, FileStep.STORED)
}

_GET = f"""
SELECT chat, instance, step, coalesce(posted, message), media.kind, direct_path, media_key, enc_sha256, sha256, size
FROM media JOIN inbox ON seq = message_seq JOIN chats ON chats.id = chat
WHERE message_seq = ? AND step <> '{FileStep.SETTLED}' /* owned: instance */"""

_ADD = """
INSERT INTO media (message_seq, kind, direct_path, media_key, enc_sha256, sha256, size) VALUES (?, ?, ?, ?, ?, ?, ?)"""

_STEP = f"UPDATE media SET step = ? WHERE message_seq = ? AND step <> '{FileStep.SETTLED}'"

_SETTLE = f"""
UPDATE media SET step = '{FileStep.SETTLED}', url = ?, failure = ?
WHERE message_seq = ? AND step <> '{FileStep.SETTLED}'"""

_UNSETTLED = f"""
SELECT message_seq, chat FROM media JOIN inbox ON seq = message_seq
WHERE step <> '{FileStep.SETTLED}' /* owned chats: chat */"""

_OLD = f"""
SELECT message_seq FROM media JOIN inbox ON seq = message_seq
WHERE step <> '{FileStep.SETTLED}' AND received_at < ? /* owned chats: chat */ LIMIT ?"""

_TAKEN_BACK = "UPDATE media SET posted = NULL WHERE message_seq = ?"

_FOLLOWS = """
SELECT EXISTS (SELECT 1 FROM media WHERE message_seq = ?)
  OR EXISTS (SELECT 1 FROM inbox AS u JOIN inbox AS m ON m.chat = u.chat AND m.wa_id = u.wa_id
             WHERE u.kind = ? AND m.seq = ?)"""

_POSTED = """
UPDATE media SET posted = coalesce((SELECT message FROM inbox WHERE seq = message_seq), posted) WHERE message_seq = ?"""

_CONCLUDED = f"""
SELECT url, failure, posted FROM media JOIN inbox ON seq = message_seq
WHERE message_seq = ? AND step = '{FileStep.SETTLED}' AND state = 'posted'"""

_ADD_UPDATE = """
INSERT INTO inbox (chat, kind, wa_id, message, received_at)
SELECT chat, ?, wa_id, ?, ? FROM inbox WHERE seq = ? ON CONFLICT DO NOTHING"""

_DELETE = "DELETE FROM media WHERE message_seq = ?"
