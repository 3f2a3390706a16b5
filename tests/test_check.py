"""What the checks make of what they find; tests/e2e/test_check.py runs the command as people do."""

from __future__ import annotations

import base64
import errno
import os
import ssl
import subprocess
import time
from collections.abc import Iterator
from email.utils import formatdate
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio
import trustme

from wa_worker.check.clock import Clock
from wa_worker.check.configuration import read_configuration
from wa_worker.check.proxy import check_proxy
from wa_worker.check.result import Grade, Result, lines, quoted, reason
from wa_worker.check.route import _is_exempt, check_route
from wa_worker.check.volume import look_at_volume
from wa_worker.check.writing import check_writing
from wa_worker.dev.proxy import Fault, ReferenceProxy, open_proxy
from wa_worker.models import InstanceId, Secret
from wa_worker.volume import hold_volume

SECRET = Secret("a-secret-of-the-tests")
GOOD = {"EDGE_BASE_URL": "https://proxy.example/worker-proxy", "WORKER_SECRET": "a-secret-of-the-tests"}


def by_name(results: list[Result]) -> dict[str, Result]:
    assert len({result.name for result in results}) == len(results)
    return {result.name: result for result in results}


@attrs.frozen
class Odd:
    """A proxy with these faults: the check of this name grades it so, and says these words."""

    faults: dict[str, Fault]
    name: str
    grade: Grade
    says: str
    advises: str = ""


