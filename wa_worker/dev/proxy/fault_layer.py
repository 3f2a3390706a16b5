"""The ASGI layer that plays faults in front of the reference proxy.

It sees only the worker's endpoints: the admin side always answers. A fault that lasts for ever ends when its client
leaves.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

import attrs
import trio

from wa_worker.monitoring.http_server import Event, Receive, Scope, Send, receive_whole

from .events import REFUSALS
from .faults import ENDPOINTS, Fault, Faults
from .storage import PATH as STORAGE

Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


@attrs.frozen
class _Answer:
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),)
    body: bytes = b""


class FaultLayer:
    """ASGI in front of the application: counts each request and plays the fault it meets, if any.

    on_request: called with the endpoint's name for each request to one, before anything else.
    cut: closes a connection, given the request's scope. ASGI has no such thing (an application that raises
        makes the server answer 500), so the server that accepted the connection lends a hand.
    """

    def __init__(
        self,
        app: Application,
        faults: Faults,
        *,
        on_request: Callable[[str], None],
        cut: Callable[[Scope], Awaitable[None]],
    ) -> None:
        self._app = app
        self._faults = faults
        self._on_request = on_request
        self._cut = cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = scope["path"][1:] if scope["type"] == "http" else ""
        if endpoint not in ENDPOINTS:
            await self._app(scope, receive, send)
            return
        self._on_request(endpoint)
        if not self._faults.in_force():
            await self._app(scope, receive, send)
            return

        if scope["path"] == STORAGE:
            await self._storage(scope, receive, send)
            return
        body = await _read_body(receive)
        if body is None:
            return
        fault = self._faults.take(endpoint, scope["path"].encode() + scope["query_string"] + body)
        if fault is None:
            await self._app(scope, receive_whole(body, receive), send)
            return
        await self._play_until_left(fault, scope, body, receive, send)

    async def _storage(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The same for what comes piece by piece."""
        fault = self._faults.take(STORAGE[1:], scope["path"].encode() + scope["query_string"])
        if fault is None:
            await self._app(scope, receive, send)
            return
        ends = [at for at in (fault.cut_at, fault.stall_at) if at is not None]
        body = await _read_body(receive, min(ends, default=None))
        if body is None:
            return
        if fault.cut_at is not None:
            await self._cut(scope)
        elif fault.stall_at is not None:
            await trio.sleep_forever()
        else:
            await self._play_until_left(fault, scope, body, receive, send)

    async def _play_until_left(self, fault: Fault, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        # A fault may last for ever: it ends when the client has gone.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_on_disconnect, receive, nursery.cancel_scope)
            await self._play(fault, scope, body, send)
            nursery.cancel_scope.cancel()

    async def _play(self, fault: Fault, scope: Scope, body: bytes, send: Send) -> None:
        await trio.sleep(fault.delay)
        answer = await self._apply(fault, scope, body) if fault.applies else None
        if fault.hang:
            await trio.sleep_forever()
        if fault.cut and fault.status is None and fault.body is None:
            await self._cut(scope)
            return
        answer = _falsified(fault, answer)
        length = (b"content-length", str(len(answer.body)).encode())
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [*answer.headers, length],
            }
        )
        if fault.cut:
            await _send_body(send, [answer.body[: len(answer.body) // 2]], more=True)
            await self._cut(scope)
        elif fault.trickle is None:
            await _send_body(send, [answer.body], more=False)
        else:
            for byte in answer.body:
                await _send_body(send, [bytes([byte])], more=True)
                await trio.sleep(fault.trickle)
            await _send_body(send, [b""], more=False)

    async def _apply(self, fault: Fault, scope: Scope, body: bytes) -> _Answer:
        """Says what the application answers, kept from the client."""
        events: list[Event] = []
        scope = {**scope, REFUSALS: self._faults.refusals(fault)}

        async def keep(event: Event) -> None:
            events.append(event)

        await self._app(scope, receive_whole(body, _nothing_more), keep)
        start, *parts = events
        return _Answer(
            start["status"],
            tuple(header for header in start["headers"] if header[0].lower() != b"content-length"),
            b"".join(part.get("body", b"") for part in parts),
        )


def _falsified(fault: Fault, true: _Answer | None) -> _Answer:
    answer = true or _Answer()
    if fault.results:
        answer = attrs.evolve(answer, body=_miscounted(answer.body, fault.results))
    if fault.status is not None:
        # The true body says that all went well: it would not come with an error status.
        answer = _Answer(fault.status, body=json.dumps({"error": f"fault {fault.status}"}).encode())
    if fault.body is not None:
        answer = attrs.evolve(answer, body=fault.body)
    headers = dict(answer.headers)
    if fault.content_type is not None:
        headers[b"content-type"] = fault.content_type.encode("latin-1")
    for name, value in fault.headers.items():
        headers[name.lower().encode("latin-1")] = value.encode("latin-1")
    return attrs.evolve(answer, headers=tuple(headers.items()))


def _miscounted(body: bytes, more: int) -> bytes:
    """Returns the body with as many results more, or less. One that has no results stays as it is."""
    match json.loads(body):
        case {"results": [*results]}:
            kept = results[:more] if more < 0 else [*results, *[{"status": 200}] * more]
            return json.dumps({"results": kept}).encode()
    return body


async def _send_body(send: Send, chunks: Iterable[bytes], *, more: bool) -> None:
    for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": more})


async def _read_body(receive: Receive, most: int | None = None) -> bytes | None:
    """Returns None if the client left before it had sent it all, or `most` bytes of it."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        body += event.get("body", b"")
        if not event.get("more_body", False) or (most is not None and len(body) >= most):
            return bytes(body)


async def _nothing_more() -> Event:
    await trio.sleep_forever()
    raise AssertionError


async def _cancel_on_disconnect(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
