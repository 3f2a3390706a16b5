"""A message that the library has handed over, from its bytes to the journal: the one way in (P3)."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from neonize.proto import Neonize_pb2 as pb

from wa_worker.journal import Inbox, TimerNote
from wa_worker.messages import ChatTimer, InboundMessage, MediaReference
from wa_worker.metrics import Metrics, Received
from wa_worker.models import InstanceId, Jid
from wa_worker.whatsapp.identity import Identity
from wa_worker.whatsapp.incoming import inbound
from wa_worker.whatsapp.media_reference import with_file
from wa_worker.whatsapp.parsing import parsed
from wa_worker.whatsapp.store import SessionStore
from wa_worker.whatsapp.timers import timer_note

log = structlog.get_logger(__name__)


class Receiver:
    """Commits received messages. One per process; any thread.

    recorded(): called after each commit of a new message. with_file(): also, of one with a file that is to be had; None
    if files are not passed on.
    """

    def __init__(
        self,
        inbox: Inbox,
        metrics: Metrics,
        recorded: Callable[[], None],
        with_file: Callable[[], None] | None = None,
    ) -> None:
        self._inbox = inbox
        self._metrics = metrics
        self._recorded = recorded
        self._with_file = with_file

    def receive(self, instance: InstanceId, store: SessionStore, me: Identity, data: bytes) -> bool:
        """Commits the message of a serialised event, and what it says of its chat's timer. False if it is known
        already, one that nobody asked for, or cannot be understood, which is logged and counted.

        Blocking. Raises JournalError when the disk does not take it: then WhatsApp believes that we have what we have
        not, and the caller tries again.
        """
        try:
            event = parsed(pb.Message, data)
            message, file = self._message(event, store, me)
        except Exception:  # whatever is in it, it ends neither a session nor a pairing
            log.exception("a message was not understood", instance=instance)
            self._metrics.received(Received.NOT_UNDERSTOOD)
            return False
        note = self._timer_note(instance, store, me, event)
        if message is None:
            if note is not None:
                self._inbox.timers.note(instance, note)
            return False
        new = self._inbox.record(instance, message, note=note, file=file)
        self._metrics.received(Received.NEW if new else Received.REPEATED)
        if new:
            self._recorded()
        if new and file is not None and self._with_file is not None:
            self._with_file()
        return new

    def _message(
        self, event: pb.Message, store: SessionStore, me: Identity
    ) -> tuple[InboundMessage | None, MediaReference | None]:
        message = inbound(event, me, store.phone_of, store.lid_of)
        if message is None:
            return None, None
        return with_file(message, event.Message, wanted=self._with_file is not None)

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
