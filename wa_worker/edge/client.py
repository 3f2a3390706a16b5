"""The client of the worker-proxy: one method for each endpoint, over one httpx transport.

It does not retry: its errors say whether that makes sense. What leaves it are models or an error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from wa_worker.edge import media_upload, wire
from wa_worker.edge.answers import NO_SUCH_CALL, event_error
from wa_worker.edge.call import Caller, encoded, parsed
from wa_worker.edge.events import Event, Outcome, status_event
from wa_worker.edge.evidence import LIST, QUEUE, Evidence
from wa_worker.edge.media_upload import UploadTarget
from wa_worker.edge.poster import EventPoster
from wa_worker.edge.transport import open_transport
from wa_worker.edge.version import ContractVersion
from wa_worker.edge.wants import Wants
from wa_worker.errors import EdgeError, EdgeForeign, EdgeUnavailable, NoSuchVersion, NoUploads
from wa_worker.journal import ReceivedFile
from wa_worker.messages import QueuedMessage, Wanted
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, Secret, Shard, Status

T = TypeVar("T")

POLL = "poll"
EVENTS = "events"


class EdgeClient:
    """Made by `open_edge_client()`. All methods raise EdgeUnavailable or EdgeRejected."""

    def __init__(self, caller: Caller, events_at_once: int = 4, forwarded: frozenset[Wanted] = frozenset()) -> None:
        self._caller = caller
        self.evidence = Evidence()
        """What the proxy has accepted: who would act on a refusal asks this first."""
        self.version = ContractVersion()
        self.wants = Wants(self.version, forwarded)
        """Which kinds of received messages it is told of."""
        self.poster = EventPoster(self, self.version, events_at_once)
        """What the proxy is told goes through this."""

    async def disconnected_instances(self) -> wire.InstanceRows:
        """Lists the instances to connect, and the rows that name none."""
        return await self._list(LIST, "", wire.instances_from)

    async def queued_messages(self, instance: InstanceId) -> wire.Rows[QueuedMessage]:
        """Lists the messages to send, oldest first, and the rows that are none."""
        return await self._list(QUEUE, _of(instance), wire.messages_from)

    async def poll(
        self, worker: str, asked: Mapping[str, str], wait: int, shard: Shard | None = None, *, peers: bool = False
    ) -> wire.Polled:
        """Asks for both at once, for `asked` with the state of each; the proxy may hold the answer for `wait` seconds.

        shard, peers: see wire.poll_body(). Raises NoSuchVersion if the answer is that of a proxy without this call.
        """
        began = trio.current_time()
        content = await encoded(wire.poll_body(worker, asked, wait, shard, peers=peers))
        try:
            answer = await self._caller.post(POLL, content, held=wait)
        except EdgeForeign as error:
            self.evidence.failed(LIST)
            raise EdgeUnavailable(POLL, error.detail, error.status, trace=error.trace) from error
        except EdgeError as error:
            if error.status in NO_SUCH_POLL:
                raise NoSuchVersion(POLL, error.detail, error.status, trace=error.trace) from error
            self.evidence.failed(LIST)
            raise
        try:
            polled = wire.polled_from(await parsed(answer.body))
        except wire.NotTheContract as error:
            raise NoSuchVersion(POLL, str(error), trace=answer.trace) from None
        self.evidence.poll_accepted(LIST, "", began)
        self.wants.said(polled.want)
        return polled

    async def update_status(self, instance: InstanceId, status: Status) -> None:
        """Tells the status of an instance."""
        await self.poster.tell(status_event(instance, status))

    async def post_event(self, event: Event) -> int:
        """Tells one event by its version 1 call. Returns a hash of the answer."""
        content = await encoded(event.body)
        answer = await self._caller.post(event.endpoint, content, event.private)
        found = hash(answer.body)
        if self.evidence.is_strange(found):
            said = "answered as polls are, which is not as the contract says"
            raise EdgeForeign(event.endpoint, said, trace=answer.trace)
        self.evidence.accepted(event.endpoint, event.key)
        return found

    async def post_events(self, events: Sequence[Event], parts: Sequence[bytes]) -> list[Outcome]:
        """Tells several events in one call, `parts` being their JSON, and returns what became of each.

        Raises NoSuchVersion if the answer is that of a proxy without this call.
        """
        content = b'{"events":[' + b",".join(parts) + b"]}"
        private = [text for event in events for text in event.private]
        try:
            answer = await self._caller.post(EVENTS, content, private)
        except EdgeForeign:
            raise
        except EdgeError as error:
            if error.status in NO_SUCH_CALL:
                raise NoSuchVersion(EVENTS, error.detail, error.status, trace=error.trace) from error
            raise
        try:
            results = wire.results_from(await parsed(answer.body), len(events))
        except wire.NotTheContract as error:
            self.version.events_answered(well_formed=False)
            raise EdgeUnavailable(EVENTS, str(error), trace=answer.trace) from None
        self.version.events_answered(well_formed=True)
        outcomes = [
            Outcome(event_error(event.endpoint, result.status, result.error, event.private))
            for event, result in zip(events, results, strict=True)
        ]
        for event, outcome in zip(events, outcomes, strict=True):
            if outcome.error is not None:
                outcome.error.trace = answer.trace
            else:
                self.evidence.accepted(event.endpoint, event.key)
        return outcomes

    async def media_upload(self, file: ReceivedFile, size: int) -> UploadTarget:
        """Asks where a file of `size` bytes is to be put.

        Raises NoUploads if the answer is that of a proxy without this call.
        """
        body = media_upload.asked(file, size)
        known = self.evidence.latest(media_upload.ENDPOINT) is not None
        try:
            answer = await self._caller.post(
                media_upload.ENDPOINT, await encoded(body), (body["chat_id"], body["filename"])
            )
        except EdgeForeign:
            raise
        except EdgeError as error:
            if error.status in NO_SUCH_CALL or (error.status == 400 and not known):
                raise NoUploads(error.endpoint, error.detail, error.status, trace=error.trace) from error
            raise
        try:
            target = media_upload.target_from(await parsed(answer.body))
        except wire.NotTheContract as error:
            kind = EdgeUnavailable if known else NoUploads
            raise kind(media_upload.ENDPOINT, str(error), trace=answer.trace) from None
        self.evidence.accepted(media_upload.ENDPOINT, file.seq)
        return target

    def forget(self, instance: InstanceId) -> None:
        """An instance has ended: drops what was kept for its polls."""
        self._caller.forget(QUEUE, _of(instance))

    async def _list(self, endpoint: str, query: str, structure: Callable[[object], T]) -> T:
        began = trio.current_time()
        try:
            answer = await self._caller.get(endpoint, query)
        except EdgeError:
            self.evidence.failed(endpoint)
            raise
        try:
            models = structure(await parsed(answer.body))
        except wire.NotTheContract as error:
            self.evidence.poll_strange(endpoint, hash(answer.body), began)
            raise EdgeUnavailable(endpoint, str(error), trace=answer.trace) from None
        self.evidence.poll_accepted(endpoint, query, began)
        return models


NO_SUCH_POLL = NO_SUCH_CALL | {400}
"""How a proxy of version 1 may answer `/poll`: some know their calls by the body."""


def _of(instance: InstanceId) -> str:
    return f"?instanceId={instance}"  # an id needs no escaping


@asynccontextmanager
async def open_edge_client(
    base_url: str,
    secret: Secret,
    *,
    longest_poll: float,
    metrics: Metrics,
    events_at_once: int = 4,
    forwarded: frozenset[Wanted] = frozenset(),
) -> AsyncIterator[EdgeClient]:
    """Yields the one client of the process. `longest_poll` (seconds): connections are kept alive for three of these.
    `forwarded`: the kinds of received messages that a proxy is told of which does not say what it wants.

    It uses a transport without httpx's client: redirects, cookies and authentication flows, which we must not follow or
    do not have, are a third of a request's CPU. HTTPS_PROXY is for WhatsApp and does not count here.
    """
    async with open_transport(base_url, keep=max(15.0, 3 * longest_poll)) as connections:
        yield EdgeClient(Caller(connections, base_url, secret, metrics), events_at_once, forwarded)
