"""A message that the library has handed over, from its bytes to the journal: the one way in (P3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs
import structlog
from neonize.proto import Neonize_pb2 as pb
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from wa_worker.errors import JournalError
from wa_worker.journal import Inbox, PollNote, SentByAccount, TimerNote
from wa_worker.messages import ChatTimer, ChatType, Group, InboundMessage, MediaReference, PollVote
from wa_worker.metrics import Metrics, Received
from wa_worker.models import InstanceId, Jid
from wa_worker.whatsapp.events import CallNews
from wa_worker.whatsapp.group_changes import changes, joined, subject_of, timer_of
from wa_worker.whatsapp.group_subjects import GroupSubjects
from wa_worker.whatsapp.identity import Identity, bare
from wa_worker.whatsapp.incoming import call, inbound, view_once
from wa_worker.whatsapp.kinds.calls import heard
from wa_worker.whatsapp.media_reference import with_file
from wa_worker.whatsapp.parsing import parsed
from wa_worker.whatsapp.poll_votes import decrypted
from wa_worker.whatsapp.store import SessionStore
from wa_worker.whatsapp.timers import timer_note

log = structlog.get_logger(__name__)


@attrs.frozen
class Told:
    """Says who is told after a commit, each by a ring on the committing thread.

    message: of a new message. file: of one with a file that is to be had; None if files are not passed on. call: of a
    call whose outcome is not known.
    """

    message: Callable[[], None]
    file: Callable[[], None] | None = None
    call: Callable[[], None] = lambda: None


class Receiver:
    """Commits received messages. One per process; any thread."""

    def __init__(self, inbox: Inbox, metrics: Metrics, told: Told) -> None:
        self._inbox = inbox
        self._metrics = metrics
        self._told = told
        self.subjects = GroupSubjects(inbox.groups)
        """What groups are called."""

    def receive(self, instance: InstanceId, store: SessionStore, me: Identity, data: bytes) -> bool:
        """Commits the message of a serialised event, and what it says of its chat's timer. False if it is known
        already, one that nobody asked for, sent by a worker, or cannot be understood, which is logged and counted.

        Blocking. Raises JournalError when the disk does not take it: then WhatsApp believes that we have what we have
        not, and the caller tries again.
        """
        with self._understanding(instance):
            event = parsed(pb.Message, data)
            message, file = self._message(instance, event, store, me)
            note = self._timer_note(instance, store, me, event)
            if message is None:
                if note is not None:
                    self._inbox.timers.note(instance, note)
                return False
            own = _sent_by_account(message, event.Message, store)
            poll = _poll(message, event.Message)
            new = self._noted(self._inbox.record(instance, message, note=note, own=own, file=file, poll=poll), own)
            if new and file is not None and self._told.file is not None:
                self._told.file()
            return new
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
            self._told.call()
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
            self._told.message()
        return new

    def group_change(
        self, instance: InstanceId, store: SessionStore, me: Identity, event: pb.GroupInfoEvent | pb.JoinedGroup
    ) -> bool:
        """Commits what has changed in a group, in order with its messages. As receive(); not counted."""
        with self._understanding(instance):
            subject, timer = subject_of(event), None
            if isinstance(event, pb.JoinedGroup):
                changed = [joined(event, me, int(time.time()), store.phone_of)]
            else:
                timer = timer_of(event, me)
                known = self.subjects.get(instance, bare(event.JID)) if subject is None else None
                changed = changes(event, me, known, store.phone_of)
            if subject is not None:
                self.subjects.learn(instance, subject)
            if timer is not None:
                self._inbox.timers.note(instance, timer)
            new = [self._inbox.record(instance, each) for each in changed]
            if any(new):
                self._told.message()
            return any(new)
        return False

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
        address = bare(event.Info.MessageSource.Sender)
        if address != message.sender:
            message = attrs.evolve(message, sender_address=address)
        if message.poll_vote is not None:
            message = self._with_choice(instance, message, message.poll_vote, event, store, me)
        return with_file(message, event.Message, wanted=self._told.file is not None)

    def _with_choice(
        self,
        instance: InstanceId,
        message: InboundMessage,
        vote: PollVote,
        event: pb.Message,
        store: SessionStore,
        me: Identity,
    ) -> InboundMessage:
        """Adds to a vote what was chosen, where it can be decrypted and the poll's options are known."""
        source = event.Info.MessageSource
        voters = dict.fromkeys(filter(None, (bare(source.Sender), message.sender, message.sender_lid)))
        found = decrypted(event.Message.pollUpdateMessage.vote, vote.message_id, message.chat, voters, me, store)
        options = None if found is None else self._inbox.polls.options(instance, found.secret)
        if found is None or options is None:
            return message
        return attrs.evolve(message, poll_vote=attrs.evolve(vote, selected=found.of(options)))

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


def _poll(message: InboundMessage, content: Message) -> PollNote | None:
    secret = content.messageContextInfo.messageSecret
    return PollNote(secret, message.poll.options) if message.poll is not None and secret else None


def _sent_by_account(message: InboundMessage, content: Message | None, store: SessionStore) -> SentByAccount | None:
    if not message.from_me:
        return None
    secret = b"" if content is None else content.messageContextInfo.messageSecret
    chat_lid = None if message.chat_type is ChatType.GROUP else store.lid_of(message.chat)
    return SentByAccount(secret, chat_lid)