LISTS, QUEUE = "disconnected-instances", "queued-messages"
JSON_401 = b'{"code":401,"message":"Invalid JWT"}'
ODD = [
    Odd({}, "secret", Grade.OK, "accepted"),
    Odd({}, "wrong secret", Grade.OK, "refused (401)"),
    Odd({}, LISTS, Grade.OK, "1 instance to connect"),
    Odd({}, QUEUE, Grade.OK, "empty list"),
    Odd({"*": Fault(status=401, body=JSON_401)}, "secret", Grade.FAIL, "answered 401", "--no-verify-jwt"),
    Odd({"*": Fault(status=403)}, LISTS, Grade.WARN, "not checked: the secret is refused"),
    Odd({QUEUE: Fault(status=403)}, QUEUE, Grade.FAIL, "answered 403", "WORKER_SECRET"),
    Odd({LISTS: Fault(body=b"[]")}, "wrong secret", Grade.FAIL, "anybody can read", "401"),
    Odd({QUEUE: Fault(body=b"[]")}, "wrong secret", Grade.FAIL, "GET /queued-messages with a wrong secret"),
    Odd({LISTS: Fault(body=b'{"error": "no"}')}, "wrong secret", Grade.WARN, '{"error": "no"}', "401"),
    Odd({LISTS: Fault(status=500)}, "wrong secret", Grade.WARN, "answered 500", "401"),
    Odd({LISTS: Fault(cut=True)}, "proxy", Grade.FAIL, "disconnected"),
    Odd({LISTS: Fault(body=b"<html>")}, LISTS, Grade.FAIL, "HTML", "EDGE_BASE_URL"),
    Odd({LISTS: Fault(body=b"<html>")}, "secret", Grade.WARN, "not checked"),
    Odd({LISTS: Fault(body=b"")}, LISTS, Grade.FAIL, "no JSON"),
    Odd({LISTS: Fault(body=b'{"rows": []}')}, LISTS, Grade.FAIL, "expected a JSON list", "contract.md"),
    Odd({LISTS: Fault(body=b'[{"id": "../x"}, {"id": "shop"}]')}, LISTS, Grade.WARN, "1 of 2 rows are skipped"),
    Odd({LISTS: Fault(headers={"Content-Encoding": "br"})}, LISTS, Grade.FAIL, "compressed (br)"),
    Odd({LISTS: Fault(status=404)}, LISTS, Grade.FAIL, "answered 404", "path"),
    Odd({LISTS: Fault(status=503)}, LISTS, Grade.FAIL, "answered 503", "log"),
    Odd({QUEUE: Fault(status=404)}, QUEUE, Grade.WARN, "answered 404", "empty list"),
    Odd({QUEUE: Fault(body=b'[{"id": 1, "to": "5511988880002", "body": "x"}]')}, QUEUE, Grade.FAIL, "1 messages for"),
    Odd(
        {LISTS: Fault(status=302, headers={"Location": "https://login.example/in?token=t0ken"})},
        LISTS,
        Grade.FAIL,
        "answered 302 to https://login.example/in",
        "EDGE_BASE_URL",
    ),
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{'-'.join(odd.faults) or 'good'}-{odd.name}-{odd.grade.value}")
async def test_of_the_proxy(odd: Odd) -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        proxy.store.add_instance("shop")
        proxy.faults.replace(odd.faults)
        results = await check_proxy(proxy.url, SECRET, Clock())
    found = by_name(results)[odd.name]
    assert found.grade is odd.grade
    assert odd.says in found.found
    assert odd.advises in (found.remedy or "")
    assert "t0ken" not in str(results)


async def test_what_the_proxy_repeats_of_the_secret_or_a_number_is_not_shown() -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        proxy.faults.set("*", Fault(status=500, body=f"\x1b[2J {SECRET.reveal()} of 5511988880002".encode()))
        results = await check_proxy(proxy.url, SECRET, Clock())
    assert by_name(results)[LISTS].found == "answered 500 ([2J *** of ***0002)"
    assert SECRET.reveal() not in str(results)


async def test_reading_changes_nothing_at_the_proxy() -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        proxy.store.add_instance("shop")
        await check_proxy(proxy.url, SECRET, Clock())
        assert set(proxy.store.requests) == {LISTS, QUEUE}
        assert proxy.store.statuses("shop") == []


async def test_without_a_usable_secret_the_refusal_is_checked_all_the_same() -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        found = by_name(await check_proxy(proxy.url, None, Clock()))
    assert found["wrong secret"].grade is Grade.OK
    assert {found[name].found for name in ("secret", LISTS, QUEUE)} == {"not checked: WORKER_SECRET is not usable"}


async def written(proxy: ReferenceProxy, *, worker_is_running: bool = False) -> dict[str, Result]:
    instance = InstanceId("shop")
    return by_name(await check_writing(proxy.url, SECRET, instance, Clock(), worker_is_running=worker_is_running))


async def test_writing_says_a_status_that_holds_and_marks_what_does_not_exist() -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        proxy.store.add_instance("shop")
        proxy.store.queue("shop", "5511988880002", "to be sent by a worker")
        found = await written(proxy)
        assert [result.grade for result in found.values()] == [Grade.OK] * 3
        assert [change.status for change in proxy.store.statuses("shop")] == ["DISCONNECTED"]
        assert [row.status for row in proxy.store.messages("shop")] == ["queued"]
        assert proxy.store.inbound("shop") == []


async def test_writing_leaves_the_status_alone_where_it_would_be_wrong() -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        proxy.store.add_instance("shop", "CONNECTED")
        assert "not written" in (await written(proxy))["update-status"].found
        proxy.store.add_instance("shop", "CONNECTING")
        assert "a worker runs here" in (await written(proxy, worker_is_running=True))["update-status"].found
        assert proxy.store.statuses("shop") == []


async def test_writing_notices_calls_that_are_missing_or_break() -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        proxy.store.add_instance("shop")
        proxy.store.has_mark_failed = False
        proxy.faults.set("mark-sent", Fault(status=404, body=b'{"error": "Not Found"}'))
        found = await written(proxy)
        assert "has none" in found["mark-failed"].found
        assert found["mark-sent"].grade is Grade.FAIL
        proxy.faults.set("mark-sent", Fault(status=500))
        proxy.faults.set("update-status", Fault(status=404))
        found = await written(proxy)
        assert found["mark-sent"].grade is Grade.WARN
        assert found["update-status"].grade is Grade.FAIL
        proxy.faults.set("*", Fault(status=401))
        proxy.faults.set("update-status", Fault(status=401))
        proxy.faults.set("mark-sent", Fault(status=401))
        assert {r.grade for r in (await written(proxy)).values()} <= {Grade.FAIL, Grade.WARN}


@pytest.mark.parametrize(
    ("ahead", "grade"),
    [(0, Grade.OK), (-25, Grade.OK), (25, Grade.OK), (40, Grade.WARN), (-40, Grade.WARN), (400, Grade.FAIL)],
)
def test_of_the_clock(ahead: int, grade: Grade) -> None:
    clock = Clock()
    clock.saw("the proxy", formatdate(time.time() - ahead, usegmt=True), time.time())
    assert clock.result().grade is grade
    if grade is not Grade.OK:
        assert ("ahead of" if ahead > 0 else "behind") in clock.result().found


def test_the_clock_of_whatsapp_counts_most_and_caches_do_not() -> None:
    clock = Clock()
    clock.saw("the proxy", formatdate(time.time() - 900, usegmt=True), time.time(), age="900")
    clock.saw("the proxy", "yesterday", time.time())
    clock.saw("the proxy", None, time.time())
    assert "not checked" in clock.result().found
    clock.saw("the proxy", formatdate(time.time() - 900, usegmt=True), time.time())
    clock.saw("WhatsApp", formatdate(time.time(), usegmt=True), time.time())
    assert clock.result().grade is Grade.OK


def test_a_slow_answer_does_not_look_like_a_wrong_clock() -> None:
    for written in (time.time() - 60, time.time()):  # it may have been dated at once, or at the end
        clock = Clock()
        clock.saw("the proxy", formatdate(written, usegmt=True), time.time() - 60)
        assert clock.result().grade is Grade.OK


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"EDGE_BASE_URL": "http://proxy.example"}, "plain http to proxy.example"),
        ({"WORKER_SECRET": '"a-secret-of-the-tests"'}, "quotation marks"),
        ({"WORKER_SECRET": "short"}, "fewer than 16"),
    ],
)
def test_unwise_settings_are_warned_of(settings: dict[str, str], says: str) -> None:
    configuration = read_configuration({**GOOD, **settings})
    first, second = configuration.results
    assert configuration.usable
    assert (first.grade, second.grade) == (Grade.OK, Grade.WARN)
    assert says in second.found
    assert settings.get("WORKER_SECRET", "-") not in second.found.split()


