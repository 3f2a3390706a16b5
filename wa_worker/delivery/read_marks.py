"""Marks messages as read at WhatsApp once the proxy has taken them, where that is wanted (SEND_READ_RECEIPTS).

A nicety: kept in memory only, never waited for, and dropped where it fails. What is taken while no session is open is
marked when one is, the latest messages of each instance at the most.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from operator import attrgetter
from typing import Protocol

import attrs
import structlog
import trio

from wa_worker.errors import SessionError
from wa_worker.journal import PendingInbound
from wa_worker.messages import ChatType
from wa_worker.models import InstanceId, Jid, WaMessageId
from wa_worker.wakeup import Wakeup

log = structlog.get_logger(__name__)

KEPT = 1000
"""Messages of an instance that wait to be marked, at the most: of more, the oldest stay unread."""

TOGETHER = 50
"""Messages in one call: each of its ids is some 30 bytes of a stanza."""

APART = 0.5
"""Seconds between two looks for what is to be marked, so that those of a chat that come together are one call."""

UNMARKED = frozenset({"call"})
"""Types of what has no message at WhatsApp that could be read."""


class Marker(Protocol):
    """Says what marks: a session."""

    def mark_read(self, chat: Jid, sender: Jid, wa_ids: Sequence[WaMessageId]) -> None:
        """Blocks the calling thread. Raises SessionError."""


@attrs.frozen
class _Unread:
    chat: Jid
    sender: Jid
    wa_id: WaMessageId


@attrs.define(eq=False)
class _Instance:
    unread: deque[_Unread] = attrs.field(factory=lambda: deque(maxlen=KEPT))
    bell: Wakeup = attrs.field(factory=Wakeup)


class ReadMarks:
    """One per process. Trio thread only. `run()` once for each open session. Not `wanted`: it does nothing."""

    def __init__(self, *, wanted: bool) -> None:
        self.wanted = wanted
        self._instances: dict[InstanceId, _Instance] = {}

    def accepted(self, rows: Iterable[PendingInbound]) -> None:
        """The proxy has taken these messages."""
        for row in rows if self.wanted else ():
            message = row.message
            if message.from_me or message.message_type in UNMARKED:
                continue
            sender = message.sender_address or message.sender
            chat = message.chat if message.chat_type is ChatType.GROUP else sender
            at = self._of(row.instance)
            at.unread.append(_Unread(chat, sender, message.wa_id))
            at.bell.ring()

    async def run(self, instance: InstanceId, session: Marker, connected: Callable[[], Awaitable[None]]) -> None:
        """Marks until cancelled; `connected()` returns once the instance is. A call under way then is left to its
        thread."""
        at, limiter = self._of(instance), trio.CapacityLimiter(1)
        while True:
            at.bell.arm()
            if not at.unread:
                await at.bell.wait()
            await trio.sleep(APART)
            await connected()
            unread = sorted(at.unread, key=attrgetter("chat", "sender"))  # and within a chat as they came
            at.unread.clear()
            for (chat, sender), group in itertools.groupby(unread, key=attrgetter("chat", "sender")):
                wa_ids = [each.wa_id for each in group]
                for start in range(0, len(wa_ids), TOGETHER):
                    try:
                        await trio.to_thread.run_sync(
                            session.mark_read,
                            chat,
                            sender,
                            wa_ids[start : start + TOGETHER],
                            limiter=limiter,
                            abandon_on_cancel=True,
                        )
                    except SessionError as error:
                        log.info("messages were not marked as read", instance=instance, reason=str(error))

    def _of(self, instance: InstanceId) -> _Instance:
        return self._instances.setdefault(instance, _Instance())
