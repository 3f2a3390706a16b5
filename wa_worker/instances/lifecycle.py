"""The loop of one instance: it pairs, or has a session, and pauses in between, as states.py says.

Owns nothing that outlives it. It ends by being cancelled, or with an error for the crash barrier in supervisor.py.
"""

from __future__ import annotations

import time
from functools import partial

import structlog
import trio

from wa_worker.delivery.journal_read import when_it_can_be_read
from wa_worker.errors import JournalError, SessionError
from wa_worker.instances.pairing import archive, run_pairing
from wa_worker.instances.services import Services
from wa_worker.instances.session import run_session
from wa_worker.instances.state import InstanceState
from wa_worker.states import Action, Event, Move
from wa_worker.whatsapp.store import StoreLost

log = structlog.get_logger(__name__)

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
            move = await self._round()
            await self._after(move)

    async def _round(self) -> Move | None:
        """One pairing, or one session, whichever the store is ready for."""
        try:
            account = await trio.to_thread.run_sync(self._store.account)
        except SessionError as error:
            return self._state.apply(_event_of(error), str(error))
        self._state.account = account
        self._state.apply(Event.UNPAIRED if account is None else Event.PAIRED)
        if account is not None:
            return await run_session(self._services, self._state)
        return await run_pairing(self._services, self._state, self._store)

    async def _after(self, move: Move | None) -> None:
        """Does what a move asks for before the next round."""
        match move:
            case Move(action=Action.REPAIR):
                try:
                    await archive(self._store, self._state)
                except SessionError as error:  # it says once more what is to be done about it
                    await self._after(self._state.apply(_event_of(error), str(error)))
                    return
                with trio.move_on_after(DISCONNECTED_FIRST):
                    await self._state.publisher.wait_settled()
            case Move(action=Action.REOPEN):
                await self._until_proxy_works()
                # not one pause after the other, each longer: a return to the network is seen within seconds
                if await self._services.whatsapp.obstacle(self._state.instance) is not None:
                    self._state.end_unknown()
                    await self._services.whatsapp.until_clear(self._state.instance)
            case Move(action=Action.LEAVE):
                if self._services.ownership is not None:
                    self._services.ownership.doubt()
                await trio.sleep_until(self._state.away_until)
            case Move(action=Action.HOLD):
                await self._hold(move)
            case _:  # pair again, or open what was paired: at once
                pass

    async def _until_proxy_works(self) -> None:
        """Sits the pause out, and others while its proxy lets nothing through. Another proxy is tried at once."""
        state, whatsapp = self._state, self._services.whatsapp
        while True:
            egress = whatsapp.routes.table.of(state.instance)
            with trio.move_on_at(state.away_until):
                await whatsapp.routes.table.until_other(state.instance, egress)
            problem = await whatsapp.routes.proxy_problem(whatsapp.routes.table.of(state.instance))
            if problem is None:
                return
            state.apply(Event.PROXY_FAILED, problem)

    async def _hold(self, move: Move) -> None:
        """Keeps away until the move's pause is over, and writes that down: it is so over a restart too."""
        state, holds = self._state, self._services.holds
        reason, pause = self._services.registry.all()[state.instance].because.name, state.pause(move)
        try:
            await trio.to_thread.run_sync(holds.put, state.instance, reason, pause, state.proven)
            state.pauses.held = await trio.to_thread.run_sync(holds.get, state.instance)
        except JournalError as error:
            self._log.error("the journal cannot commit", reason=str(error))
        state.proven = False
        self._log.info("next try later", seconds=round(pause))
        await trio.sleep_until(state.away_until)

    async def _sit_out_hold(self) -> None:
        """Waits for the end of a hold that a run before this one was told of."""
        read = partial(self._services.holds.get, self._state.instance)
        hold = await when_it_can_be_read(read, instance=self._state.instance)  # a ban may not have passed
        self._state.pauses.held = hold
        if hold is not None and (remaining := hold.remaining(time.time())) > 0:
            self._state.apply(Event.STILL_HELD, hold.reason, lasts=remaining)
            self._log.info("held since before the start", because=hold.reason, seconds=round(remaining))
            await trio.sleep_until(self._state.away_until)


def _event_of(error: SessionError) -> Event:
    """Says what became of a session store that cannot be used: another worker's is nothing to tell of."""
    return Event.STORE_LOST if isinstance(error, StoreLost) else Event.OPEN_FAILED