@pytest.mark.parametrize("url", ["http://127.0.0.1:8787", "http://10.0.0.7", "http://proxy", "https://proxy.example"])
def test_an_address_that_nobody_can_listen_to_is_not_warned_of(url: str) -> None:
    assert len(read_configuration({**GOOD, "EDGE_BASE_URL": url}).results) == 1


def test_each_fault_of_the_settings_is_a_line_and_the_rest_is_used() -> None:
    configuration = read_configuration({"EDGE_BASE_URL": GOOD["EDGE_BASE_URL"], "PORT": "x"})
    assert not configuration.usable
    assert [result.grade for result in configuration.results] == [Grade.FAIL, Grade.FAIL]
    assert (configuration.base_url, configuration.secret) == (GOOD["EDGE_BASE_URL"], None)
    assert configuration.auth_dir is not None


def test_a_good_volume(tmp_path: Path) -> None:
    found = by_name(look_at_volume(tmp_path))
    assert {found[name].grade for name in ("volume", "free space", "permissions", "lock")} == {Grade.OK}
    assert list(tmp_path.iterdir()) == []


def test_a_volume_that_the_worker_will_make_is_not_made(tmp_path: Path) -> None:
    auth_dir = tmp_path / "data" / "auth"
    found = by_name(look_at_volume(auth_dir))
    assert found["volume"].grade is Grade.OK
    assert str(tmp_path) in found["volume"].found
    assert list(tmp_path.iterdir()) == []


async def test_a_running_worker_is_noticed_and_no_fault(tmp_path: Path) -> None:
    async with hold_volume(tmp_path):
        assert by_name(look_at_volume(tmp_path))["lock"] == Result(
            "lock", Grade.WARN, "a worker is running here", "nothing, if there should be one; a second one would wait"
        )
    assert by_name(look_at_volume(tmp_path))["lock"].grade is Grade.OK


