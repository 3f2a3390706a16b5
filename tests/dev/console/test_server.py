"""The console over HTTP, without a browser or a worker: who is let in, what a page may do, and how it ends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import attrs
import h11
import httpx
import pytest
import trio

from wa_worker.dev.console import bind, open_console
from wa_worker.dev.console.app import STREAMS
from wa_worker.dev.console.server import PORT
from wa_worker.dev.proxy import ReferenceProxy, open_proxy


@attrs.frozen
class Desk:
    """A console, its proxy with an instance `shop`, and a client that behaves as the console's own page does."""

    proxy: ReferenceProxy
    http: httpx.AsyncClient
    port: int

    async def press(self, button: str, **fields: str) -> httpx.Response:
        return await self.http.post(f"/do/{button}", data=fields)


@asynccontextmanager
async def open_desk() -> AsyncIterator[Desk]:
    with bind(0) as bound, trio.fail_after(20):
        async with open_proxy(secret="s") as proxy:
            proxy.store.add_instance("shop")
            async with open_console(bound, proxy, None) as console:
                headers = {"Origin": console.url, "HX-Request": "true"}
                async with httpx.AsyncClient(base_url=console.url, headers=headers, trust_env=False) as http:
                    yield Desk(proxy, http, console.port)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with open_desk() as opened:
        yield opened


def test_it_listens_where_it_is_told() -> None:
    with bind(0, "127.0.0.2") as elsewhere, bind(0) as here:
        assert elsewhere.getsockname()[0] == "127.0.0.2"
        assert here.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("header", ["HX-Current-URL", "Referer"])
async def test_what_a_form_leads_to_is_narrowed_as_its_page_is(desk: Desk, header: str) -> None:
    """With the script, which names its page's address, and without."""
    came_from = {header: f"http://127.0.0.1:{desk.port}/?instance=shop&q=sh%20op&show=way#conversation"}
    scripted = {"HX-Request": "true"} if header == "HX-Current-URL" else {}
    del desk.http.headers["HX-Request"]
    fields = {"instance": "shop", "chat": "new", "to": "5511988880002", "body": "first"}
    answer = await desk.http.post("/do/send", data=fields, headers={**came_from, **scripted})
    leads_to = answer.headers["HX-Redirect" if scripted else "Location"]
    assert leads_to == "/?instance=shop&chat=5511988880002%40s.whatsapp.net&q=sh+op&show=way"
    refused = await desk.http.post("/do/send", data={**fields, "body": ""}, headers=came_from)
    assert 'value="sh op"' in refused.text, "and what is said instead of it"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "evil.example:{port}", "127.0.0.1.evil.example:{port}", ""]
)
@pytest.mark.parametrize("path", ["/", "/events", "/static/console.js"])
async def test_other_hosts_are_refused(desk: Desk, host: str, path: str) -> None:
    """A page whose name was rebound to 127.0.0.1 is as foreign as any."""
    answer = await desk.http.get(path, headers={"Host": host.format(port=desk.port)})
    assert answer.status_code in (400, 403)
    assert "shop" not in answer.text


@pytest.mark.parametrize("host", ["localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}", "127.0.0.1:{port}"])
async def test_the_names_of_this_machine_are_not(desk: Desk, host: str) -> None:
    answer = await desk.http.get("/", headers={"Host": host.format(port=desk.port)})
    assert answer.status_code == 200
    assert "shop" in answer.text


@attrs.frozen
class Sender:
    headers: dict[str, str]
    status: int


