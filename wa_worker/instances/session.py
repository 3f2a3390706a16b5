"""One session of a paired instance, from its opening to its end, with the polls for messages to send."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING

import trio

from wa_worker.delivery.poll_timer import PollTimer
from wa_worker.errors import SessionError
from wa_worker.instances.ownership import judged
from wa_worker.instances.services import Services
from wa_worker.instances.state import InstanceState
from wa_worker.models import Egress, Unusable
from wa_worker.states import CONDITIONS, Action, Event, Move, Report, State
from wa_worker.volume import VolumeGuard

if TYPE_CHECKING:
    from wa_worker.whatsapp.session import Session
    from wa_worker.whatsapp.store import SessionStore

OFFLINE_PATIENCE = 60.0
"""Seconds of silence after CONNECTED without the end of the offline sync, after which a session counts as deaf."""


async def run_session(services: Services, state: InstanceState) -> Move:
    """Opens the session and sends what is queued until it ends. Returns the last move.

    Cancelled: closes the session, within bounds (whatsapp/session.py).
    """
    whatsapp = services.whatsapp
    activity = services.registry.activity(state.instance)
    timer = PollTimer(services.settings.message_poll, services.settings.message_poll_max, activity, also=services.pace)
    if problem := await services.volume.problem():
        return state.apply(Event.VOLUME_FAILED, problem)
    egress = whatsapp.routes.table.of(state.instance)
    problem = await whatsapp.routes.proxy_problem(egress)
    if problem is not None or isinstance(egress, Unusable):
        return state.apply(Event.PROXY_FAILED, problem or "")
    try:
        if problem := await whatsapp.obstacle(state.instance):
            raise SessionError(problem)  # noqa: TRY301 - like what the start gate may say
        async with (
            whatsapp.open_session(state.instance, timer.received, egress) as session,
            trio.open_nursery() as nursery,
        ):
            services.metrics.session_opened()
            state.started()
            nursery.start_soon(services.sender.run, state.instance, session, timer, state.wait_connected)
            if services.reads.wanted:
                nursery.start_soon(services.reads.run, state.instance, session, state.wait_connected)
            nursery.start_soon(_watch_volume, services.volume, session)
            nursery.start_soon(_watch_proxy, services, state, egress, session)
            move = await _follow_reports(services, state, session)
            nursery.cancel_scope.cancel()
    except SessionError as error:
        move = state.apply(Event.OPEN_FAILED, str(error))
    return move


async def _follow_reports(services: Services, state: InstanceState, session: Session) -> Move:
    """Applies what the session reports until the session is to be closed."""
    while True:
        report = await judged(services.ownership, state, await next_report(state, session))
        if state.current is State.OPENING and report.event in (Event.OPEN_FAILED, Event.DEADLINE):
            services.whatsapp.breaker.record_failure(state.instance)
        if report.event is Event.CONNECTED and state.current is State.RECONNECTING:
            await learn_name(services.whatsapp.store(state.instance), state)
        if report.event is Event.CONNECTED and (account := session.me or state.account) is not None:
            await services.sender.pacing.linked(state.instance, account.jid)  # before anything is sent
        move = state.apply(report.event, report.detail, lasts=report.seconds)
        if move.to is State.CONNECTED:
            services.whatsapp.breaker.record_success()
            if session.me is not None:
                services.registry.set_account(state.instance, session.me.jid)
        if move.action is not Action.STAY:
            return move


async def learn_name(store: SessionStore, state: InstanceState) -> None:
    """Looks the account's name up unless it is known: whatsmeow learns it some time after the device was linked, and
    whose session it is was read before it was opened."""
    if state.account is None or state.account.push_name is None:
        with contextlib.suppress(SessionError):  # a name is a nicety, the session is not
            state.account = await trio.to_thread.run_sync(store.account) or state.account


async def next_report(state: InstanceState, session: Session) -> Report:
    """Returns the next report of the session; DEADLINE or DEAF when nothing comes in time. Cancelling loses none."""
    while True:
        deadline = CONDITIONS[state.current].deadline
        until = state.entered + deadline if deadline is not None else math.inf
        if restricted := state.restricted:
            until = state.restricted_until
        if watched := state.current is State.CONNECTED and not session.offline_synced:
            silence = time.monotonic() - session.last_heard
            until = min(until, trio.current_time() + max(OFFLINE_PATIENCE - silence, 0.1))
        with trio.move_on_at(until):
            return await session.next_report()
        if restricted and not state.restricted:
            return Report(Event.UNRESTRICTED, "no message was refused for an hour")
        if not watched:
            return Report(Event.DEADLINE)
        if not session.offline_synced and time.monotonic() - session.last_heard >= OFFLINE_PATIENCE:
            return Report(Event.DEAF, "connected, but what waited at WhatsApp never came")


async def _watch_volume(volume: VolumeGuard, session: Session) -> None:
    await volume.wait_full()
    session.give_up(Report(Event.VOLUME_FAILED, "the volume is full"))


async def _watch_proxy(services: Services, state: InstanceState, egress: Egress, session: Session) -> None:
    await services.whatsapp.routes.table.until_other(state.instance, egress)
    session.give_up(Report(Event.PROXY_CHANGED))