def test_sessions_that_others_can_read_are_warned_of(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir(mode=0o755)
    (shop / "session.db").touch()
    tmp_path.chmod(0o755)
    found = by_name(look_at_volume(tmp_path))["permissions"]
    assert (found.grade, found.remedy) == (Grade.WARN, f"chmod -R go= {tmp_path}")
    tmp_path.chmod(0o700)
    assert by_name(look_at_volume(tmp_path))["permissions"].grade is Grade.OK


@pytest.mark.skipif(os.geteuid() == 0, reason="root can use every file")
def test_files_of_another_user_are_a_fault(tmp_path: Path) -> None:
    (tmp_path / "@worker").mkdir()
    (tmp_path / "@worker" / "journal.db").touch(mode=0o400)
    found = by_name(look_at_volume(tmp_path))["permissions"]
    assert found.grade is Grade.FAIL
    assert "chown" in (found.remedy or "")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a tmpfs here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_and_passing_disk(small_disk: Path) -> None:
    found = by_name(look_at_volume(small_disk))
    assert found["volume"].grade is Grade.OK
    assert (found["free space"].grade, found["file system"].grade) == (Grade.FAIL, Grade.WARN)
    (small_disk / "filler").write_bytes(bytes(8 * 2**20))
    assert "No space" in by_name(look_at_volume(small_disk))["volume"].found


@pytest.mark.parametrize(
    ("no_proxy", "exempt"),
    [
        ("", False),
        ("*", True),
        ("web.whatsapp.com", True),
        ("example.com, .whatsapp.com:443", True),
        ("whatsapp.com", True),
        ("app.com", False),
    ],
)
def test_no_proxy_is_read_as_go_does(no_proxy: str, exempt: bool) -> None:
    assert _is_exempt("web.whatsapp.com", no_proxy) is exempt


@attrs.define
class WayOut:
    """An https proxy that wants a password, and a web server behind it that knows no WebSockets. One CA for both."""

    environ: dict[str, str]
    asked: list[bytes] = attrs.Factory(list)
    answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture
async def way_out(tmp_path: Path, nursery: trio.Nursery) -> WayOut:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "web.whatsapp.com").configure_cert(context)

    async def head(stream: trio.abc.Stream) -> bytes:
        got = b""
        while b"\r\n\r\n" not in got and (data := await stream.receive_some(4096)):
            got += data
        return got

    async def talk(tcp: trio.SocketStream) -> None:
        async with tcp:
            outer = trio.SSLStream(tcp, context, server_side=True)
            way.asked.append(await head(outer))
            await outer.send_all(way.answer)
            if b" 200 " in way.answer:
                inner = trio.SSLStream(outer, context, server_side=True)
                way.asked.append(await head(inner))
                date = formatdate(time.time() - 3600, usegmt=True)
                await inner.send_all(f"HTTP/1.1 403 Forbidden\r\nDate: {date}\r\n\r\n".encode())

    listeners = await nursery.start(partial(trio.serve_tcp, talk, 0, host="127.0.0.1"))
    port = listeners[0].socket.getsockname()[1]
    way = WayOut({"HTTPS_PROXY": f"https://ana:s%40fe@localhost:{port}", "SSL_CERT_FILE": str(tmp_path / "ca.pem")})
    return way


async def test_a_proxy_that_lets_no_websocket_through(way_out: WayOut) -> None:
    clock = Clock()
    found = await check_route(way_out.environ, clock)
    connect, upgrade = way_out.asked
    assert connect.startswith(b"CONNECT web.whatsapp.com:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"ana:s@fe") + b"\r\n" in connect
    assert upgrade.startswith(b"GET /ws/chat HTTP/1.1\r\n")
    assert found.grade is Grade.WARN
    assert "it answered 403" in found.found
    assert "s%40fe" not in str(found)
    ahead, _, rest = clock.result().found.partition(" ")
    # it told whole seconds, and some pass on the way: what is sure is a little less
    assert 3590 <= int(ahead) <= 3600
    assert rest == "s ahead of the clock of WhatsApp"


async def test_a_proxy_that_refuses(way_out: WayOut) -> None:
    way_out.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
    found = await check_route(way_out.environ, Clock())
    assert found.grade is Grade.FAIL
    assert "answered 407 when asked for web.whatsapp.com:443" in found.found


async def test_proxies_that_go_does_not_know() -> None:
    found = await check_route({"HTTPS_PROXY": "http://proxy:many"}, Clock())
    assert (found.grade, found.found) == (Grade.FAIL, "HTTPS_PROXY is not a URL")


def test_why_several_addresses_failed() -> None:
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Error connecting to ('127.0.0.1', 1): Connection refused")
    unreachable = OSError(errno.ENETUNREACH, "x")
    both = OSError("all attempts failed")
    both.__cause__ = ExceptionGroup("all", [refused, unreachable, refused])
    assert reason(both) == "Connection refused, Network is unreachable"


def test_a_line_is_one_line() -> None:
    result = Result("volume", Grade.FAIL, quoted("two\nlines \x07"), "do this")
    assert list(lines([result, Result("lock", Grade.OK, "free")])) == [
        "fail  volume  two lines",
        "              -> do this",
        "ok    lock    free",
    ]
