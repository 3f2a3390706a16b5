"""The client of the worker-proxy: one method per endpoint of contract v1 over one httpx client.

Owns the connection pool, the deadline of a call and the meaning of an answer. It does not retry: its errors say
whether that makes sense. Answers are untrusted: bounded in size and time, and models or an error when they leave.
Cancelling a call closes its connection.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
import structlog
import trio

from wa_worker.edge import wire
from wa_worker.edge.answers import NO_SUCH_CALL, error_of, quotable
from wa_worker.edge.transport import open_transport
from wa_worker.errors import EdgeError, EdgeRejected, EdgeUnavailable
from wa_worker.messages import InboundMessage, QueuedMessage
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, MessageId, Secret, Status, WaMessageId

log = structlog.get_logger(__name__)

T = TypeVar("T")

CALL_DEADLINE = 30.0
"""Seconds a call may take altogether, against an answer that trickles. Edge Functions stop at 30-150 s themselves."""

MAX_ANSWER = 32 * 1024 * 1024
"""Bytes of an answer that are read: 10,000 messages of 3 KB. More is not a queue, it is a mistake."""

NO_CALL_MEMORY = 600.0
"""Seconds to remember that it has none."""


class EdgeClient:
    """Made by `open_edge_client()`. All methods raise EdgeUnavailable or EdgeRejected."""

    def __init__(self, transport: httpx.AsyncBaseTransport, base_url: str, secret: Secret, metrics: Metrics) -> None:
        self._transport = transport
        self._secret = secret
        self._metrics = metrics
        self._base_url = base_url
        self._headers = {
            "Authorization": f"Bearer {secret.reveal()}",
            "Accept": "application/json",
            "User-Agent": "wa-worker",
        }
        self._polls: dict[str, httpx.Request] = {}
        self._no_mark_failed_until = 0.0
        self.lists_instances = False
        """Whether the last poll for instances was answered as the contract says."""
        self.polled: dict[str, float] = {}
        """When each kind of poll was last answered as the contract says (`trio.current_time()`), by endpoint."""

    async def disconnected_instances(self) -> wire.Rows[InstanceId]:
        """Instances to connect, and the rows that name none."""
        try:
            rows = await self._poll("disconnected-instances", "", wire.instances_from)
        except EdgeError:
            self.lists_instances = False
            raise
        self.lists_instances = True
        return rows

    async def queued_messages(self, instance: InstanceId) -> wire.Rows[QueuedMessage]:
        """Messages to send, oldest first, and the rows that are none."""
        query = f"?instanceId={instance}"  # an id needs no escaping
        return await self._poll("queued-messages", query, wire.messages_from)

    async def update_status(self, instance: InstanceId, status: Status) -> None:
        await self._post("update-status", wire.status_body(instance, status), private=(status.qr_code,))

    async def mark_sent(self, message_id: MessageId, wa_id: WaMessageId) -> None:
        await self._post("mark-sent", wire.sent_body(message_id, wa_id))

    async def mark_failed(self, message_id: MessageId, error: str) -> bool:
        """Returns False if the proxy has no such call, which is remembered for ten minutes."""
        if trio.current_time() < self._no_mark_failed_until:
            return False
        try:
            await self._post("mark-failed", wire.failed_body(message_id, error))
        except (EdgeUnavailable, EdgeRejected) as error:
            if error.status not in NO_SUCH_CALL:
                raise
            self._no_mark_failed_until = trio.current_time() + NO_CALL_MEMORY
            log.info("the proxy has no /mark-failed", remembered_seconds=NO_CALL_MEMORY)
            return False
        return True

    async def inbound(self, instance: InstanceId, message: InboundMessage) -> None:
        """Hands a message over. 409 (it is there already) is as good as 2xx."""
        try:
            private = (message.body, message.push_name)
            await self._post("inbound", wire.inbound_body(instance, message), private=private)
        except EdgeUnavailable as error:
            if error.status != HTTPStatus.CONFLICT:
                raise

    async def _poll(self, endpoint: str, query: str, structure: Callable[[object], T]) -> T:
        answer = await self._get(endpoint, query)
        try:
            models = structure(answer)
        except wire.NotTheContract as error:
            raise EdgeUnavailable(endpoint, str(error)) from None
        self.polled[endpoint] = trio.current_time()
        return models

    async def _get(self, endpoint: str, query: str) -> object:
        # a poll is made over and over: its request is built once
        request = self._polls.get(endpoint + query)
        if request is None:
            request = httpx.Request(
                "GET", f"{self._base_url}/{endpoint}{query}", headers=self._headers, extensions=_TIMEOUTS
            )
            self._polls[endpoint + query] = request
        body = await self._call(endpoint, request)
        try:
            if len(body) > 256 * 1024:  # parsing takes milliseconds: not in the loop
                return await trio.to_thread.run_sync(_parse, body)
            return _parse(body)
        except (ValueError, RecursionError):
            start = body[:40].decode("utf-8", "replace").split("\n")[0]
            kind = "HTML" if start.lstrip().startswith("<") else "no JSON"
            detail = f"the answer is {kind} ({len(body)} bytes): is this the worker-proxy?"
            raise EdgeUnavailable(endpoint, detail) from None

    async def _post(self, endpoint: str, body: dict[str, Any], *, private: Iterable[str | None] = ()) -> None:
        """`private`: what of the body no log may show, should the proxy quote it in an error."""
        url = f"{self._base_url}/{endpoint}"
        request = httpx.Request("POST", url, headers=self._headers, json=body, extensions=_TIMEOUTS)
        await self._call(endpoint, request, private)

    async def _call(self, endpoint: str, request: httpx.Request, private: Iterable[str | None] = ()) -> bytes:
        started, result = trio.current_time(), "error"
        private = (*private, self._secret.reveal())
        try:
            with trio.fail_after(CALL_DEADLINE):
                response = await self._transport.handle_async_request(request)
                try:
                    body = await _bounded(response, endpoint)
                finally:
                    await response.aclose()
            result = f"{response.status_code // 100}xx"
        except trio.TooSlowError:
            result = "timeout"
            raise EdgeUnavailable(endpoint, f"no complete answer within {CALL_DEADLINE:.0f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            result = "timeout" if isinstance(error, httpx.TimeoutException) else "error"
            said = str(error)
            if isinstance(error, httpx.ProtocolError):  # h11 shows what it cannot parse
                said = quotable(said.encode(errors="replace"), private)
            raise EdgeUnavailable(endpoint, f"{type(error).__name__}: {said or 'no answer'}") from error
        except trio.Cancelled:
            result = "cancelled"
            raise
        finally:
            self._metrics.edge_request(endpoint, result, trio.current_time() - started)
        if response.is_success:
            return body
        raise error_of(endpoint, response, quotable(body, private), private)

    def forget(self, instance: InstanceId) -> None:
        """An instance has ended: drops what was kept for its polls."""
        self._polls.pop(f"queued-messages?instanceId={instance}", None)


_TIMEOUTS = {"timeout": httpx.Timeout(CALL_DEADLINE, connect=10.0).as_dict()}


def _parse(body: bytes) -> object:
    """JSON, in which a number of absurd size costs its row and not the whole answer."""
    return json.loads(body, parse_int=lambda digits: int(digits) if len(digits) < 4000 else math.inf)


async def _bounded(response: httpx.Response, endpoint: str) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_raw():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER:
            raise EdgeUnavailable(endpoint, f"the answer is larger than {MAX_ANSWER // 2**20} MiB")
    return b"".join(chunks)


@asynccontextmanager
async def open_edge_client(
    base_url: str, secret: Secret, *, longest_poll: float, metrics: Metrics
) -> AsyncIterator[EdgeClient]:
    """Yields the one client of the process. `longest_poll` (seconds): connections are kept alive for three of these.

    It uses a transport without httpx's client: redirects, cookies and authentication flows, which we must not follow or
    do not have, are a third of a request's CPU. HTTPS_PROXY is for WhatsApp and does not count here.
    """
    async with open_transport(base_url, keep=max(15.0, 3 * longest_poll)) as connections:
        yield EdgeClient(connections, base_url, secret, metrics)
