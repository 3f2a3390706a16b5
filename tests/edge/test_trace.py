"""The `traceparent` of calls: one trace for a call with its tries, one span for each."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import pytest

from tests.edge.test_media_upload import received
from tests.link_host import Answer, open_link_host
from wa_worker.edge.client import EdgeClient, open_edge_client
from wa_worker.edge.events import status_event
from wa_worker.edge.evidence import LIST, QUEUE
from wa_worker.edge.trace import MOST_FAILING, Traces
from wa_worker.errors import EdgeError
from wa_worker.logs import mask
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, ProxyStatus, Secret, Status

_HEADER = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")


async def _fails(edge: EdgeClient, status: Status) -> str | None:
    try:
        await edge.update_status(InstanceId("shop"), status)
    except EdgeError as error:
        return error.trace
    return ""


async def test_the_tries_of_a_call_are_one_trace() -> None:
    async with open_link_host() as host:
        host.answers[f"/{LIST}"] = [Answer(status=503, times=2), Answer(b"[]")]
        host.answers["/update-status"] = [Answer(status=503, times=3), Answer(b"{}")]
        async with open_edge_client(host.url, Secret("s"), longest_poll=1, metrics=Metrics()) as edge:
            for _ in range(4):
                with suppress(EdgeError):
                    await edge.disconnected_instances()
            one, other = Status(ProxyStatus.CONNECTED), Status(ProxyStatus.CONNECTING)
            named = [await _fails(edge, status) for status in (one, other, one, one)]
    found = [_HEADER.fullmatch(headers["traceparent"]) for headers in host.headers]
    traces, spans = zip(*(match.groups() for match in found if match), strict=True)
    assert len(traces) == len(host.headers) == 8
    assert len(set(spans)) == 8, "each try is a span of its own"
    polls, told = traces[:4], traces[4:]
    assert polls[0] == polls[1] == polls[2], "until it has an answer"
    assert len({polls[2], polls[3]}) == 2
    assert told[0] == told[2] == told[3] != told[1], "what is told makes the call"
    assert named == [told[0], told[1], told[2], ""]


ODD = {"refuses": Answer(b"{}", status=404), "says something else": Answer(b"5")}


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("endpoint", [LIST, QUEUE, "poll", "events", "media-upload"])
async def test_every_error_of_a_call_names_its_trace(endpoint: str, answer: Answer) -> None:
    """That the proxy has no such call, too, and that its answer is not as the contract says."""
    shop = InstanceId("shop")
    async with open_link_host() as host:
        host.answers[f"/{endpoint}"] = [answer]
        async with open_edge_client(host.url, Secret("s"), longest_poll=1, metrics=Metrics()) as edge:
            calls: dict[str, Callable[[], Awaitable[object]]] = {
                LIST: edge.disconnected_instances,
                QUEUE: partial(edge.queued_messages, shop),
                "poll": partial(edge.poll, "w", {}, 0),
                "events": partial(edge.post_events, [], []),
                "media-upload": partial(edge.media_upload, received(), 5),
            }
            with pytest.raises(EdgeError) as caught:
                await calls[endpoint]()
    (headers,) = host.headers
    match = _HEADER.fullmatch(headers["traceparent"])
    assert match is not None
    assert caught.value.trace == match[1]


async def test_what_is_said_of_one_event_names_the_trace_of_the_call() -> None:
    event = status_event(InstanceId("shop"), Status(ProxyStatus.CONNECTED))
    async with open_link_host() as host:
        host.answers["/events"] = [Answer(b'{"results": [{"status": 503}]}')]
        async with open_edge_client(host.url, Secret("s"), longest_poll=1, metrics=Metrics()) as edge:
            (outcome,) = await edge.post_events([event], [b"{}"])
    assert outcome.error is not None
    assert outcome.error.traced
    assert host.headers[0]["traceparent"].startswith(f"00-{outcome.error.trace}-")


def test_the_log_names_it_as_it_is() -> None:
    error = EdgeError("poll", "answered 503", 503, trace="5511999990001" + "0" * 19)
    assert mask(None, "warning", {"event": "x", **error.traced})["trace"] == error.trace
    assert EdgeError("poll", "answered 503").traced == {}


def test_what_fails_for_ever_takes_no_more_room() -> None:
    traces = Traces()
    for number in range(MOST_FAILING + 10):
        traces.failed("events", str(number).encode(), "t")
    assert len(traces._failing) == MOST_FAILING
    assert traces.trace("events", b"0") != "t"
    assert traces.trace("events", b"500") == "t"
