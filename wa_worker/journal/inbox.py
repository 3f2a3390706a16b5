"""Keeps what WhatsApp delivered until `/inbound` accepts it, in order within a chat (P3).

States: pending -> posted (a 2xx, or 409: it was there), or pending -> dead (refused for good). A posted row loses
its content and stays for a week, to recognise a second copy; its chat stays for as long as it has a row. A dead row
waits for a person, but not for ever (retention.py).
"""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable

import attrs
import structlog

from wa_worker.journal import media, polls
from wa_worker.journal.adding import EventKind, SentByAccount, add, is_of_a_worker
from wa_worker.journal.calls import RingingCalls
from wa_worker.journal.content import content_of, message_of
from wa_worker.journal.database import Database
from wa_worker.journal.groups import Groups
from wa_worker.journal.polls import PollNote, Polls
from wa_worker.journal.states import DECIDED, PENDING, SKIP_LOCKED, InboxState
from wa_worker.journal.timers import TimerNote, Timers
from wa_worker.journal.timers import write as write_timer
from wa_worker.messages import InboundMessage, MediaError, MediaReference
from wa_worker.models import InstanceId

log = structlog.get_logger(__name__)


class FileState(enum.Enum):
    """Says of a message with a file whether it is decided what becomes of that."""

    OPEN = "open"
    SETTLED = "settled"


@attrs.frozen
class PendingInbound:
    """A message that waits for `/inbound`. `chat` is its key: messages of one key are posted in the order of `seq`.

    `file` None: it has none that was to be had.
    """

    seq: int
    chat: int
    instance: InstanceId
    message: InboundMessage
    rejections: int
    received_at: float = 0.0
    """Unix seconds."""
    file: FileState | None = None


@attrs.frozen
class InboxResult:
    """Describes the result of a post. `error` None: it was accepted. Else it was refused, finally if `dead`."""

    seq: int
    error: str | None = None
    dead: bool = False
    file: FileState | None = None
    """That of the message as it was accepted."""


class Inbox:
    """Keeps the received messages. Any thread may call; every method raises JournalError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.timers = Timers(database)
        """What received messages told of their chats' timers."""
        self.groups = Groups(database)
        """What groups are called."""
        self.polls = Polls(database)
        """What could be chosen in polls."""
        self.calls = RingingCalls(database)
        """Calls that ring."""

    def record(
        self,
        instance: InstanceId,
        message: InboundMessage,
        *,
        kind: EventKind | None = None,
        note: TimerNote | None = None,
        own: SentByAccount | None = None,
        file: MediaReference | None = None,
        poll: PollNote | None = None,
    ) -> bool:
        """Commits a message, what it says of its chat's timer, where its file is, and the poll that it is.

        `kind` None: its type says it.

        False if it is already known in its kind, for WhatsApp redelivers what it is not sure of; or if the account sent
        it, and the ledger shows that a worker did.
        """
        with self._database.transaction() as sql:
            if note is not None:
                write_timer(sql, instance, note)
            if own is not None and is_of_a_worker(sql, message, own):
                return False
            seq = add(sql, instance, message, kind, own)
            if seq is not None and file is not None:
                media.add(sql, seq, file)
            if seq is not None and poll is not None:
                polls.write(sql, instance, poll)
            return seq is not None

    def keys(self, after: int, limit: int) -> list[int]:
        """Returns chats that have pending messages, with ids above `after`, ascending. One index probe for each."""
        with self._database.reading() as sql:
            return [row[0] for row in sql.execute(_FIND_KEYS, (after, limit))]

    def pending(self, chat: int, limit: int) -> list[PendingInbound]:
        """Returns the oldest pending messages of a key, in order.

        A row that cannot be read is set aside as dead, with its reason: another try would not change it.
        """
        with self._database.reading() as sql:
            rows = sql.execute(_FIND_PENDING, (chat, limit)).fetchall()
        messages: list[PendingInbound] = []
        spoiled: list[InboxResult] = []
        for seq, instance, content, rejections, received_at, *file in rows:
            try:
                message, state = _with_file(message_of(content), *file)
                messages.append(PendingInbound(seq, chat, instance, message, rejections, received_at, state))
            except Exception as error:  # noqa: BLE001 - of json or cattrs, which raises groups
                spoiled.append(InboxResult(seq, f"it cannot be read ({type(error).__name__})", dead=True))
                log.error("a message is set aside: the journal's row is spoiled", instance=instance, row=seq)
        if spoiled:
            self.settle(spoiled)
        return messages

    def next_seq(self) -> int:
        """The number that the next row will have, or a lower one that none has."""
        with self._database.reading() as sql:
            return int(sql.execute("SELECT coalesce(max(seq), 0) + 1 FROM inbox").fetchone()[0])

    def settle(self, results: Iterable[InboxResult]) -> None:
        """Records results, all in one commit. What a person has discarded meanwhile stays discarded."""
        now = time.time()
        with self._database.transaction() as sql:
            for result in results:
                if result.error is None:
                    if result.file is FileState.OPEN:
                        media.posted_without(sql, result.seq)
                    sql.execute(_ACCEPTED, (now, result.seq))
                    if result.file is not None:
                        media.conclude(sql, result.seq)
                else:
                    sql.execute(_REFUSED, (result.error, result.dead, result.dead, now, result.seq))

    def take_back(self, rows: Iterable[PendingInbound]) -> None:
        """Makes messages pending again that were recorded as posted, all in one commit."""
        with self._database.transaction() as sql:
            for row in rows:
                message = row.message if row.file is None else media.taken_back(sql, row.seq, row.message)
                sql.execute(_TAKE_BACK, (content_of(message), row.seq))

    def purge(self, older_than: float, limit: int = 5000) -> int:
        """Forgets up to `limit` rows that were posted more than `older_than` seconds ago. Returns how many."""
        with self._database.transaction() as sql:
            return sql.execute(_PURGE, (time.time() - older_than, limit)).rowcount

    def discard_dead(self, older_than: float, limit: int = 5000) -> int:
        """Discards up to `limit` messages that have been dead for `older_than` seconds, as a person would: the content
        goes, the row stays for as long as a posted one. Returns how many."""
        now = time.time()
        error = f"discarded: nobody decided within {older_than / 86_400:.0f} days"
        with self._database.transaction() as sql:
            return sql.execute(_DISCARD_DEAD, (error, now, now - older_than, limit)).rowcount

    def purge_chats(self, after: int, limit: int = 5000) -> int | None:
        """Forgets those of the next `limit` chats, with ids above `after`, of which no message is left.

        Returns the last id that was looked at, None if there was none.
        """
        with self._database.transaction() as sql:
            (last,) = sql.execute(_LAST_CHAT, (after, limit)).fetchone()
            if last is not None:
                sql.execute(_PURGE_CHATS, (after, last))
        return int(last) if last is not None else None


