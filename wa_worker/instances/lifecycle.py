"""The life of one instance: the states of connection.py made real, with their I/O.

By turns: pairing, a session with the outbox poller, and the pauses between them. Owns nothing that outlives it; it
ends by being cancelled, or with an error for the crash barrier in instance.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs
import structlog
import trio

from wa_worker.backoff import jittered
from wa_worker.config import OnUncertain, Settings
from wa_worker.delivery.inbound import InboundDelivery
from wa_worker.delivery.marks import MarkReporter
from wa_worker.delivery.poll_timer import PollTimer
from wa_worker.delivery.sending import run_outbox
from wa_worker.edge.client import EdgeClient
from wa_worker.edge.qr import png_data_url
from wa_worker.errors import JournalError, SessionError
from wa_worker.instances.registry import Registry
from wa_worker.instances.status import StatusPublisher
from wa_worker.journal import Journal
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, ProxyStatus, Status
from wa_worker.states import CONDITIONS, PROVEN, Action, Event, Move, State, step
from wa_worker.volume import VolumeGuard

if TYPE_CHECKING:
    from wa_worker.whatsapp import WhatsApp
    from wa_worker.whatsapp.events import Report
    from wa_worker.whatsapp.session import Session

log = structlog.get_logger(__name__)

OFFLINE_PATIENCE = 60.0
"""Seconds of silence after CONNECTED without the end of the offline sync, after which a session counts as deaf."""

BAN_MARGIN = 5.0
"""Seconds, about, that are waited beyond the end of a ban."""

DISCONNECTED_FIRST = 3.0
"""Seconds in which the proxy may hear DISCONNECTED of a phone that logged out, before a QR code overtakes it."""

SHORTEST_ROUND = 15.0
"""Seconds: a code is shown for 20 at the least. A pairing that ends sooner did not end for want of a scan, and the next
one is tried after a pause."""

NO_STORE = ("file is not a database", "is a directory")
"""What SQLite says of a store that cannot hold a device, however often it is tried."""

_SPEAKING = {
    Event.LOGGED_OUT: "the phone removed this device: pairing anew",
    Event.REPLACED: "another client uses this session: is a second worker running, or an old one not stopped?",
    Event.BANNED: "WhatsApp has banned this account for a while",
    Event.OUTDATED: "WhatsApp refuses this client version: upgrade wa-worker (neonize)",
    Event.REFUSED: "WhatsApp refuses the login",
}


@attrs.frozen
class Services:
    """What all instances share."""

    settings: Settings
    edge: EdgeClient
    journal: Journal
    registry: Registry
    metrics: Metrics
    inbox: InboundDelivery
    teller: MarkReporter
    volume: VolumeGuard
    whatsapp: WhatsApp
    threads: trio.Nursery
    """Where tasks of native threads live: it outlives the instances."""


class Life:
    """The state machine of one instance, with its I/O."""

    def __init__(self, instance: InstanceId, services: Services, publisher: StatusPublisher) -> None:
        self._instance = instance
        self._on = services
        self._publisher = publisher
        self._store = services.whatsapp.store(instance)
        self._log = log.bind(instance=instance)
        self._state = State.RETRYING
        self._entered = trio.current_time()
        self._delays: dict[int, Iterator[float]] = {}
        self._proven = False
        """Whether it was CONNECTED for a while since the last hold."""
        self._connected = trio.Event()

    async def run(self) -> None:
        await self._sit_out_hold()
        while True:
            try:
                paired = await trio.to_thread.run_sync(self._store.is_paired)
            except SessionError as error:
                move, report = self._move(Event.OPEN_FAILED, str(error)), None
            else:
                self._move(Event.PAIRED if paired else Event.UNPAIRED)
                move, report = await (self._session() if paired else self._pairing())
            await self._follow(move, report)

    def _move(self, event: Event, detail: str = "", *, qr_code: str | None = None) -> Move:
        """One step of the table, made known to everyone who looks."""
        move = step(self._state, event)
        before, self._state = self._state, move.to
        if before is State.CONNECTED and move.to is not State.CONNECTED:
            if trio.current_time() - self._entered >= PROVEN:
                self._proven = True
                self._delays.clear()
            self._connected = trio.Event()
        if move.to is not before or event is Event.QR:
            self._entered = trio.current_time()
        if move.to is State.CONNECTED:
            self._connected.set()
            self._on.whatsapp.scouts.got_through()
        self._on.registry.set(self._instance, move.to)
        self._on.metrics.moved(before, event, move)
        self._publisher.announce(Status(CONDITIONS[move.to].status, qr_code))
        if event in _SPEAKING:
            self._log.warning(_SPEAKING[event], state=move.to.value, reason=detail or None)
        elif move.to is not before:
            self._log.info(move.to.value, because=event.value, reason=detail or None)
        return move

    # --- pairing

    async def _pairing(self) -> tuple[Move, Report | None]:
        from wa_worker.whatsapp.pairing import EarlyMessage, Paired, PairingEnded, QrCode

        if problem := await self._on.volume.problem() or await self._on.whatsapp.reach.problem():
            return self._move(Event.OPEN_FAILED, problem), None
        name = self._on.settings.device_name
        shown_at = math.inf
        async with self._on.whatsapp.pairing.pair(self._instance, self._store, name) as events:
            while True:
                with trio.move_on_after(CONDITIONS[State.PAIRING].deadline or 0) as waiting:
                    event = await events.receive()
                if waiting.cancelled_caught:
                    return self._move(Event.DEADLINE), None
                match event:
                    case QrCode(code):
                        picture = await trio.to_thread.run_sync(png_data_url, code)
                        self._move(Event.QR, qr_code=picture)
                        shown_at = min(shown_at, trio.current_time())
                    case EarlyMessage(data, me):
                        await self._on.whatsapp.record(self._instance, data, me)
                        self._on.inbox.wakeup.ring()
                    case Paired():
                        self._log.info("paired")
                        return Move(State.PAIRING, Action.OPEN), None
                    case PairingEnded(reason) if "outdated" in reason:
                        return self._move(Event.OUTDATED, reason), None
                    case PairingEnded(reason) if trio.current_time() - shown_at < SHORTEST_ROUND:
                        if any(sign in reason for sign in NO_STORE):
                            await self._archive()
                        return self._move(Event.OPEN_FAILED, reason), None
                    case PairingEnded(reason):
                        self._delays.clear()
                        return self._move(Event.PAIRING_ENDED, reason), None

    # --- the session of a paired store

    async def _session(self) -> tuple[Move, Report | None]:
        from wa_worker.whatsapp.events import Report

        whatsapp = self._on.whatsapp
        timer = PollTimer(self._on.settings.message_poll, self._on.settings.message_poll_max)
        try:
            if problem := await self._on.volume.problem() or await whatsapp.obstacle(self._instance):
                raise SessionError(problem)  # noqa: TRY301 - like what the gate may say
            async with (
                whatsapp.open_session(self._instance, timer.activity) as session,
                trio.open_nursery() as nursery,
            ):
                self._on.metrics.session_opened()
                self._entered = trio.current_time()  # its turn at the start gate may have been long in coming
                nursery.start_soon(self._poll, session, timer)
                nursery.start_soon(self._watch_volume, session)
                while True:
                    report = await self._next(session)
                    if self._state is State.OPENING and report.event in (Event.OPEN_FAILED, Event.DEADLINE):
                        whatsapp.scouts.failed(self._instance)
                    move = self._move(report.event, report.detail)
                    if move.action is not Action.STAY:
                        nursery.cancel_scope.cancel()
                        return move, report
        except SessionError as error:
            report = Report(Event.OPEN_FAILED, str(error))
            return self._move(report.event, report.detail), report
        raise AssertionError("unreachable")

    async def _next(self, session: Session) -> Report:
        """The next report; DEADLINE or DEAF when the watch runs out."""
        from wa_worker.whatsapp.events import Report

        while True:
            deadline = CONDITIONS[self._state].deadline
            until = self._entered + deadline if deadline is not None else math.inf
            if watched := self._state is State.CONNECTED and not session.offline_synced:
                silence = time.monotonic() - session.last_heard
                until = trio.current_time() + max(OFFLINE_PATIENCE - silence, 0.1)
            with trio.move_on_at(until):
                return await session.next_report()
            if not watched:
                return Report(Event.DEADLINE)
            if not session.offline_synced and time.monotonic() - session.last_heard >= OFFLINE_PATIENCE:
                return Report(Event.DEAF, "connected, but what waited at WhatsApp never came")

    async def _watch_volume(self, session: Session) -> None:
        from wa_worker.whatsapp.events import Report

        await self._on.volume.wait_full()
        session.give_up(Report(Event.VOLUME_FAILED, "the volume is full"))

    async def _poll(self, session: Session, timer: PollTimer) -> None:
        await run_outbox(
            self._instance,
            session,
            edge=self._on.edge,
            ledger=self._on.journal.ledger,
            timer=timer,
            resend_uncertain=self._on.settings.on_uncertain_send is OnUncertain.RESEND,
            connected=self._until_connected,
            on_progress=self._on.teller.wakeup.ring,
            on_settled=self._on.metrics.sent,
            marks_settled=self._on.teller.settled,
            threads=self._on.threads,
        )

    async def _until_connected(self) -> None:
        while not self._connected.is_set():
            await self._connected.wait()

    # --- between sessions

    async def _follow(self, move: Move, report: Report | None) -> None:
        match move.action:
            case Action.REPAIR:
                await self._archive()
                with trio.move_on_after(DISCONNECTED_FIRST):
                    await self._publisher.wait_settled()
            case Action.REOPEN:
                await trio.sleep(self._pause(move))
                # not one pause after the other, each longer: a return to the network is seen within seconds
                await self._on.whatsapp.until_clear(self._instance)
            case Action.HOLD:
                await self._hold(move, report)
            case _:  # pair again, or open what was paired: at once
                pass

    async def _archive(self) -> None:
        archive = await trio.to_thread.run_sync(self._store.archive)
        self._log.info("session store archived", to=archive.name if archive else None)

    def _pause(self, move: Move) -> float:
        """The next delay of this move's policy; it starts anew only after proven success."""
        assert move.pause is not None
        return next(self._delays.setdefault(id(move.pause), move.pause.delays()))

    async def _hold(self, move: Move, report: Report | None) -> None:
        """Keeps away for as long as the policy says, or a ban lasts; over a restart too."""
        assert move.pause is not None
        reason = report.event if report else Event.OUTDATED
        holds = self._on.journal.holds
        try:
            times = await trio.to_thread.run_sync(holds.times, self._instance, reason.name)
            pause = move.pause.delay(0 if self._proven else times)
            if report is not None and report.seconds is not None:
                pause = report.seconds + jittered(BAN_MARGIN)
            await trio.to_thread.run_sync(holds.put, self._instance, reason.name, pause, self._proven)
        except JournalError as error:
            self._log.error("the journal cannot commit", reason=str(error))
            pause = move.pause.delay(0)
        self._proven = False
        self._log.info("next try later", seconds=round(pause))
        await trio.sleep(pause)

    async def _sit_out_hold(self) -> None:
        hold = await trio.to_thread.run_sync(self._on.journal.holds.get, self._instance)
        remaining = hold.until - time.time() if hold else 0
        if hold is not None and remaining > 0:
            self._state = State.HELD
            self._on.registry.set(self._instance, State.HELD)
            self._publisher.announce(Status(ProxyStatus.DISCONNECTED))
            self._log.info("held since before the start", because=hold.reason, seconds=round(remaining))
            await trio.sleep(remaining)
