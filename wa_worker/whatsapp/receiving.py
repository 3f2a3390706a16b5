"""A message that the library has handed over, from its bytes to the journal: the one way in (P3)."""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs
import structlog
from neonize.proto import Neonize_pb2 as pb

from wa_worker.errors import JournalError
from wa_worker.journal import EventKind, Inbox, TimerNote
from wa_worker.messages import ChatTimer, ChatType, Group, InboundMessage, MediaReference
from wa_worker.metrics import Metrics, Received
from wa_worker.models import InstanceId, Jid
from wa_worker.whatsapp.group_changes import changes, joined, subject_of, timer_of
from wa_worker.whatsapp.group_subjects import GroupSubjects
from wa_worker.whatsapp.identity import Identity, bare
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
        self.subjects = GroupSubjects(inbox.groups)
        """What groups are called."""
        self._with_file = with_file

    def receive(self, instance: InstanceId, store: SessionStore, me: Identity, data: bytes) -> bool:
        """Commits the message of a serialised event, and what it says of its chat's timer. False if it is known
        already, one that nobody asked for, or cannot be understood, which is logged and counted.

        Blocking. Raises JournalError when the disk does not take it: then WhatsApp believes that we have what we have
        not, and the caller tries again.
        """
        try:
            event = parsed(pb.Message, data)
            message, file = self._message(instance, event, store, me)
        except JournalError:
            raise
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

    def group_change(
        self, instance: InstanceId, store: SessionStore, me: Identity, event: pb.GroupInfoEvent | pb.JoinedGroup
    ) -> bool:
        """Commits what has changed in a group, in order with its messages. As receive(); not counted."""
        try:
            subject, timer = subject_of(event), None
            if isinstance(event, pb.JoinedGroup):
                changed = [joined(event, me, int(time.time()), store.phone_of)]
            else:
                timer = timer_of(event, me)
                known = self.subjects.get(instance, bare(event.JID)) if subject is None else None
                changed = changes(event, me, known, store.phone_of)
        except JournalError:
            raise
        except Exception:  # as in receive()
            log.exception("a change of a group was not understood", instance=instance)
            return False
        if subject is not None:
            self.subjects.learn(instance, subject)
        if timer is not None:
            self._inbox.timers.note(instance, timer)
        new = [self._inbox.record(instance, each, kind=EventKind.GROUP_CHANGE) for each in changed]
        if any(new):
            self._recorded()
        return any(new)

    def _with_group(self, instance: InstanceId, message: InboundMessage | None) -> InboundMessage | None:
        """Adds to a message of a group what that is called, as far as is known."""
        if message is None or message.chat_type is not ChatType.GROUP:
            return message
        return attrs.evolve(message, group=Group(message.chat, self.subjects.get(instance, message.chat)))

    def _message(
        self, instance: InstanceId, event: pb.Message, store: SessionStore, me: Identity
    ) -> tuple[InboundMessage | None, MediaReference | None]:
        message = self._with_group(instance, inbound(event, me, store.phone_of, store.lid_of))
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
