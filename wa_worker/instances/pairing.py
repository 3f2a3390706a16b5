"""One round of pairing: QR codes until one is scanned, they run out, or WhatsApp says no."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import structlog
import trio

from wa_worker.edge.qr import png_data_url
from wa_worker.errors import SessionError
from wa_worker.instances.pair_phones import RoundOfCodes
from wa_worker.instances.services import Services
from wa_worker.instances.state import InstanceState
from wa_worker.models import Egress, InstanceId, Unusable
from wa_worker.states import CONDITIONS, Event, Move, State
from wa_worker.whatsapp.pairing import (
    EarlyMessage,
    NoPhoneCode,
    Paired,
    PairingEnded,
    PairingLine,
    PhoneChanged,
    PhoneCode,
    QrCode,
)
from wa_worker.whatsapp.store import SessionStore

if TYPE_CHECKING:
    from wa_worker.whatsapp.bridge import WhatsApp

log = structlog.get_logger(__name__)

PARTING = 2.0
"""Seconds for the last words of a pairing that is ended: it says at once that nobody scanned, or closes its session."""

SHORTEST_ROUND = 15.0
"""Seconds: a code is shown for 20 at the least. A pairing that ends sooner did not end for want of a scan, and the next
one is tried after a pause."""


async def run_pairing(services: Services, state: InstanceState, store: SessionStore) -> Move | None:
    """Shows QR codes, when its turn has come. Returns the move that ended the round, None once a code was scanned: look
    at the store then.

    A round ends when its codes have run out; then the place is given to the next in line, and this one goes to its end.
    Cancelled: the codes are taken away.
    """
    waited = False

    def wait(ahead: int) -> None:
        nonlocal waited
        waited = True
        state.apply(Event.QUEUED, f"{ahead} more wait before it" if ahead else "it is the next")
        log.info("waiting for its turn to show QR codes", instance=state.instance, ahead=ahead)

    async with services.whatsapp.pairing.turn(wait):
        if waited:
            state.apply(Event.UNPAIRED)
        return await _round(services, state, store)


async def _round(services: Services, state: InstanceState, store: SessionStore) -> Move | None:
    if problem := await services.volume.problem():
        return state.apply(Event.VOLUME_FAILED, problem)
    egress = services.whatsapp.routes.table.of(state.instance)
    problem = await services.whatsapp.routes.proxy_problem(egress)
    if problem is not None or isinstance(egress, Unusable):
        return state.apply(Event.PROXY_FAILED, problem or "")
    if problem := await services.whatsapp.routes.unreachable(state.instance):
        return state.apply(Event.OPEN_FAILED, problem)
    early = _EarlyMessages(services.whatsapp, state.instance)
    try:
        device = services.settings.device_name
        async with services.whatsapp.pair(state.instance, store, device, egress) as line:
            codes = RoundOfCodes(services.pair_phones, state, services.settings.default_region)
            try:
                with services.pair_phones.watch(state.instance, line.phone_changed):
                    followed = False
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(_until_other_proxy, services, state, egress, nursery.cancel_scope)
                        move = await _follow(line, early, codes, state, store)
                        followed = True
                        nursery.cancel_scope.cancel()
                return move if followed else state.apply(Event.PROXY_CHANGED)
            finally:
                codes.over()
                with trio.move_on_after(PARTING, shield=True):
                    await early.take_rest(line)
    except SessionError as error:
        return state.apply(Event.OPEN_FAILED, str(error))


async def _until_other_proxy(
    services: Services, state: InstanceState, egress: Egress, round_of_codes: trio.CancelScope
) -> None:
    """Ends the round of an instance that has another proxy now: its socket is the old one's."""
    await services.whatsapp.routes.table.until_other(state.instance, egress)
    round_of_codes.cancel()


async def _follow(
    line: PairingLine, early: _EarlyMessages, codes: RoundOfCodes, state: InstanceState, store: SessionStore
) -> Move | None:
    shown_at, patience = math.inf, CONDITIONS[State.PAIRING].deadline or 0
    deadline = trio.current_time() + patience
    while True:
        with trio.move_on_at(min(deadline, codes.ask_at)) as waiting:
            event = await line.receive()
        if waiting.cancelled_caught and trio.current_time() < codes.ask_at:
            return state.apply(Event.DEADLINE)
        if waiting.cancelled_caught:
            if number := codes.take():
                await line.ask_for_code(number)
            continue
        if not isinstance(event, PhoneChanged):
            deadline = trio.current_time() + patience
        match event:
            case QrCode(code):
                picture = await trio.to_thread.run_sync(png_data_url, code)
                state.apply(Event.QR, qr_code=picture)
                shown_at = min(shown_at, trio.current_time())
                codes.qr_shown()
            case PhoneCode() | NoPhoneCode():
                codes.answered(event)
            case PhoneChanged():
                codes.phone_changed()
            case EarlyMessage():
                await early.take(event)
            case Paired():
                log.info("paired", instance=state.instance)
                return None
            case PairingEnded() as ended:
                return await _ended(ended, trio.current_time() - shown_at, state, store)


class _EarlyMessages:
    """Commits the messages of a first login. WhatsApp has been told that we have them, so the end of the round waits
    for those that the host still has."""

    def __init__(self, whatsapp: WhatsApp, instance: InstanceId) -> None:
        self._whatsapp = whatsapp
        self._instance = instance
        self._in_hand: EarlyMessage | None = None

    async def take(self, message: EarlyMessage) -> None:
        """Commits a message. Cancelled: `take_rest()` begins with it."""
        self._in_hand = message
        await self._whatsapp.record(self._instance, message.data, message.me)
        self._in_hand = None

    async def take_rest(self, line: PairingLine) -> None:
        """Ends the pairing, unless it is over, and commits what comes until the host has nothing more to say.

        Cancelled: what is left is lost, and the log says so.
        """
        try:
            if self._in_hand is not None:
                await self.take(self._in_hand)
            await line.end()
            while not line.over:
                event = await line.receive()
                if isinstance(event, EarlyMessage):
                    await self.take(event)
        finally:
            if self._in_hand is not None:
                log.error("a received message may be lost: the disk did not take it in time", instance=self._instance)


async def _ended(ended: PairingEnded, shown: float, state: InstanceState, store: SessionStore) -> Move:
    """Judges the end of the codes. `shown`: seconds since the first of them, negative if there was none."""
    if ended.outdated:
        return state.apply(Event.OUTDATED, ended.reason)
    if ended.passkey:
        return state.apply(Event.PASSKEY, ended.reason)
    if shown < SHORTEST_ROUND:
        if ended.no_store:
            await archive(store, state)
        return state.apply(Event.OPEN_FAILED, ended.reason)
    state.pauses.reset()
    return state.apply(Event.PAIRING_ENDED, ended.reason)


async def archive(store: SessionStore, state: InstanceState) -> None:
    """Sets the session store aside, so that the instance pairs anew."""
    archived = await trio.to_thread.run_sync(store.archive)
    log.info("session store archived", instance=state.instance, to=archived)
