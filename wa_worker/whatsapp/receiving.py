"""A message that the library has handed over, from its bytes to the journal: the one way in (P3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from neonize.proto import Neonize_pb2 as pb
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from wa_worker.errors import JournalError
from wa_worker.journal import Inbox, SentByAccount, TimerNote
from wa_worker.messages import ChatTimer, ChatType, InboundMessage
from wa_worker.metrics import Metrics, Received
from wa_worker.models import InstanceId, Jid
from wa_worker.whatsapp.events import CallNews
from wa_worker.whatsapp.identity import Identity
from wa_worker.whatsapp.incoming import call, inbound, view_once
from wa_worker.whatsapp.kinds.calls import heard
from wa_worker.whatsapp.parsing import parsed
from wa_worker.whatsapp.store import SessionStore
from wa_worker.whatsapp.timers import timer_note

log = structlog.get_logger(__name__)


class Receiver:
    """Commits received messages. One per process; any thread.

    recorded(): called after each commit of a new message. ringing(): after that of a call whose outcome is not known.
    """

    def __init__(
        self,
        inbox: Inbox,
        metrics: Metrics,
        recorded: Callable[[], None],
        ringing: Callable[[], None] = lambda: None,
    ) -> None:
        self._inbox = inbox
        self._metrics = metrics
        self._recorded = recorded
        self._ringing = ringing

    def receive(self, instance: InstanceId, store: SessionStore, me: Identity, data: bytes) -> bool:
        """Commits the message of a serialised event, and what it says of its chat's timer. False if it is known
        already, one that nobody asked for, sent by a worker, or cannot be understood, which is logged and counted.

        Blocking. Raises JournalError when the disk does not take it: then WhatsApp believes that we have what we have
        not, and the caller tries again.
        """
        with self._understanding(instance):
            event = parsed(pb.Message, data)
            message = inbound(event, me, store.phone_of, store.lid_of)
            note = self._timer_note(instance, store, me, event)
            if message is None:
                if note is not None:
                    self._inbox.timers.note(instance, note)
                return False
            own = _sent_by_account(message, event.Message, store)
            return self._noted(self._inbox.record(instance, message, note=note, own=own), own)
        return False

    def view_once(self, instance: InstanceId, store: SessionStore, me: Identity, info: pb.MessageInfo) -> bool:
        """Commits the note that something can be seen once, on the phone. As receive()."""
        with self._understanding(instance):
            message = view_once(info, me, store.phone_of, store.lid_of)
            if message is not None:
                own = _sent_by_account(message, None, store)
                return self._noted(self._inbox.record(instance, message, own=own), own)
        return False

    def call(self, instance: InstanceId, store: SessionStore, me: Identity, news: CallNews) -> bool:
        """Commits what is heard of a call: one message, once it is known what became of it. As receive()."""
        with self._understanding(instance):
            message = call(news.basicCallMeta, news.data, heard(news), me, store.phone_of, store.lid_of)
            if message is None or message.call is None:
                return False
            if message.call.outcome is not None:
                return self._noted(self._inbox.calls.end(instance, message))
            self._inbox.calls.ring(instance, message)
            self._ringing()
        return False

    @contextmanager
    def _understanding(self, instance: InstanceId) -> Iterator[None]:
        """Ends the block at what cannot be understood: whatever is in it, it ends neither a session nor a pairing."""
        try:
            yield
        except JournalError:
            raise
        except Exception:
            log.exception("a message was not understood", instance=instance)
            self._metrics.received(Received.NOT_UNDERSTOOD)

    def _noted(self, new: bool, own: SentByAccount | None = None) -> bool:
        if new or own is None:
            self._metrics.received(Received.NEW if new else Received.REPEATED)
        if new:
            self._recorded()
        return new

    def timer(self, instance: InstanceId, me: Identity, chat: Jid) -> ChatTimer | None:
        """Returns the timer of a chat, as far as received messages told of one. Blocking. Raises JournalError."""
        return self._inbox.timers.get(instance, me.jid, chat)

    def _timer_note(
        self, instance: InstanceId, store: SessionStore, me: Identity, event: pb.Message
    ) -> TimerNote | None:
        try:
            return timer_note(event, me, store.phone_of, store.lid_of)
        except Exception:  # it must not cost the message
            log.exception("what a message says of its chat's timer was not understood", instance=instance)
            return None

    def undecryptable(self) -> None:
        """Counts a message that the library could not decrypt: WhatsApp is asked for it again."""
        self._metrics.received(Received.UNDECRYPTABLE)


def _sent_by_account(message: InboundMessage, content: Message | None, store: SessionStore) -> SentByAccount | None:
    if not message.from_me:
        return None
    secret = b"" if content is None else content.messageContextInfo.messageSecret
    chat_lid = None if message.chat_type is ChatType.GROUP else store.lid_of(message.chat)
    return SentByAccount(secret, chat_lid)
