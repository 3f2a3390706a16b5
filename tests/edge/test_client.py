"""What of a proxy's answer may be logged (P8), and how many connections its calls take."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from functools import partial

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.abc import Clock
from trio.testing import MockClock

from tests.proxy_fixture import PATIENCE, open_proxy_fixture
from wa_worker.dev.proxy import Fault
from wa_worker.edge.answers import quotable
from wa_worker.edge.call import CALL_DEADLINE
from wa_worker.edge.client import open_edge_client
from wa_worker.errors import EdgeUnavailable
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, Secret

HIDDEN = "it quotes the request"
BODY = "Olá, o código é 774411.\nNão conte a ninguém!"


@attrs.frozen
class Answer:
    text: str
    shown: str


ANSWERS = [
    Answer('{"error": "no such table"}', '{"error": "no such table"}'),
    Answer("", ""),
    Answer("  a \n  b ", "a b"),
    Answer(f"refused: {BODY}", HIDDEN),
    Answer(json.dumps({"error": "refused", "row": {"body": BODY}}), HIDDEN),
    Answer(json.dumps({"row": {"body": BODY}}, ensure_ascii=False), HIDDEN),
    Answer(f"too long: {BODY[:12]}...", HIDDEN),
    Answer(f"...{BODY[20:32]}", HIDDEN),
    Answer("Bearer hush-hush-42", HIDDEN),
    Answer("body must not be 'oi'", HIDDEN),
    Answer("x" * 300, "x" * 200),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.text[:30])
def test_an_answer_is_shown_unless_it_quotes(answer: Answer) -> None:
    assert quotable(answer.text.encode(), [None, "", BODY, "oi", "hush-hush-42"]) == answer.shown


@given(st.text(min_size=8), st.integers(0), st.text(max_size=20))
def test_no_eight_characters_of_a_body_are_shown(body: str, start: int, around: str) -> None:
    body = " ".join(body.split())
    quote = body[start % max(len(body) - 7, 1) :][:8]
    if len(quote) == 8 and quote == quote.strip():
        assert quote not in quotable(f"{around} {quote}".encode(errors="replace"), [body]) or "\ufffd" in quote


AT_ONCE = 25
"""Polls under way at a moment with 200 instances, one in 2 s, and a proxy that takes 250 ms."""


async def test_polls_that_overlap_do_not_open_connections_anew(nursery: trio.Nursery) -> None:
    opened = 0
    asked = 0
    all_asked = trio.Event()

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal opened, asked, all_asked
        opened += 1
        while await stream.receive_some(65536):
            asked += 1
            waiting = all_asked
            if asked % AT_ONCE == 0:
                all_asked.set()
                all_asked = trio.Event()
            await waiting.wait()
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")

    listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    with trio.fail_after(10):
        async with open_edge_client(url, Secret("s"), longest_poll=2, metrics=Metrics()) as edge:
            for _round in range(3):
                async with trio.open_nursery() as polls:
                    for n in range(AT_ONCE):
                        polls.start_soon(edge.queued_messages, InstanceId(f"i{n}"))
    assert opened == AT_ONCE


@attrs.frozen
class Pause:
    header: str
    least: float | None
    most: float | None = None


PAUSES = [
    Pause("0", 0, 0),
    Pause("7", 7, 8.4),
    Pause("9" * 400, 60, 72),
    Pause("Fri, 31 Dec 9999 23:59:59 GMT", 60, 72),
    Pause("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
    Pause("soon", None),
    Pause("\u00b2", None),
    Pause("1 Feb 99999999999999999999 00:00:00", None),  # OverflowError in the standard library
    Pause("1 Feb 2026 00:00:00 +99999999999999", None),
    Pause("1 Jan 0001 00:00:00 +2359", None),
]


@pytest.mark.parametrize("pause", PAUSES, ids=lambda pause: pause.header[:40])
async def test_whatever_retry_after_says_the_error_is_one_of_ours(nursery: trio.Nursery, pause: Pause) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some(65536)
        head = f"HTTP/1.1 503 Away\r\nRetry-After: {pause.header}\r\nContent-Length: 0\r\n\r\n"
        await stream.send_all(head.encode("latin-1"))

    listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    async with open_edge_client(url, Secret("s"), longest_poll=2, metrics=Metrics()) as edge:
        with pytest.raises(EdgeUnavailable) as caught:
            await edge.disconnected_instances()
    said = caught.value.retry_after
    if pause.least is None or pause.most is None:
        assert said is None or 0 <= said <= 72
    else:
        assert said is not None
        assert pause.least <= said <= pause.most


QUOTES = [
    b"HTTP/1.1 302 Found\r\nLocation: /login?from=%s\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-Echo\x00: %s\r\n\r\n",  # no header: the error of the HTTP library shows it
    b"%s\r\n\r\n",
]


@pytest.mark.parametrize("answer", QUOTES)
async def test_what_is_no_body_may_not_quote_either(nursery: trio.Nursery, answer: bytes) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(answer % b"hush-hush-42")

    listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    async with open_edge_client(url, Secret("hush-hush-42"), longest_poll=2, metrics=Metrics()) as edge:
        with pytest.raises(EdgeUnavailable) as caught:
            await edge.disconnected_instances()
    assert "hush" not in str(caught.value)


@pytest.fixture
def fast() -> Clock:
    """A second takes 50 ms on this clock. pytest-trio runs the test by the clock that is among its arguments."""
    return MockClock(rate=20.0)


async def test_an_answer_that_trickles_is_given_up(nursery: trio.Nursery, fast: Clock) -> None:
    """Each byte comes in time, and there is no end of them."""

    async def serve(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while True:
                await stream.send_all(b" ")
                await trio.sleep(1)

    listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    async with open_edge_client(url, Secret("s"), longest_poll=2, metrics=Metrics()) as edge:
        with trio.fail_after(3 * CALL_DEADLINE), pytest.raises(EdgeUnavailable, match="no complete answer within 30 s"):
            await edge.disconnected_instances()


async def test_a_good_list_after_one_that_failed_is_the_end_of_an_outage() -> None:
    recovered = trio.Event()
    async with open_proxy_fixture() as fixture, trio.open_nursery() as waiting:

        async def wait() -> None:
            await fixture.edge.evidence.recovery()
            recovered.set()

        waiting.start_soon(wait)
        await fixture.edge.disconnected_instances()
        assert not recovered.is_set(), "there was no outage"
        fixture.proxy.faults.set("*", Fault(status=503))
        with pytest.raises(EdgeUnavailable):
            await fixture.edge.disconnected_instances()
        fixture.proxy.faults.clear()
        await fixture.edge.disconnected_instances()
        with trio.fail_after(PATIENCE):
            await recovered.wait()


ENDLESS = """
import trio
from contextlib import suppress
from functools import partial
from wa_worker.edge.call import MAX_ANSWER
from wa_worker.edge.client import open_edge_client
from wa_worker.errors import EdgeUnavailable
from wa_worker.metrics import Metrics
from wa_worker.models import Secret
sent = 0
async def serve(stream):
    global sent
    with suppress(trio.BrokenResourceError):
        await stream.send_all(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
        while sent < 3 * MAX_ANSWER:
            await stream.send_all(b"100000\\r\\n" + b" " * 2**20 + b"\\r\\n")
            sent += 2**20
        await stream.send_all(b"0\\r\\n\\r\\n")
async def main():
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        async with open_edge_client(url, Secret("s"), longest_poll=2, metrics=Metrics()) as edge:
            try:
                await edge.disconnected_instances()
            except EdgeUnavailable as error:
                print(error, sent < 2 * MAX_ANSWER)
        nursery.cancel_scope.cancel()
trio.run(main)
"""


def test_an_answer_without_an_end_is_not_kept() -> None:
    """In a process of its own: the error leaves generators of the HTTP library behind, which hold nothing."""
    done = subprocess.run([sys.executable, "-c", ENDLESS], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "disconnected-instances: the answer is larger than 32 MiB True\n"
