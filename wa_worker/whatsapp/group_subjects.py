"""What groups are called: from memory, from the journal, and in the end from WhatsApp, which a message never waits for.

A group whose name is not known is asked for once it writes: on a thread of its own, one group after the other, some
time apart. The message goes out without the name, the next ones have it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import structlog
import trio
from neonize.exc import NeonizeError
from neonize.proto import Neonize_pb2 as pb

from wa_worker.errors import JournalError
from wa_worker.journal import Groups
from wa_worker.models import InstanceId, Jid
from wa_worker.wakeup import Wakeup
from wa_worker.whatsapp.group_changes import Subject, subject_of
from wa_worker.whatsapp.group_info import look_up
from wa_worker.whatsapp.native_session import NativeSession

log = structlog.get_logger(__name__)

MOST_KNOWN = 10_000
"""Names in memory: a kilobyte each at the very most."""

APART = 1.0
"""Seconds between two questions of a session: an account in hundreds of groups would ask for all of them at once."""

ASK_AGAIN = 600.0
"""Seconds after which a group that was asked for in vain is asked for again, if it writes."""

MOST_WAITING = 1000
"""Groups that wait for their turn; those beyond it wait for their next message."""


class GroupSubjects:
    """One per process. Any thread."""

    def __init__(self, groups: Groups, most_known: int = MOST_KNOWN) -> None:
        self._groups = groups
        self._most_known = most_known
        self._known: dict[tuple[InstanceId, Jid], str] = {}
        self.ask: dict[InstanceId, Callable[[Jid], None]] = {}
        """Who asks WhatsApp, by instance: its open session."""

    def get(self, instance: InstanceId, group: Jid) -> str | None:
        """Returns what a group is called. None: that is not known, and is asked for if a session is open. Blocking, the
        first time. Raises JournalError."""
        subject = self._known.get((instance, group))
        if subject is None:
            subject = self._groups.subject(instance, group)
            if subject is not None:
                self._remember(instance, group, subject)
            elif ask := self.ask.get(instance):
                ask(group)
        return subject

    def learn(self, instance: InstanceId, subject: Subject) -> None:
        """Notes what a group is called. Blocking. Raises JournalError."""
        self._groups.put(instance, subject.group, subject.text, subject.set_at)
        self._known.pop((instance, subject.group), None)  # what was put may be older than what is known

    def _remember(self, instance: InstanceId, group: Jid, subject: str) -> None:
        if len(self._known) >= self._most_known:
            self._known.clear()
        self._known[instance, group] = subject


class SubjectLookUp:
    """Asks WhatsApp for the groups of one session. `start()` and `stop()` are for the Trio thread."""

    def __init__(self, native: NativeSession, subjects: GroupSubjects, apart: float = APART) -> None:
        self._native = native
        self._subjects = subjects
        self._apart = apart
        self._lock = threading.Lock()
        self._waiting: deque[Jid] = deque()
        self._asked: dict[Jid, float] = {}
        """When each group was last asked for (`time.monotonic()`), or got in line."""
        self._news = Wakeup()
        self._scope = trio.CancelScope()
        self._log = log.bind(instance=native.instance)

    def start(self, threads: trio.Nursery) -> None:
        """Begins to ask. `threads` is a nursery that outlives the session."""
        self._subjects.ask[self._native.instance] = self.ask
        threads.start_soon(self._run)

    def stop(self) -> None:
        """Asks no more; a question under way is abandoned, and ends with the connection."""
        if self._subjects.ask.get(self._native.instance) == self.ask:
            del self._subjects.ask[self._native.instance]
        self._scope.cancel()

    def ask(self, group: Jid) -> None:
        """Puts a group in line, unless it was asked for lately. Any thread."""
        now = time.monotonic()
        with self._lock:
            if now - self._asked.get(group, -ASK_AGAIN) < ASK_AGAIN or len(self._waiting) >= MOST_WAITING:
                return
            self._asked[group] = now
            self._waiting.append(group)
        self._news.ring()

    async def _run(self) -> None:
        limiter = trio.CapacityLimiter(1)
        with self._scope:
            while True:
                self._news.arm()
                if not self._waiting:
                    await self._news.wait()
                    continue
                group = self._waiting.popleft()
                try:
                    info = await trio.to_thread.run_sync(
                        look_up, self._native, group, limiter=limiter, abandon_on_cancel=True
                    )
                    await self._learn(info)
                except (NeonizeError, JournalError) as error:
                    self._log.info("what a group is called could not be found out", reason=str(error))
                except Exception:  # noqa: BLE001 - it must end nothing but itself
                    self._log.exception("what a group is called could not be found out")
                await trio.sleep(self._apart)

    async def _learn(self, info: pb.GroupInfo | None) -> None:
        subject = None if info is None else subject_of(info)
        if subject is not None:
            await trio.to_thread.run_sync(self._subjects.learn, self._native.instance, subject)