@pytest.mark.parametrize(
    "sender",
    [
        Sender({"Origin": "http://evil.example"}, 403),
        Sender({"Origin": "http://127.0.0.1:1"}, 403),
        Sender({"Origin": "https://127.0.0.1:{port}"}, 403),
        Sender({"Origin": "http://localhost:{port}"}, 403),  # another origin than the Host's
        Sender({"Origin": "null"}, 403),
        Sender({"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
        Sender({"Sec-Fetch-Site": "cross-site"}, 403),
        Sender({"Sec-Fetch-Site": "same-site"}, 403),
        Sender({"Sec-Fetch-Site": "none"}, 403),
        Sender({}, 403),
        Sender({"Sec-Fetch-Site": "same-origin"}, 200),
        Sender({"Origin": "http://127.0.0.1:{port}"}, 200),
    ],
    ids=lambda sender: str(sender.headers),
)
async def test_only_its_own_page_may_press_a_button(desk: Desk, sender: Sender) -> None:
    del desk.http.headers["Origin"]
    headers = {name: value.format(port=desk.port) for name, value in sender.headers.items()}
    answer = await desk.http.post("/do/remove", data={"instance": "shop"}, headers=headers)
    assert answer.status_code == sender.status
    assert (desk.proxy.store.instance("shop") is None) is (sender.status == 200)


async def test_the_policy_goes_with_everything(desk: Desk) -> None:
    for path in ("/", "/static/console.css", "/nothing"):
        answer = await desk.http.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    page = (await desk.http.get("/")).text
    assert "http://" not in page  # no asset from elsewhere
    assert "https://" not in page
    assert " style=" not in page
    assert page.count("<script") == 3
    for setting in ("includeIndicatorStyles", "allowEval", "allowScriptTags"):  # what the policy would stop
        assert f"&#34;{setting}&#34;: false" in page
    assert (await desk.http.get("/")).headers["Cache-Control"] == "no-store"
    assert (await desk.http.put("/do/remove")).status_code == 405
    assert (await desk.http.options("/do/remove")).status_code == 405


async def test_forms_work_without_the_script(desk: Desk) -> None:
    del desk.http.headers["HX-Request"]
    answer = await desk.press("send", instance="shop", to="+55 11 98888-0002", chat="new", body="a\r\nb")
    assert answer.status_code == 303
    page = await desk.http.get(answer.headers["Location"])
    assert 'dir="auto">a\nb</div>' in page.text
    answer = await desk.press("add", instance="../etc")
    assert answer.status_code == 409
    assert "Not added: an instance id is" in answer.text


@attrs.frozen
class Press:
    button: str
    fields: dict[str, str]
    status: int
    text: str


@pytest.mark.parametrize(
    "press",
    [
        Press("add", {"instance": " till "}, 200, "till was added."),
        Press("add", {"instance": ".."}, 409, "Not added: an instance id is"),
        Press("add", {"instance": "a/b"}, 409, "Not added: an instance id is"),
        Press("add", {}, 409, "Not added: an instance id is"),
        Press("add", {"instance": "shop"}, 409, "there is an instance shop already"),
        Press("remove", {"instance": "x\u202e"}, 409, "There is no instance x[U+202E] to remove."),
        Press("disconnect", {}, 409, "There is no instance without a name"),
        Press("connect", {"instance": "shop"}, 409, "shop is not disconnected."),
        Press("send", {"instance": "shop", "to": "1", "body": " \n"}, 409, "the message is empty"),
        Press("send", {"instance": "shop", "to": " ", "body": "x"}, 409, "write a phone number"),
        Press("send", {"instance": "else", "to": "1", "body": "x"}, 409, "else is not at the proxy"),
        Press("send", {"instance": "shop", "to": "1", "body": "x" * 100_001}, 409, "more than 100000 characters"),
        Press("scan", {"instance": "shop"}, 409, "There is no such button."),  # nothing is simulated here
        Press("__init__", {}, 409, "There is no such button."),
    ],
    ids=lambda press: f"{press.button}-{press.status}",
)
async def test_what_a_button_says(desk: Desk, press: Press) -> None:
    answer = await desk.press(press.button, **press.fields)
    assert answer.status_code == press.status
    assert ('class="bad"' in answer.text) is (press.status != 200)
    assert press.text in answer.text.encode().decode("unicode_escape" if "\\u" in answer.text else "utf-8")


async def test_a_form_that_is_too_large_is_not_read(desk: Desk) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", desk.port) as stream:
        head = f"POST /do/send HTTP/1.1\r\nHost: 127.0.0.1:{desk.port}\r\nOrigin: http://127.0.0.1:{desk.port}\r\n"
        form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 20000000\r\n\r\nbody="
        await stream.send_all((head + form).encode())
        assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 413 ")


async def test_a_disconnected_instance_is_called_back_once_and_kept_as_a_card(desk: Desk) -> None:
    store = desk.proxy.store
    store.update_status("shop", "CONNECTED", None)
    assert (await desk.press("disconnect", instance="shop")).status_code == 200
    assert store.instance("shop") is None
    assert store.unconnected() == ["shop"]  # so that the worker, who is connected, says so
    assert not store.update_status("shop", "CONNECTED", None)  # and is told that there is no such instance
    assert store.unconnected() == []
    page = (await desk.http.get("/")).text
    assert "Disconnected" in page
    assert "shop is not at the proxy: connect or add it to write." in page

    assert (await desk.press("connect", instance="shop")).status_code == 200
    assert store.parked() == []
    assert store.unconnected() == ["shop"]

    assert (await desk.press("disconnect", instance="shop")).status_code == 200
    assert store.unconnected() == []  # not connected: its next status is soon enough
    assert (await desk.press("remove", instance="shop")).status_code == 200
    assert store.parked() == []
    assert "No instance. Add one" in (await desk.http.get("/")).text


class Events:
    """Reads a stream of updates. Not httpx: it leaves generators behind when a stream is not read to its end."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT)
        self._text = ""

    async def start(self, port: int, query: str) -> h11.Response:
        request = h11.Request(method="GET", target=f"/events{query}", headers=[("Host", f"127.0.0.1:{port}")])
        await self._stream.send_all(self._http.send(request) + self._http.send(h11.EndOfMessage()))
        response = await self._event()
        assert isinstance(response, h11.Response)
        return response

    async def next(self) -> dict[str, Any]:
        while "\n\n" not in self._text:
            event = await self._event()
            assert isinstance(event, h11.Data), event
            self._text += event.data.decode()
        update, _, self._text = self._text.partition("\n\n")
        found: dict[str, Any] = json.loads(update.removeprefix("data: "))
        return found

    async def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._stream.receive_some(65536))
        return event


@asynccontextmanager
async def open_events(desk: Desk, query: str = "") -> AsyncIterator[Events]:
    async with await trio.open_tcp_stream("127.0.0.1", desk.port) as stream:
        events = Events(stream)
        response = await events.start(desk.port, query)
        assert response.status_code == 200
        assert dict(response.headers)[b"content-type"] == b"text/event-stream"
        yield events


async def test_a_page_is_told_what_has_changed_and_nothing_else(desk: Desk) -> None:
    async with open_events(desk, "?instance=shop") as events:
        first = await events.next()
        assert set(first["html"]) == {"health", "cards", "chats", "head", "messages", "composer"}
        assert first["events"] == "/events?instance=shop"

        message = desk.proxy.store.queue("shop", "5511988880002", "<b>")
        update = await events.next()
        assert set(update["html"]) == {"chats", "head", "messages", "composer"}
        assert "&lt;b&gt;" in update["html"]["messages"]
        # the first chat that comes up is the page's from now on, through reconnects
        assert update["events"] == "/events?instance=shop&chat=5511988880002%40s.whatsapp.net"
        desk.proxy.store.mark_sent(message, "3EB0")
        assert set((await events.next())["html"]) == {"messages"}

        desk.proxy.store.queue("shop", "5511977770001", "another chat")
        assert set((await events.next())["html"]) == {"chats"}
        desk.proxy.changed.ring()  # a poll of the worker: nothing to see
        with trio.move_on_after(0.3) as silence:
            await events.next()
        assert silence.cancelled_caught


async def test_streams_are_bounded_and_given_back(desk: Desk) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(STREAMS):
            events = await stack.enter_async_context(open_events(desk))
            await events.next()
        assert (await desk.http.get("/events")).status_code == 503
        assert (await desk.http.get("/")).status_code == 200
    await trio.sleep(0.1)
    async with open_events(desk):
        pass


async def test_a_reader_that_stalls_does_not_hold_up_the_end() -> None:
    with trio.fail_after(10):
        async with open_desk() as desk:
            stream = await trio.open_tcp_stream("127.0.0.1", desk.port)
            stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 1024)
            request = f"GET /events?instance=shop HTTP/1.1\r\nHost: 127.0.0.1:{desk.port}\r\n\r\n"
            await stream.send_all(request.encode())
            for _ in range(60):  # each update is larger than the last
                desk.proxy.store.queue_many("shop", [("5511988880002", "x" * 20_000)] * 5)
                await trio.sleep(0.01)
        await stream.aclose()


def test_the_usual_port_is_taken_by_somebody_else() -> None:
    with bind(None) as first, bind(None) as second:
        ports = {first.getsockname()[1], second.getsockname()[1]}
        assert len(ports) == 2
        assert second.getsockname()[1] != PORT
        assert {bound.getsockname()[0] for bound in (first, second)} == {"127.0.0.1"}
        with pytest.raises(OSError, match="in use"):
            bind(first.getsockname()[1])


@pytest.mark.parametrize("name", ["htmx.min.js", "idiomorph-ext.min.js"])
async def test_scripts_of_others_are_ours_to_serve_with_their_licence(desk: Desk, name: str) -> None:
    answer = await desk.http.get(f"/static/{name}")
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert "Zero-Clause BSD: Permission to use" in answer.text[:200]
