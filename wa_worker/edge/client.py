"""The client of the worker-proxy: one method per endpoint of contract v1 over one httpx client.

Owns the connection pool, the deadline of a call and the meaning of an answer. It does not retry: its errors say
whether that makes sense. Answers are untrusted: bounded in size and time, and models or an error when they leave.
Cancelling a call closes its connection.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
import structlog
import trio

from wa_worker.edge import wire
from wa_worker.edge.answers import error_of, foreign, quotable
from wa_worker.edge.evidence import LIST, QUEUE, Evidence
from wa_worker.edge.transport import open_transport
from wa_worker.errors import EdgeError, EdgeForeign, EdgeUnavailable, Failure
from wa_worker.messages import InboundMessage, QueuedMessage
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, Jid, MessageId, Secret, Status, WaMessageId

log = structlog.get_logger(__name__)

T = TypeVar("T")

CALL_DEADLINE = 30.0
"""Seconds a call may take altogether, against an answer that trickles. Edge Functions stop at 30-150 s themselves."""

WRITE_DEADLINE = 3.0
"""Seconds for a piece of a body to leave: a server that has answered early may never read the rest."""

PIECE = 64 * 1024
"""Bytes of a body that are sent at once: 20 KB/s are enough for the deadline."""

MAX_ANSWER = 32 * 1024 * 1024
"""Bytes of an answer that are read: 10,000 messages of 3 KB. More is not a queue, it is a mistake."""

LARGE = 256 * 1024
"""Bytes or characters of JSON above which it is made and read on a thread."""


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
        host = httpx.URL(self._base_url).netloc.decode("ascii")
        self._post_headers = {**self._headers, "Host": host, "Content-Type": "application/json"}
        self._polls: dict[str, httpx.Request] = {}
        self.evidence = Evidence()
        """What the proxy has accepted: who would act on a refusal asks this first."""

    async def disconnected_instances(self) -> wire.Rows[InstanceId]:
        """Lists the instances to connect, and the rows that name none."""
        return await self._poll(LIST, "", wire.instances_from)

    async def queued_messages(self, instance: InstanceId) -> wire.Rows[QueuedMessage]:
        """Lists the messages to send, oldest first, and the rows that are none."""
        query = f"?instanceId={instance}"  # an id needs no escaping
        return await self._poll(QUEUE, query, wire.messages_from)

    async def update_status(self, instance: InstanceId, status: Status) -> None:
        """Tells the status of an instance."""
        await self._post("update-status", instance, wire.status_body(instance, status), private=(status.qr_code,))

    async def mark_sent(self, message_id: MessageId, wa_id: WaMessageId, to: Jid | None = None) -> None:
        """Tells that WhatsApp has accepted a message."""
        await self._post("mark-sent", message_id, wire.sent_body(message_id, wa_id, to))

    async def mark_failed(self, message_id: MessageId, failure: Failure) -> None:
        """Tells that a message will never be sent. The call is optional: NO_SUCH_CALL may be the answer."""
        await self._post("mark-failed", message_id, wire.failed_body(message_id, failure))

    async def inbound(self, instance: InstanceId, message: InboundMessage) -> int:
        """Hands a message over. ALREADY_THERE is an EdgeRejected like any other. Returns a hash of the answer."""
        key, private = message_key(instance, message), (message.body, message.push_name)
        return await self._post("inbound", key, wire.inbound_body(instance, message), private=private)

    async def _poll(self, endpoint: str, query: str, structure: Callable[[object], T]) -> T:
        began = trio.current_time()
        try:
            body = await self._call(endpoint, self._poll_request(endpoint, query))
        except EdgeError:
            self.evidence.failed(endpoint)
            raise
        try:
            # parsing a large one takes milliseconds: not in the loop
            answer = await trio.to_thread.run_sync(_parse, body) if len(body) > LARGE else _parse(body)
            models = structure(answer)
        except wire.NotTheContract as error:
            self.evidence.poll_strange(endpoint, hash(body), began)
            raise EdgeUnavailable(endpoint, str(error)) from None
        self.evidence.poll_accepted(endpoint, query, began)
        return models

    def _poll_request(self, endpoint: str, query: str) -> httpx.Request:
        """Builds a poll's request once: it is made over and over."""
        request = self._polls.get(endpoint + query)
        if request is None:
            request = httpx.Request(
                "GET", f"{self._base_url}/{endpoint}{query}", headers=self._headers, extensions=_TIMEOUTS
            )
            self._polls[endpoint + query] = request
        return request

    async def _post(
        self, endpoint: str, key: Hashable, body: dict[str, Any], *, private: Iterable[str | None] = ()
    ) -> int:
        """`key`: whom it is about. `private`: what of the body no log may show, should the proxy quote it in an error.

        Returns a hash of the answer.
        """
        url = f"{self._base_url}/{endpoint}"
        content = await self._encoded(body)
        headers = {**self._post_headers, "Content-Length": str(len(content))}
        request = httpx.Request("POST", url, headers=headers, stream=_Pieces(content), extensions=_TIMEOUTS)
        answer = hash(await self._call(endpoint, request, private))
        if self.evidence.is_strange(answer):
            raise EdgeForeign(endpoint, "answered as polls are, which is not as the contract says")
        self.evidence.accepted(endpoint, key)
        return answer

    async def _encoded(self, body: dict[str, Any]) -> bytes:
        """JSON, on a thread if the body is large: it takes milliseconds, and is repeated with each try."""
        if any(isinstance(value, str) and len(value) > LARGE for value in body.values()):
            return await trio.to_thread.run_sync(_json, body)
        return _json(body)

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
                said = quotable(said.encode(errors="replace")[:LARGE], private)
            raise EdgeUnavailable(endpoint, f"{type(error).__name__}: {said or 'no answer'}") from error
        except trio.Cancelled:
            result = "cancelled"
            raise
        finally:
            self._metrics.edge_request(endpoint, result, trio.current_time() - started)
        if kind := foreign(response, body):
            detail = (
                f"answered {response.status_code}, the answer is {kind} ({len(body)} bytes): is this the worker-proxy?"
            )
            raise EdgeForeign(endpoint, detail, response.status_code)
        if response.is_success:
            return body
        raise error_of(endpoint, response, await _quotable(body, private), private)

    def forget(self, instance: InstanceId) -> None:
        """An instance has ended: drops what was kept for its polls."""
        self._polls.pop(f"{QUEUE}?instanceId={instance}", None)


