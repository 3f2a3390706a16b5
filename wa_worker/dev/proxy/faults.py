"""What may go wrong between a worker and its proxy, on demand.

Owns the faults and the ASGI layer that plays them in front of the application. It sees only the worker's
endpoints: the admin side always answers. A fault that lasts for ever ends when its client leaves.
"""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

import attrs
import trio
from attrs import validators
from cattrs import BaseValidationError, Converter, transform_error

from wa_worker.monitoring.http_server import Event, Receive, Scope, Send, receive_whole

ENDPOINTS = (
    "disconnected-instances",
    "update-status",
    "queued-messages",
    "mark-sent",
    "mark-failed",
    "inbound",
)
EVERY = "*"

Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_NOT_NEGATIVE = validators.ge(0.0)


@attrs.frozen
class Fault:
    """Says how an endpoint misbehaves.

    The call is carried out with `after_apply`, or if neither status nor body nor the connection is tampered
    with.

    status: answer this status.
    delay: sleep first, in seconds: the latency of an Edge Function. On its own the answer is the true one.
    after_apply: carry the call out before the rest: the answer then lies about it.
    body, content_type, headers: replace or add to the answer; a body alone goes with status 200 (or the
        true one, with `after_apply`). Headers alone are added to the true answer.
    cut: close the connection without an answer; with a status or body, in the middle of that body.
    hang: take the request and never answer.
    trickle: send the body one byte per this many seconds; on its own it is the true body.
    times: only the next so many requests; None is for ever.
    probability: of each request to meet the fault; one that does not is not counted in `times`.
    only: meet requests alone whose path or body has this text.
    """

    status: int | None = attrs.field(default=None, validator=validators.optional(validators.in_(range(200, 600))))
    delay: float = attrs.field(default=0.0, validator=_NOT_NEGATIVE)
    after_apply: bool = False
    body: bytes | None = None
    content_type: str | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    cut: bool = False
    hang: bool = False
    trickle: float | None = attrs.field(default=None, validator=validators.optional(_NOT_NEGATIVE))
    times: int | None = attrs.field(default=None, validator=validators.optional(validators.ge(1)))
    probability: float = attrs.field(default=1.0, validator=[_NOT_NEGATIVE, validators.le(1.0)])
    only: str = ""

    @property
    def applies(self) -> bool:
        """Says whether the request reaches the application."""
        replaced = self.status is not None or self.body is not None or self.cut or self.hang
        return self.after_apply or not replaced


class Faults:
    """Holds the faults in force: one per endpoint at most, and "*" for those that have none."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self.rng = rng or random.Random(0)
        self._faults: dict[str, Fault] = {}

    def set(self, endpoint: str, fault: Fault) -> None:
        """Replaces the endpoint's fault. Raises ValueError for an endpoint that does not exist."""
        self.replace({**self._faults, endpoint: fault})

    def replace(self, faults: Mapping[str, Fault]) -> None:
        """These instead of all there were; all or none. Raises ValueError for an unknown endpoint."""
        for endpoint in faults:
            if endpoint != EVERY and endpoint not in ENDPOINTS:
                raise ValueError(f"no endpoint {endpoint!r}; there are {', '.join(ENDPOINTS)} and {EVERY}")
        self._faults = dict(faults)

    def clear(self, endpoint: str | None = None) -> None:
        """End one endpoint's fault, or all of them. Requests that already met one are played to the end."""
        if endpoint is None:
            self._faults.clear()
        else:
            self._faults.pop(endpoint, None)

    def in_force(self) -> dict[str, Fault]:
        """Returns a copy, with what is left of each `times`."""
        return dict(self._faults)

    def take(self, endpoint: str, said: bytes = b"") -> Fault | None:
        """Returns the fault that this request meets, counted. `said`: its path and body."""
        for key in (endpoint, EVERY):
            fault = self._faults.get(key)
            if fault is None or fault.only.encode() not in said:
                continue
            if fault.probability < 1 and self.rng.random() >= fault.probability:
                return None
            if fault.times == 1:
                del self._faults[key]
            elif fault.times is not None:
                self._faults[key] = attrs.evolve(fault, times=fault.times - 1)
            return fault
        return None


_converter = Converter(forbid_extra_keys=True)
_converter.register_structure_hook(bytes, lambda value, _: str(value).encode())
_converter.register_unstructure_hook(bytes, lambda value: value.decode(errors="replace"))


def faults_from_json(data: object) -> dict[str, Fault]:
    """{endpoint: {field: value}}, the body as text. Raises ValueError with all that is wrong."""
    try:
        return _converter.structure(data, dict[str, Fault])
    except BaseValidationError as error:
        raise ValueError("; ".join(transform_error(error))) from error
    except (TypeError, AttributeError) as error:
        raise ValueError("faults must be an object of objects") from error


def faults_to_json(faults: Mapping[str, Fault]) -> dict[str, Any]:
    """Returns the inverse of `faults_from_json`."""
    return {endpoint: _converter.unstructure(fault) for endpoint, fault in faults.items()}


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

        body = await _read_body(receive)
        if body is None:
            return
        fault = self._faults.take(endpoint, scope["path"].encode() + scope["query_string"] + body)
        if fault is None:
            await self._app(scope, receive_whole(body, receive), send)
            return
        # A fault may last for ever: it ends when the client has gone.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_on_disconnect, receive, nursery.cancel_scope)
            await self._play(fault, scope, body, send)
            nursery.cancel_scope.cancel()

    async def _play(self, fault: Fault, scope: Scope, body: bytes, send: Send) -> None:
        await trio.sleep(fault.delay)
        answer = await self._apply(scope, body) if fault.applies else None
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

    async def _apply(self, scope: Scope, body: bytes) -> _Answer:
        """Says what the application answers, kept from the client."""
        events: list[Event] = []

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


async def _send_body(send: Send, chunks: Iterable[bytes], *, more: bool) -> None:
    for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": more})


async def _read_body(receive: Receive) -> bytes | None:
    """Returns None if the client left before it had sent it all."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        body += event.get("body", b"")
        if not event.get("more_body", False):
            return bytes(body)


async def _nothing_more() -> Event:
    await trio.sleep_forever()
    raise AssertionError


async def _cancel_on_disconnect(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
