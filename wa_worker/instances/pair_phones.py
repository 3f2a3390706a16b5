"""Numbers by which instances are to be paired with a code, as the proxy lists them, and when each may be asked for.

WhatsApp notes who asks for codes too often: one code a socket and a minute for each number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
import trio

from wa_worker import jid
from wa_worker.edge.wire import InstanceRows
from wa_worker.errors import RowError
from wa_worker.instances.state import InstanceState
from wa_worker.models import InstanceId, NoCode, PairingCode
from wa_worker.whatsapp.pairing_events import NoPhoneCode, PhoneCode

log = structlog.get_logger(__name__)

APART = 60.0
"""Seconds between two codes for the same number."""


class PairPhones:
    """One per process. Trio thread only."""

    def __init__(self) -> None:
        self._phones: dict[InstanceId, str] = {}
        self._watching: dict[InstanceId, Callable[[], None]] = {}
        self._asked: dict[str, float] = {}
        """When a code was last asked for, by number (`trio.current_time()`)."""

    def listed(self, rows: InstanceRows) -> None:
        """Takes what the proxy lists. Instances that it does not list keep their number."""
        for instance in rows.good:
            phone = rows.phones.get(instance)
            if phone == self._phones.get(instance):
                continue
            if phone is None:
                del self._phones[instance]
            else:
                self._phones[instance] = phone
            if changed := self._watching.get(instance):
                changed()

    def get(self, instance: InstanceId) -> str | None:
        """Returns the number as the proxy wrote it, None if there is none."""
        return self._phones.get(instance)

    @contextmanager
    def watch(self, instance: InstanceId, changed: Callable[[], None]) -> Iterator[None]:
        """Has `changed()` called when the number of an instance becomes another one."""
        self._watching[instance] = changed
        try:
            yield
        finally:
            del self._watching[instance]

    def due(self, number: str) -> float:
        """Returns when a code may be asked for (`trio.current_time()`)."""
        return self._asked.get(number, -math.inf) + APART

    def asked(self, number: str) -> None:
        """A code is asked for."""
        now = trio.current_time()
        self._asked = {known: at for known, at in self._asked.items() if now - at < APART}
        self._asked[number] = now


class RoundOfCodes:
    """The codes of one round of pairing, which is one socket: `ask_at` says when `number` is to be asked for."""

    def __init__(self, phones: PairPhones, state: InstanceState, region: str) -> None:
        self._phones = phones
        self._state = state
        self._region = region
        self._shown = False
        self._written: str | None = None
        self.number: str | None = None
        self.ask_at = math.inf
        self.phone_changed()

    def qr_shown(self) -> None:
        """The socket shows QR codes: before the first one, no code can be asked for."""
        if not self._shown:
            self._shown = True
            self._schedule()

    def phone_changed(self) -> None:
        """The proxy lists another number than before, or none."""
        written = self._phones.get(self._state.instance)
        if written == self._written:
            return
        self._written = written
        self.number = None if written is None else _digits(written, self._region)
        if written is None:
            self._state.show_code(None)
        elif self.number is None:
            log.warning("pair_phone is no phone number: the QR code stays", instance=self._state.instance)
            self._state.show_code(PairingCode(fault=NoCode.BAD_NUMBER))
        else:
            self._state.show_code(PairingCode())
        self._schedule()

    def take(self) -> str | None:
        """Returns the number to ask for, if it is time: once for each socket and number."""
        number = self.number
        self.ask_at = math.inf
        if number is not None:
            self._phones.asked(number)
        return number

    def answered(self, answer: PhoneCode | NoPhoneCode) -> None:
        """Shows a code, or that there is none."""
        if self.number is None:
            return
        if isinstance(answer, PhoneCode):
            self._state.show_code(PairingCode(answer.code, answer.expires_at))
            log.info("a pairing code is shown", instance=self._state.instance)
            return
        log.warning(
            "WhatsApp gives no pairing code: the QR code stays", instance=self._state.instance, reason=answer.reason
        )
        self._state.show_code(PairingCode(fault=NoCode.REFUSED))

    def over(self) -> None:
        """The socket is gone, and its code with it."""
        if self._written is not None:
            self._state.show_code(PairingCode())

    def _schedule(self) -> None:
        if self.number is None or not self._shown:
            self.ask_at = math.inf
        else:
            self.ask_at = max(self._phones.due(self.number), trio.current_time())


def _digits(written: str, region: str) -> str | None:
    try:
        address = jid.destination(written, region)
    except RowError:
        return None
    return address.partition("@")[0] if jid.is_number(address) else None
