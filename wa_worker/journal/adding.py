"""Adds rows to the inbox, within the transaction of a caller. A message that is known already adds none.

Known is what has the same id in the same chat, under either address of a person, or what a worker itself has sent.
"""

from __future__ import annotations

import enum
import time

import attrs

from wa_worker.journal import media
from wa_worker.journal.content import content_of
from wa_worker.journal.database import Sql
from wa_worker.journal.states import PENDING, SendState
from wa_worker.messages import ChatType, InboundMessage
from wa_worker.models import InstanceId, Jid


class EventKind(enum.Enum):
    """Names the kinds of rows. Ids are told apart within a kind: of what can be seen once on the phone a note may come,
    and the picture itself under the same id."""

    MESSAGE = "message"
    REACTION = "reaction"
    EDIT = "edit"
    REVOKE = "revoke"
    VIEW_ONCE = "view_once"
    CALL = "call"
    RECEIPT = "receipt"
    GROUP_CHANGE = "group_change"
    UPDATE = media.UPDATE
    """A message once more, with what became of its file."""


_KINDS = {kind.value: kind for kind in EventKind}


@attrs.frozen
class SentByAccount:
    """Says of a message that the account itself sent what tells whether a worker sent it, and the LID of the person in
    its chat. `secret`: the one that the message carries (b'' for none)."""

    secret: bytes = attrs.field(repr=False)
    chat_lid: Jid | None = attrs.field(repr=False)


def add(
    sql: Sql,
    instance: InstanceId,
    message: InboundMessage,
    kind: EventKind | None = None,
    own: SentByAccount | None = None,
) -> int | None:
    """Adds a row. Returns its seq, None if the message is known. `kind` None: its type says it."""
    kind = kind or _KINDS.get(message.message_type, EventKind.MESSAGE)
    key: Jid | None = message.chat
    lid = message.sender_lid if own is None else own.chat_lid
    if message.chat_type is ChatType.DIRECT and lid not in (None, message.chat):
        known, waiting = _by_lid(sql, instance, message, lid, kind)
        if known:
            return None
        if waiting:  # this one stays behind what came before the number was known
            key = lid
    sql.execute(_ADD_CHAT, (instance, key))
    row = (instance, key, kind.value, message.wa_id, content_of(message), time.time())
    added = sql.execute(_ADD, row).fetchone()
    return None if added is None else int(added[0])


def is_of_a_worker(sql: Sql, message: InboundMessage, own: SentByAccount) -> bool:
    """Says whether a send of any instance has this id, may have it, or is under way with this secret: two instances may
    be devices of one account."""
    ids = (message.wa_id, message.wa_id, own.secret)
    return bool(sql.execute(_IS_OF_A_WORKER, ids).fetchone()[0])


def _by_lid(
    sql: Sql, instance: InstanceId, message: InboundMessage, lid: Jid | None, kind: EventKind
) -> tuple[bool, bool]:
    """Looks at both addresses of a person whose number is known.

    Returns whether the message is known under one of them, and whether others wait under their LID and none under
    their number.
    """
    known, waiting = False, set()
    both = (kind.value, message.wa_id, instance, message.chat, lid)
    for jid, has_it, has_pending in sql.execute(_LOOK_AT_BOTH, both):
        known |= bool(has_it)
        if has_pending:
            waiting.add(jid)
    return known, waiting == {lid}


_ADD_CHAT = "INSERT INTO chats (instance, jid) VALUES (?, ?) ON CONFLICT (instance, jid) DO NOTHING"

# that the chat is there no more is an error, and not a message that is known: another worker may tidy up at this moment
_ADD = """
INSERT INTO inbox (chat, kind, wa_id, message, received_at)
VALUES ((SELECT id FROM chats WHERE instance = ? AND jid = ?), ?, ?, ?, ?)
ON CONFLICT (chat, kind, wa_id) DO NOTHING RETURNING seq"""

_LOOK_AT_BOTH = f"""
SELECT jid, EXISTS (SELECT 1 FROM inbox WHERE chat = chats.id AND kind = ? AND wa_id = ?),
  EXISTS (SELECT 1 FROM inbox WHERE chat = chats.id AND {PENDING})
FROM chats WHERE instance = ? AND jid IN (?, ?)"""

_IS_OF_A_WORKER = f"""
SELECT EXISTS (SELECT 1 FROM ledger WHERE wa_id = ?)
  OR EXISTS (
    SELECT 1 FROM ledger INDEXED BY ledger_maybe_sent, json_each(maybe_ids) WHERE maybe_ids IS NOT NULL AND value = ?)
  OR EXISTS (SELECT 1 FROM ledger WHERE state = '{SendState.INTENT}' AND secret = ?)"""