def message_key(instance: InstanceId, message: InboundMessage) -> Hashable:
    """Names a received message to the evidence."""
    return instance, message.chat, message.wa_id


_TIMEOUTS = {"timeout": httpx.Timeout(CALL_DEADLINE, connect=10.0, write=WRITE_DEADLINE).as_dict()}


class _Pieces(httpx.AsyncByteStream):
    """Gives a body piece by piece, once. No generator: one that is cancelled would have to be closed."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._start = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = self._content[self._start : self._start + PIECE]
        self._start += PIECE
        if not piece:
            raise StopAsyncIteration
        return piece


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _parse(body: bytes) -> object:
    """Reads JSON, in which a number of absurd size costs its row and not the whole answer."""
    try:
        return json.loads(body, parse_int=lambda digits: int(digits) if len(digits) < 4000 else math.inf)
    except (ValueError, RecursionError):
        raise wire.NotTheContract(f"the answer is no JSON ({len(body)} bytes): is this the worker-proxy?") from None


async def _quotable(answer: bytes, private: tuple[str | None, ...]) -> str:
    """As `quotable()`; on a thread if what is private is large."""
    if any(text is not None and len(text) > LARGE for text in private):
        return await trio.to_thread.run_sync(quotable, answer, private)
    return quotable(answer, private)


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