def _with_file(
    message: InboundMessage, step: str | None, url: str | None, failure: str | None
) -> tuple[InboundMessage, FileState | None]:
    """Returns the message as it is posted now, and whether that may change. `step` None: it has no file on its way."""
    if step is None or message.media is None:
        return message, None
    if step != media.FileStep.SETTLED:
        return attrs.evolve(message, media=attrs.evolve(message.media, error=MediaError.PENDING.value)), FileState.OPEN
    return attrs.evolve(
        message, media=attrs.evolve(message.media, url=url, error=media.word(failure))
    ), FileState.SETTLED


_FIND_KEYS = f"""
WITH RECURSIVE key (id) AS (
  SELECT min(chat) FROM inbox WHERE {PENDING} AND chat > ?
  UNION ALL
  SELECT (SELECT min(chat) FROM inbox WHERE {PENDING} AND chat > key.id) FROM key WHERE key.id IS NOT NULL)
SELECT id FROM key WHERE id IS NOT NULL /* owned chat: key.id */ LIMIT ?"""

_FIND_PENDING = f"""
SELECT seq, instance, message, rejections, received_at, step, url, failure
FROM inbox JOIN chats ON chats.id = chat LEFT JOIN media ON message_seq = seq
WHERE chat = ? AND {PENDING} /* owned: instance */ ORDER BY seq LIMIT ?"""

_ACCEPTED = f"""
UPDATE inbox SET state = '{InboxState.POSTED}', message = NULL, settled_at = ? WHERE seq = ? AND {PENDING}"""

_REFUSED = f"""
UPDATE inbox SET rejections = rejections + 1, error = ?,
  state = CASE WHEN ? = 1 THEN '{InboxState.DEAD}' ELSE state END,
  settled_at = CASE WHEN ? = 1 THEN ? ELSE settled_at END
WHERE seq = ? AND {PENDING}"""

_TAKE_BACK = f"""
UPDATE inbox SET state = '{InboxState.PENDING}', message = ?, settled_at = NULL
WHERE seq = ? AND state = '{InboxState.POSTED}'"""

_PURGE = f"""
DELETE FROM inbox WHERE seq IN (
  SELECT seq FROM inbox WHERE {DECIDED} AND settled_at < ? AND state = '{InboxState.POSTED}' LIMIT ? {SKIP_LOCKED})"""

_DISCARD_DEAD = f"""
UPDATE inbox SET state = '{InboxState.POSTED}', message = NULL, error = ?, settled_at = ? WHERE seq IN (
  SELECT seq FROM inbox WHERE {DECIDED} AND settled_at < ? AND state = '{InboxState.DEAD}' LIMIT ? {SKIP_LOCKED})"""

_LAST_CHAT = "SELECT max(id) FROM (SELECT id FROM chats WHERE id > ? ORDER BY id LIMIT ?) AS listed"

_PURGE_CHATS = """
DELETE FROM chats WHERE id > ? AND id <= ? AND NOT EXISTS (SELECT 1 FROM inbox WHERE chat = chats.id)"""
