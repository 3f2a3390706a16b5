"""What a session can find out of a send whose outcome it does not know: whether it left, under which id, and whether
somebody has got it.

A receipt may come while the send is under way still: before a cut, or between it and whatsmeow's own second try. Its id
is known only afterwards. So the ids of all receipts are remembered from the beginning of a send to its end.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Protocol

import structlog

from wa_worker.errors import JournalError, SendDelayed, SendUncertain, SessionError
from wa_worker.messages import Accepted
from wa_worker.models import InstanceId, WaMessageId
from wa_worker.whatsapp.message_secrets import NOT_STORED, sent_id, store_mark
from wa_worker.whatsapp.send_errors import NOT_CONNECTED_PAUSE
from wa_worker.whatsapp.store import SessionStore

log = structlog.get_logger(__name__)

RECEIPTS_KEPT = 2000
"""Ids of receipts kept while a send is under way: more than come in the 75 s that it may take."""

_UNENCRYPTED = re.compile(r"Failed to encrypt (\S+) for (\d+)@")
"""What whatsmeow logs of a device that it leaves out since it could not fetch its keys (`encryptMessageForDevices` in
its send.go). It sends the message without that device all the same, and the send succeeds. The pattern is that of a
phone: the address of a linked device has a `:number` before the `@`."""


class UncertainSends(Protocol):
    """Who waits for receipts: delivery/uncertain.py. Called on the library's and the batches' threads."""

    def expect(self, instance: InstanceId, wa_id: WaMessageId) -> None:
        """A receipt for this id proves something: `heard()` has to look for it from now on."""

    def heard(self, instance: InstanceId, wa_ids: Iterable[str]) -> None:
        """These messages have arrived."""

    def distrust(self, instance: InstanceId) -> None:
        """The session store could not be written: that it does not know the send under way proves nothing. Raises
        JournalError."""


class SendTracking:
    """Follows the sends of one session, which come one after another."""

    def __init__(self, instance: InstanceId, store: SessionStore, uncertain: UncertainSends) -> None:
        self._instance = instance
        self._store = store
        self._uncertain = uncertain
        self._log = log.bind(instance=instance)
        self._stored = True
        self._meanwhile: deque[str] | None = None
        """Ids of receipts since the send under way began."""
        self._own: set[str] = set()
        """Ids of this session's uncertain sends: whatsmeow can still encrypt them anew."""
        self._left_out: deque[tuple[str, str]] = deque(maxlen=100)
        """Of messages under way, the id and the number or LID of a phone that gets no copy."""

    @property
    def mark(self) -> str | None:
        """The mark of the session store; None if what is not in it proves nothing. Blocking, the first time."""
        return self._mark if self._stored else None

    @cached_property
    def _mark(self) -> str | None:
        return store_mark(self._store)

    def begin(self) -> None:
        """A send begins."""
        self._meanwhile = deque(maxlen=RECEIPTS_KEPT)

    def reached(self, wa_id: WaMessageId, own: Iterable[str]) -> bool:
        """Says whether a message that WhatsApp has taken has a copy for the receiver's phone.

        own: the account's own number and LID; its own phone may lack a copy.
        """
        return not any(left_out == wa_id and user not in own for left_out, user in self._left_out)

    def end(self) -> None:
        """It is over, whatever became of it."""
        self._meanwhile = None

    def find_out(self, failure: SendUncertain, secret: bytes) -> Accepted:
        """Looks up what became of the send under way, which has failed. Blocking.

        Returns what a receipt has proved already. Raises SendDelayed if it never left, else SendUncertain.
        """
        try:
            wa_id = sent_id(self._store, secret, self.mark)
        except SessionError as error:
            self._log.warning("the session store does not tell whether a message left", reason=str(error))
            raise failure from error
        if wa_id is None:
            raise SendDelayed(f"it never left: {failure}", pause=NOT_CONNECTED_PAUSE) from failure
        self._own.add(wa_id)
        self._uncertain.expect(self._instance, wa_id)  # before the look back: no receipt falls in between
        if self._meanwhile is not None and wa_id in self._meanwhile:
            self._log.info("a receipt came before the answer to a send was lost")
            return Accepted(wa_id, int(time.time()))
        raise SendUncertain(str(failure), wa_id) from failure

    # --- the library's threads

    def on_receipt(self, wa_ids: Sequence[str], *, unreadable: bool) -> None:
        """Remembers a receipt while a send is under way, and passes it on.

        One that asks for a message once more proves that it left, too, and whatsmeow encrypts it anew: as long as the
        session lasts in which it was sent. After that it has forgotten it, nobody would ever read that message, and the
        receipt proves nothing worth knowing.
        """
        meanwhile = self._meanwhile
        if meanwhile is not None:
            meanwhile.extend(wa_ids)
        if unreadable:
            wa_ids = [wa_id for wa_id in wa_ids if wa_id in self._own]
        self._uncertain.heard(self._instance, wa_ids)

    def on_log(self, message: str) -> None:
        """Notes when whatsmeow cannot write an id down, or leaves a phone out. It says so before the message leaves."""
        if left_out := _UNENCRYPTED.search(message):
            self._left_out.append((left_out[1], left_out[2]))
        if NOT_STORED not in message:
            return
        self._stored = False
        try:
            self._uncertain.distrust(self._instance)
        except JournalError as error:
            self._log.error("the journal cannot commit", reason=str(error))
