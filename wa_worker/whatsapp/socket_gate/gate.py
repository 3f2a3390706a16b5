"""The gate's listener: a CONNECT proxy on 127.0.0.1 for the sessions of this worker, and nobody else.

It stops when it is cancelled: every connection is cut then. At the deadline it cuts by itself; the watchdog does the
same from its thread, for the time in which Trio's loop stands still.
"""

from __future__ import annotations

import hmac
import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import quote

import structlog
import trio

from wa_worker.models import EgressProxy, InstanceId, Secret
from wa_worker.ownership.deadline import Deadline, boottime, left
from wa_worker.whatsapp.socket_gate.opening import Barred, Opening
from wa_worker.whatsapp.socket_gate.request import BadRequest, ConnectRequest, RequestLine
from wa_worker.whatsapp.socket_gate.stream import GuardedStream, taken_from
from wa_worker.whatsapp.socket_gate.way_out import NoWay, WaysOut

log = structlog.get_logger(__name__)

HEAD_PATIENCE = 10.0
"""Seconds for a request: the library sends it at once."""

CONNECT_PATIENCE = 25.0
"""Seconds for a connection to the outside, its proxy's answer included: the library waits for 30."""

HALF_CLOSED = 30.0
"""Seconds that one direction may go on when the other has ended: the library then has gone, and WhatsApp goes soon."""

PARTING = 5.0
"""Seconds for what a closed session has yet to have passed on; then its connections are cut, should it hold on."""

LONGEST, SHORTEST = 10.0, 1.0
"""Seconds between two looks at the deadline, before it and after it. A tunnel looks for itself before each piece."""


class SocketGate:
    """One per process. Trio thread only, but for `cut()` and `cut_all()`.

    deadline: until when anything passes. environ: the worker's, which names the way out of sessions without a proxy of
    their own.
    """

    def __init__(self, deadline: Deadline, environ: Mapping[str, str]) -> None:
        self._deadline = deadline
        self._ways = WaysOut(environ)
        self._port = 0
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._openings: dict[str, Opening] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listens until cancelled. Raises OSError if it cannot."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self._port = listeners[0].socket.getsockname()[1]
        try:
            async with trio.open_nursery() as self._nursery:
                self._nursery.start_soon(self._watch)
                await self._nursery.start(trio.serve_listeners, self._serve, listeners)
                task_status.started()
        finally:
            self._nursery = None
            self.cut_all()

    @contextmanager
    def passage(self, instance: InstanceId, egress: EgressProxy | None) -> Iterator[Secret]:
        """Yields the URL of the proxy for one opening of a session, which goes out by `egress` behind the gate.

        Its connections end with the block, once what the session has left in them is passed on. The gate must run.
        """
        if self._nursery is None:
            raise AssertionError("a passage through a gate that does not run")
        opening = Opening(f"{instance}/{next(self._numbers)}", instance, egress, self._deadline)
        with self._lock:
            self._openings[opening.user] = opening
        user = quote(opening.user, safe="")
        try:
            yield Secret(f"http://{user}:{opening.password.reveal()}@127.0.0.1:{self._port}")
        finally:
            opening.ended = True
            if opening.in_use and self._nursery is not None:
                self._nursery.start_soon(self._part, opening)
            else:
                self._forget(opening)

    def cut(self, instance: InstanceId) -> int:
        """Ends all connections of an instance at once, and lets it have none until it is opened again. Returns how many
        there were. For any thread."""
        return sum(opening.cut() for opening in self._current() if opening.instance == instance)

    def cut_all(self) -> int:
        """The same for all instances."""
        return sum(opening.cut() for opening in self._current())

    def _current(self) -> list[Opening]:
        with self._lock:
            return list(self._openings.values())

    def _forget(self, opening: Opening) -> None:
        opening.cut()
        with self._lock:
            del self._openings[opening.user]

    async def _part(self, opening: Opening) -> None:
        """Waits for the last of a session that is over."""
        try:
            with trio.move_on_after(PARTING):
                await opening.drained.wait()
        finally:
            self._forget(opening)

    async def _watch(self) -> None:
        """Cuts everything when the deadline has passed: what says nothing would stay open otherwise."""
        while True:
            if seconds := left(self._deadline(), boottime()):
                await trio.sleep(min(seconds, LONGEST))
                continue
            if connections := self.cut_all():
                log.error("the lease has run out: every session is cut off", connections=connections)
            await trio.sleep(SHORTEST)

    async def _serve(self, client: trio.SocketStream) -> None:
        try:
            async with client:
                await self._answer(client)
        except* (Barred, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # whoever looks at it sees the end of the connection
        except* Exception:  # the barrier of one connection
            log.exception("a connection through the gate failed")

    async def _answer(self, client: trio.SocketStream) -> None:
        line = RequestLine()
        request = opening = None
        status = HTTPStatus.REQUEST_TIMEOUT
        with trio.move_on_after(HEAD_PATIENCE):
            try:
                while request is None:
                    request = line.feed(await client.receive_some())
                opening = self._whose(request)
                status = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
            except BadRequest as error:
                status = error.status
        if request is None or opening is None:
            await client.send_all(line.refused(status))
            return
        try:
            await self._tunnel(client, line, request, opening)
        finally:
            if opening.ended and not opening.in_use:
                opening.drained.set()

    def _whose(self, request: ConnectRequest) -> Opening | None:
        opening = self._openings.get(request.user)
        given = request.password.reveal().encode()
        if opening is None or opening.ended or not hmac.compare_digest(opening.password.reveal().encode(), given):
            return None
        return opening

    async def _tunnel(
        self, client: trio.SocketStream, line: RequestLine, request: ConnectRequest, opening: Opening
    ) -> None:
        status, why = HTTPStatus.GATEWAY_TIMEOUT, f"nothing within {CONNECT_PATIENCE:.0f} s"
        with trio.move_on_after(CONNECT_PATIENCE):
            try:
                opening.check()
                way = await self._ways.connect(opening, request.host, request.port)
                status = HTTPStatus.OK
            except Barred as error:
                status, why = HTTPStatus.SERVICE_UNAVAILABLE, str(error)
            except NoWay as error:
                status, why = HTTPStatus.BAD_GATEWAY, str(error)
        if status is not HTTPStatus.OK:
            log.info("no way through the gate", instance=opening.instance, to=request.host, reason=why)
            await client.send_all(line.refused(status))
            return
        async with way.stream, GuardedStream(taken_from(client), opening) as inside:
            await inside.send_all(line.granted() + way.early)
            if request.early:
                await way.stream.send_all(request.early)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_pass_on, inside, way.stream, nursery.cancel_scope)
                nursery.start_soon(_pass_on, way.stream, inside, nursery.cancel_scope)


async def _pass_on(source: trio.abc.Stream, to: trio.abc.Stream, tunnel: trio.CancelScope) -> None:
    """Passes one direction on until it ends. Then the other one may go on for a while, if `to` can be half closed."""
    while data := await source.receive_some():
        await to.send_all(data)
    if not isinstance(to, trio.abc.HalfCloseableStream):
        tunnel.cancel()
        return
    await to.send_eof()
    tunnel.deadline = min(tunnel.deadline, trio.current_time() + HALF_CLOSED)
