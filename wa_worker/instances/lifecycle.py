"""The loop of one instance: it pairs, or has a session, and pauses in between, as states.py says.

Owns nothing that outlives it. It ends by being cancelled, or with an error for the crash barrier in supervisor.py.
"""

from __future__ import annotations

import time

import structlog
import trio

from wa_worker.backoff import jittered
from wa_worker.errors import JournalError, SessionError
from wa_worker.instances.pairing import archive, run_pairing
from wa_worker.instances.services import Services
from wa_worker.instances.session import run_session
from wa_worker.instances.state import InstanceState
from wa_worker.states import Action, Event, Move, Report

log = structlog.get_logger(__name__)

BAN_MARGIN = 5.0
"""Seconds, about, that are waited beyond the end of a ban."""

LONGEST_BAN = 7 * 86_400.0
"""Seconds after which WhatsApp is asked whether a ban still holds: how long it lasts is one number in one answer."""

DISCONNECTED_FIRST = 3.0
"""Seconds in which the proxy may hear DISCONNECTED of a phone that logged out, before a QR code overtakes it."""


class Lifecycle:
    """Runs the loop of one instance. `run()` once per object."""

    def __init__(self, services: Services, state: InstanceState) -> None:
        self._services = services
        self._state = state
        self._store = services.whatsapp.store(state.instance)
        self._log = log.bind(instance=state.instance)

    async def run(self) -> None:
        """Runs until cancelled."""
        await self._sit_out_hold()
        while True:
            move, report = await self._round()
            await self._after(move, report)

    async def _round(self) -> tuple[Move | None, Report | None]:
        """One pairing, or one session, whichever the store is ready for."""
        try:
            paired = await trio.to_thread.run_sync(self._store.is_paired)
        except SessionError as error:
            return self._state.apply(Event.OPEN_FAILED, str(error)), None
        self._state.apply(Event.PAIRED if paired else Event.UNPAIRED)
        if paired:
            return await run_session(self._services, self._state)
        return await run_pairing(self._services, self._state, self._store), None

    async def _after(self, move: Move | None, report: Report | None) -> None:
        """Does what a move asks for before the next round."""
        match move:
            case Move(action=Action.REPAIR):
                await archive(self._store, self._state)
                with trio.move_on_after(DISCONNECTED_FIRST):
                    await self._state.publisher.wait_settled()
            case Move(action=Action.REOPEN):
                await trio.sleep(self._state.pause(move))
                # not one pause after the other, each longer: a return to the network is seen within seconds
                await self._services.whatsapp.until_clear(self._state.instance)
            case Move(action=Action.HOLD):
                await self._hold(move, report)
            case _:  # pair again, or open what was paired: at once
                pass

    async def _hold(self, move: Move, report: Report | None) -> None:
        """Keeps away for as long as the policy says, or a ban lasts; over a restart too."""
        assert move.pause is not None
        state, holds = self._state, self._services.holds
        reason = report.event if report else Event.OUTDATED
        try:
            times = await trio.to_thread.run_sync(holds.times, state.instance, reason.name)
            pause = move.pause.delay(0 if state.proven else times)
            if report is not None and report.seconds is not None:
                pause = min(report.seconds, LONGEST_BAN) + jittered(BAN_MARGIN)
            await trio.to_thread.run_sync(holds.put, state.instance, reason.name, pause, state.proven)
        except JournalError as error:
            self._log.error("the journal cannot commit", reason=str(error))
            pause = move.pause.delay(0)
        state.proven = False
        self._log.info("next try later", seconds=round(pause))
        await self._stay_away(pause)

    async def _sit_out_hold(self) -> None:
        """Waits for the end of a hold that a run before this one was told of."""
        hold = await trio.to_thread.run_sync(self._services.holds.get, self._state.instance)
        if hold is not None and (remaining := hold.remaining(time.time())) > 0:
            self._state.apply(Event.STILL_HELD, hold.reason)
            self._log.info("held since before the start", because=hold.reason, seconds=round(remaining))
            await self._stay_away(remaining)

    async def _stay_away(self, seconds: float) -> None:
        self._services.registry.set_until(self._state.instance, time.time() + seconds)
        await trio.sleep(seconds)
