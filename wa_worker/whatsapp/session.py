"""A paired instance's session: the bridge between neonize's threads and Trio.

Thread to Trio goes one way: commit to the journal (messages) or append to a small deque (reports), then ring. Trio to
native goes through the start gate. The native thread, its start and its end are native_session.py's.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import structlog
from neonize.proto import Neonize_pb2 as pb

from wa_worker.errors import JournalError
from wa_worker.journal import JOURNAL_RETRY
from wa_worker.messages import Accepted, MediaKind, OutgoingMessage, UploadedFile
from wa_worker.models import InstanceId, Jid, Secret, WaMessageId
from wa_worker.states import Event, Report
from wa_worker.wakeup import Wakeup
from wa_worker.whatsapp import events
from wa_worker.whatsapp.client import ME, Callbacks, QuietClient
from wa_worker.whatsapp.group_subjects import SubjectLookUp
from wa_worker.whatsapp.identity import Identity, identity
from wa_worker.whatsapp.loop_end import GROUPS, RECEIPT, Refusal, loop_ended, refusal
from wa_worker.whatsapp.native_session import NativeSession
from wa_worker.whatsapp.parsing import parsed
from wa_worker.whatsapp.placeholders import Placeholders
from wa_worker.whatsapp.registration import KnownAccounts
from wa_worker.whatsapp.restriction import Restriction
from wa_worker.whatsapp.send_tracking import SendTracking
from wa_worker.whatsapp.session_host import NO_GROUPS, NO_RECEIPTS, SessionHost
from wa_worker.whatsapp.session_sender import SessionSender
from wa_worker.whatsapp.spool import Kept, Spooled
from wa_worker.whatsapp.store import SessionStore
from wa_worker.whatsapp.store_watch import StoreWatch
from wa_worker.whatsapp.taking import Taking

log = structlog.get_logger(__name__)

UNSYNCED = 30.0
"""Seconds after which what waited at WhatsApp counts as sent, though WhatsApp has not said so."""

_numbers = itertools.count(1)


class Session:
    """Bridges an open session to Trio. Made by `open_session()`."""

    def __init__(
        self,
        instance: InstanceId,
        store: SessionStore,
        host: SessionHost,
        on_new_message: Callable[[], None],
        proxy: Secret | None = None,
    ) -> None:
        self.instance = instance
        self.me: Identity | None = None
        self.offline_synced = False
        """Whether WhatsApp has said that what waited for us is all sent; a session that never hears it is deaf."""
        self.last_heard = time.monotonic()
        client = QuietClient(
            store.dsn,
            f"{instance}/{next(_numbers)}",
            host.device_name,
            host.gate,
            recent_history=host.recent_history,
            proxy=proxy,
        )
        self._native = NativeSession(instance, client, host.gate, host.threads, host.codes(instance), host.goes_on)
        self._host = host
        self._uploads = host.uploads
        self._store = store
        self._receiver = host.receiver
        self._tracking = SendTracking(instance, store, host.uncertain)
        known = KnownAccounts(host.accounts)
        self._sender = SessionSender(self._native, host.gate, store, host.receiver, known, self._tracking)
        self._restriction = Restriction(self.on_report)
        self._look_up = SubjectLookUp(self._native, host.receiver.subjects)
        self._placeholders = Placeholders()
        self._store_watch = StoreWatch(store, client.cut, self.on_report)
        self._on_new_message = on_new_message
        self._log = log.bind(instance=instance)
        self._reports: deque[Report] = deque(maxlen=64)  # they come one at a time; 64 at once is a storm
        self._reported = Wakeup()
        self._up_since = math.inf
        self._in_hand = False
        """Whether something is on its way to the disk. Behind it the library may hold messages that WhatsApp takes for
        delivered."""
        self._event: tuple[int, bytes] = (0, b"")
        """What the library has handed over last."""
        self._refusal: Refusal | None = None
        """The last one that the library has logged."""

    async def next_report(self) -> Report:
        """Returns the next lifecycle event, in the order they came. Cancelling loses none."""
        while True:
            self._reported.arm()
            if self._reports:
                return self._reports.popleft()
            await self._reported.wait()

    @property
    def store_mark(self) -> str | None:
        """The mark of the session store through which it sends, None where the store would be no witness. Blocking, the
        first time: for the thread that sends."""
        return self._tracking.mark

    @property
    def steady(self) -> float:
        """For how many seconds the line has been up, and what waited at WhatsApp has been here; 0 or less before."""
        return time.monotonic() - self._up_since

    def send(self, message: OutgoingMessage) -> Accepted:
        """Sends a message. Blocks the calling thread, up to ~75 s; never the Trio thread.

        Raises SendRefused, SendDelayed, SessionNotOpen or SendUncertain.
        """
        with self._restriction.watching(message.to):
            return self._sender.send(message, self.me)

    def mark_read(self, chat: Jid, sender: Jid, wa_ids: Sequence[WaMessageId]) -> None:
        """See SessionSender.mark_read()."""
        self._sender.mark_read(chat, sender, wa_ids)

    def show_typing(self, to: Jid, *, recording: bool = False, over: bool = False) -> None:
        """Shows in a chat that somebody writes or records, or that this is over; never fails. Blocks, at the gate."""
        self._sender.show_typing(to, recording=recording, over=over)

    async def upload(self, kind: MediaKind, file: Path) -> UploadedFile:
        """Gives a file to WhatsApp, in whose messages it can be named then. Raises SendDelayed, WorkerTrouble or
        SessionNotOpen."""
        return await self._uploads.upload(self._native, kind, file)

    def give_up(self, report: Report) -> None:
        """Adds a report of our own to the library's, for what ends a session from outside. Trio thread only."""
        self.on_report(report)

    async def _start(self, obstacle: Callable[[], str | None]) -> None:
        await self._native.start(
            Callbacks(self._on_event, self._on_log),
            self._on_loop_end,
            obstacle,
        )
        self._look_up.start(self._host.threads)

    def _on_loop_end(self, error: str) -> None:
        """The library's loop has ended though nobody stopped it. On the session's thread."""
        if RECEIPT in error:
            self._host.no_receipts_until[self.instance] = time.monotonic() + NO_RECEIPTS
            self._log.warning("no receipts are asked for: one ended the library's loop", seconds=NO_RECEIPTS)
        if GROUPS.search(error):
            self._host.no_groups_until[self.instance] = time.monotonic() + NO_GROUPS
            self._log.warning("no changes of groups are asked for: one ended the library's loop", seconds=NO_GROUPS)
        self.on_report(loop_ended(error, self._refusal, logged_in=self.me is not None))

    async def _close(self) -> None:
        self._look_up.stop()
        try:
            await self._native.close()
        finally:
            if self._in_hand and not await self._host.keep(self._spooled()):
                self._log.error("a received message may be lost: the disk did not take it in time")

    # --- neonize's threads: nothing below may raise, or touch Trio but by ringing

    def _on_log(self, level: str, part: str, message: str) -> None:
        # its errors are mostly cut connections, which our own lines speak of when they matter
        method = self._log.warning if level == "ERROR" and "Socket" not in part else self._log.info
        method("whatsmeow", part=part, reason=message)
        self._refusal = refusal(message) or self._refusal
        self._tracking.on_log(message)
        self._placeholders.on_log(message)
        self._store_watch.on_log(message)
        self._native.unfinished.on_log(message)

    def _on_event(self, code: int, data: bytes) -> None:
        with self._native.callback():
            self.last_heard = time.monotonic()
            self._native.unfinished.on_event(data)
            self._event = code, data
            try:
                if code == ME:
                    self.me = identity(parsed(pb.Device, data))
                    self._native.alive.ring()
                else:
                    events.dispatch(self, code, data)
            except Exception:  # noqa: BLE001 - what leaves a callback is printed and lost
                self._log.exception("an event of the library was not understood", code=code)

    # what events.dispatch() calls

    def on_report(self, report: Report) -> None:
        """Something happened to the session: it waits for `next_report()`."""
        if report.event is Event.DISCONNECTED:
            self.offline_synced = False
            self._up_since = math.inf
        elif report.event is Event.CONNECTED:
            self._up_since = time.monotonic() + (0.0 if self.offline_synced else UNSYNCED)
        self._reports.append(report)
        self._reported.ring()

    def on_offline_synced(self) -> None:
        """What waited at WhatsApp has all been sent."""
        self.offline_synced = True
        self._up_since = min(self._up_since, time.monotonic())

    def on_receipt(self, event: pb.Receipt) -> None:
        """Messages of ours have come further. Does not return before that is committed: WhatsApp says it once."""
        self._tracking.on_receipt(event.MessageIDs, unreadable=event.Type == pb.Receipt.RETRY)
        if self._host.receipts is not None:
            self._commit(lambda taking: taking.on_receipt(event))

    def on_undecryptable(self, data: bytes) -> None:
        """A message came that could not be decrypted, or without its content. What can be seen once stays so."""
        event = parsed(pb.UndecryptableMessage, data)
        if event.IsUnavailable and self._placeholders.is_view_once(event.Info.ID):
            self._commit(lambda taking: taking.on_undecryptable(data))
            return
        self._receiver.undecryptable()
        self._log.warning("a message could not be decrypted; WhatsApp is asked for it again")

    def on_call(self, news: events.CallNews) -> None:
        """Commits what is heard of a call."""
        self._commit(lambda taking: taking.on_call(news))

    def on_message(self, data: bytes) -> None:
        """Commits a message."""
        self._commit(lambda taking: taking.on_message(data))

    def on_group_change(self, event: pb.GroupInfoEvent | pb.JoinedGroup) -> None:
        """Commits what has changed in a group."""
        self._commit(lambda taking: taking.on_group_change(event))

    def _commit(self, take: Callable[[Taking], bool]) -> None:
        """Commits what came. WhatsApp believes that we have it, so this does not return before it is on a disk: the
        journal's or, where that is elsewhere and does not take it now, the spool's."""
        if self.me is None:
            raise AssertionError("a message before the session knows itself")
        taking = Taking(self.instance, self._store, self.me, self._receiver, self._host.receipts)
        failing, self._in_hand = False, True
        try:
            while True:
                try:
                    new = self._host.take(self._spooled(), partial(take, taking))
                    break
                except Kept as kept:
                    self.on_report(Report(Event.VOLUME_FAILED, str(kept)))
                    return
                except JournalError as error:
                    if not failing:
                        failing = True
                        self.on_report(Report(Event.VOLUME_FAILED, str(error)))
                    time.sleep(JOURNAL_RETRY)
        finally:
            self._in_hand = False
        if new:
            self._on_new_message()

    def _spooled(self) -> Spooled:
        assert self.me is not None
        return Spooled(self.instance, self.me.jid, self.me.lid, *self._event)


@asynccontextmanager
async def open_session(
    instance: InstanceId,
    store: SessionStore,
    host: SessionHost,
    *,
    on_message: Callable[[], None],
    obstacle: Callable[[], str | None],
    proxy: Secret | None = None,
) -> AsyncIterator[Session]:
    """Opens the session of a paired store and closes it at the end, whatever happens. Raises SessionError with what
    `obstacle` says when its turn has come, None for nothing. `proxy`: the URL of the one
    that it is given.

    `on_message` is called on a native thread after each new message's commit. Cancelling while it opens or closes is
    bounded by native_session.HASTE.
    """
    session = Session(instance, store, host, on_message, proxy)
    try:
        await session._start(obstacle)
        yield session
    finally:
        await session._close()
