"""Who wrote the message that another is about: its key needs that, and a key that is wrong is a reaction that no phone
shows.

The row may say it. The ledger knows what this worker sent. Else whatsmeow's session store does: it writes down the
secrets of messages, its own and others', by chat and sender. In a direct chat, what nobody knows is the contact's.
"""

from __future__ import annotations

from neonize.proto.waCommon.WACommon_pb2 import MessageKey

from wa_worker.errors import Failure, SendDelayed, SendRefused, SessionError
from wa_worker.jid import is_group, is_lid
from wa_worker.messages import Deletion, NewText, OutgoingMessage, ReactionTo
from wa_worker.models import Jid
from wa_worker.whatsapp.identity import Identity
from wa_worker.whatsapp.message_secrets import senders
from wa_worker.whatsapp.send_errors import TROUBLE_PAUSE
from wa_worker.whatsapp.store import SessionStore


def target_key(message: OutgoingMessage, to: Jid, me: Identity, store: SessionStore) -> MessageKey | None:
    """Returns the key of the message that this one, on its way to `to`, is about or answers; None if there is none.

    Raises SendRefused: what is not ours cannot be edited, and in a group a reaction needs its message's author. Raises
    SendDelayed if that cannot be looked up now.
    Blocking.
    """
    target = message.target
    if target is None:
        return None
    author = message.author
    if author is None and not message.ours:
        author = _author(store, to, target.message_id)
    own = message.ours or _is_own(author, me)
    if author is None and not own and isinstance(message.content, NewText | Deletion):
        own = True  # nobody deletes or edits by the id of what another wrote, but an admin, who says whose it is
    if not own and (
        isinstance(message.content, NewText) or (isinstance(message.content, Deletion) and not is_group(to))
    ):
        raise SendRefused("the message that it is about is another's", Failure.NOT_OURS)
    key = MessageKey(remoteJID=to, fromMe=own, ID=target.message_id)
    quotes = not isinstance(message.content, ReactionTo | NewText | Deletion)
    if own:
        if quotes:
            key.participant = me.lid if is_lid(to) and me.lid else me.jid
    elif is_group(to):
        if author is not None:
            key.participant = author
        elif not quotes:
            raise SendRefused("nobody knows who wrote the message that it is about", Failure.UNKNOWN_AUTHOR)
    elif quotes:
        key.participant = author or to
    return key


def _is_own(author: Jid | None, me: Identity) -> bool:
    return author is not None and author in (me.jid, me.lid)


def _author(store: SessionStore, chat: Jid, wa_id: str) -> Jid | None:
    """Looks into the table of secrets. None: it does not know. Raises SendDelayed: it cannot be read, which says
    nothing of whose the message is."""
    try:
        written = senders(store, chat, wa_id)
    except SessionError as error:
        raise SendDelayed("whose the message is cannot be read now", pause=TROUBLE_PAUSE) from error
    return written[0][0] if written else None
