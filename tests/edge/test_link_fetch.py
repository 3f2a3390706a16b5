"""Fetching a link: what is taken, what is final, what is tried again, and what nobody gets out of it."""

from __future__ import annotations

import io
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trustme
from trio.testing import MockClock

from tests.link_host import Answer, LinkHost, open_link_host
from tests.proxy_fixture import PATIENCE, until
from wa_worker.edge.link_fetch import REDIRECTS, Fetched, LinkFetcher
from wa_worker.errors import Failure, RowError, SendDelayed, WorkerTrouble

LIMIT = 100_000
DATA = bytes(range(256)) * 200
JPEG = {"Content-Type": "image/jpeg"}


@pytest.fixture
async def host() -> AsyncIterator[LinkHost]:
    async with open_link_host() as opened:
        yield opened


@pytest.fixture
def hasty() -> MockClock:
    """A second takes a tenth of one."""
    return MockClock(rate=10.0)


async def fetch(link: str, *, page: bool = False, **how: Any) -> tuple[Fetched, bytes]:
    fetcher = LinkFetcher(LIMIT, allow_private=True, **how)
    file = io.BytesIO(b"what was there before, and is longer")
    fetched = await fetcher.fetch(link, file, page=page)
    return fetched, file.getvalue()


async def test_the_bytes_and_the_type(host: LinkHost) -> None:
    link = host.serve("/a", DATA, headers=JPEG)
    assert await fetch(link) == (Fetched(len(DATA), "image/jpeg"), DATA)
    assert host.headers[0]["host"] == f"127.0.0.1:{host.port}"
    assert host.headers[0]["accept-encoding"] == "identity"
    assert await fetch(host.serve("/b", DATA, declared=-1)) == (Fetched(len(DATA), None), DATA)
    assert (await fetch(host.serve("/c", b"x" * LIMIT)))[0].size == LIMIT


@attrs.frozen
class Case:
    name: str
    answer: dict[str, Any]
    failure: Failure
    final: bool
    asked: int = 1


CASES = [
    Case("404", {"status": 404, "headers": JPEG}, Failure.GONE_LINK, True, 2),
    Case("410", {"status": 410, "headers": JPEG}, Failure.GONE_LINK, True, 2),
    Case("404 of a portal", {"status": 404, "headers": {"Content-Type": "text/html"}}, Failure.GONE_LINK, False, 2),
    Case("404 of nobody", {"status": 404}, Failure.GONE_LINK, False, 2),
    *(Case(f"{code}", {"status": code}, Failure.NO_FILE, False) for code in (204, 206, 400, 401, 403, 429, 500, 503)),
    Case("a page", {"body": b"<html>", "headers": {"Content-Type": "text/HTML; charset=x"}}, Failure.NO_FILE, False),
    Case("empty", {"body": b""}, Failure.NO_FILE, False),
    Case("shorter than it says", {"body": DATA, "declared": len(DATA) + 1}, Failure.NO_FILE, False),
    Case("too large, it says", {"declared": LIMIT + 1}, Failure.LARGE_FILE, True),
    Case("too large, it does not say", {"body": bytes(LIMIT + 1), "declared": -1}, Failure.LARGE_FILE, True),
    Case("compressed", {"body": DATA, "headers": {"Content-Encoding": "gzip"}}, Failure.NO_FILE, False),
    Case("redirect to nowhere", {"status": 302, "headers": {"Location": "http://["}}, Failure.NO_FILE, False),
    Case("redirect to a file", {"status": 302, "headers": {"Location": "file:///etc/passwd"}}, Failure.BAD_LINK, True),
    Case("redirect without a place", {"status": 302}, Failure.NO_FILE, False),
    Case("round and round", {"status": 307, "headers": {"Location": "/a"}}, Failure.NO_FILE, False, REDIRECTS + 1),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_what_is_final_and_what_is_not(case: Case, host: LinkHost, hasty: MockClock) -> None:
    link = host.serve("/a", **case.answer)
    with pytest.raises((RowError, SendDelayed)) as error:
        await fetch(link)
    assert isinstance(error.value, RowError | SendDelayed)
    assert (error.value.failure, isinstance(error.value, RowError)) == (case.failure, case.final)
    assert host.asked["/a"] == case.asked
    assert str(host.port) not in str(error.value), "links are for no log"


async def test_what_was_gone_for_a_moment_is_fetched(host: LinkHost, hasty: MockClock) -> None:
    link = host.serve("/a", status=404, times=1, then=Answer(DATA))
    assert (await fetch(link))[1] == DATA


async def test_a_page_is_taken_where_one_is_wanted(host: LinkHost) -> None:
    link = host.serve("/a", b"<html>", headers={"Content-Type": "text/html"})
    assert (await fetch(link, page=True))[1] == b"<html>"


async def test_redirects_are_followed(host: LinkHost) -> None:
    host.serve("/b", DATA)
    host.serve("/a", status=301, headers={"Location": "/b"})
    assert (await fetch(host.serve("/", status=302, headers={"Location": f"{host.url}/a"})))[1] == DATA


async def test_silence_and_slowness_are_not_waited_for(host: LinkHost) -> None:
    link = host.serve("/a", DATA, stall_at=10)
    with trio.fail_after(PATIENCE), pytest.raises(SendDelayed):
        await fetch(link)


async def test_one_that_trickles_is_given_up(host: LinkHost, fast: MockClock) -> None:
    link = host.serve("/a", DATA, rate=500.0)
    began = trio.current_time()
    with pytest.raises(SendDelayed, match="in time"):  # by what it says of its size, not by the largest there may be
        await LinkFetcher(16 * 2**20, allow_private=True).fetch(link, io.BytesIO())
    assert 30 < trio.current_time() - began < 33


async def test_one_that_trickles_is_given_up_though_it_does_not_say_its_size(host: LinkHost, fast: MockClock) -> None:
    link = host.serve("/a", DATA, rate=500.0, declared=-1)
    began = trio.current_time()
    with pytest.raises(SendDelayed, match="in time"):
        await LinkFetcher(16 * 2**20, allow_private=True).fetch(link, io.BytesIO())
    assert 30 < trio.current_time() - began < 33


async def test_what_comes_steadily_has_its_time(host: LinkHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wa_worker.edge.link_fetch.PATIENCE", 0.6)
    monkeypatch.setattr("wa_worker.edge.link_fetch.SLOWEST", 10_000.0)
    began = trio.current_time()
    assert (await fetch(host.serve("/a", DATA, rate=50_000.0)))[1] == DATA
    assert trio.current_time() - began > 0.6


@pytest.fixture
def fast() -> MockClock:
    """A second takes a twentieth of one."""
    return MockClock(rate=20.0)


@pytest.mark.parametrize("link", ["http://files.example/a", "http://8.8.8.8/a", "ftp://files.example/a"])
async def test_only_https_unless_private_ones_are_allowed(link: str) -> None:
    with pytest.raises(RowError) as error:
        await LinkFetcher(LIMIT).fetch(link, io.BytesIO())
    assert error.value.failure is Failure.BAD_LINK


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "[fd00::1]", "[fe80::1]", "0.0.0.0"],
)
async def test_a_private_address_is_refused(host: str) -> None:
    with pytest.raises(RowError) as error:
        await LinkFetcher(LIMIT).fetch(f"https://{host}/a", io.BytesIO())
    assert error.value.failure is Failure.PRIVATE_LINK


async def leads_to(address: str, host: str) -> list[str]:
    await trio.lowlevel.checkpoint()
    return [address]


async def test_a_name_with_a_private_address_is_tried_again_later() -> None:
    """A resolver's word is not final: it may be a portal's."""

    async def here(host: str, port: int) -> list[str]:
        return await leads_to("127.0.0.1", host)

    with pytest.raises(SendDelayed) as error:
        await LinkFetcher(LIMIT, resolve=here).fetch("https://files.example/a", io.BytesIO())
    assert error.value.failure is Failure.PRIVATE_LINK


@attrs.frozen
class Secure:
    host: LinkHost
    fetcher: LinkFetcher
    resolved: list[str]


def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for files.example of an authority that this process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("files.example").configure_cert(context)
    return context


@pytest.fixture
async def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Secure]:
    """A host with a certificate for files.example, which leads here; `allow_private` lets it do so."""
    context = trusted(tmp_path, monkeypatch)
    resolved: list[str] = []

    async def here(host: str, port: int) -> list[str]:
        resolved.append(host)
        return await leads_to("127.0.0.1", host)

    async with open_link_host(context) as host:
        yield Secure(host, LinkFetcher(LIMIT, allow_private=True, resolve=here), resolved)


async def test_over_tls_the_name_is_that_of_the_certificate(secure: Secure) -> None:
    secure.host.serve("/a", DATA)
    file = io.BytesIO()
    await secure.fetcher.fetch(f"https://files.example:{secure.host.port}/a?token=x", file)
    assert file.getvalue() == DATA
    with pytest.raises(SendDelayed):
        await secure.fetcher.fetch(f"https://other.example:{secure.host.port}/a", io.BytesIO())


async def test_what_a_host_says_over_tls_is_its_own_word(secure: Secure, hasty: MockClock) -> None:
    secure.host.serve("/a", status=404, headers={"Content-Type": "text/html"})
    with pytest.raises(RowError) as error:
        await secure.fetcher.fetch(f"https://files.example:{secure.host.port}/a", io.BytesIO())
    assert error.value.failure is Failure.GONE_LINK


async def test_a_router_s_404_is_not_the_host_s_word(secure: Secure, hasty: MockClock) -> None:
    """As Traefik and ingresses say while the host behind them is replaced."""
    secure.host.serve("/a", b"404 page not found", status=404, headers={"Content-Type": "text/plain; charset=utf-8"})
    with pytest.raises(SendDelayed) as error:
        await secure.fetcher.fetch(f"https://files.example:{secure.host.port}/a", io.BytesIO())
    assert error.value.failure is Failure.GONE_LINK


async def test_no_redirect_leads_out_of_tls(secure: Secure, host: LinkHost) -> None:
    secure.host.serve("/a", status=302, headers={"Location": host.serve("/b", DATA)})
    with pytest.raises(SendDelayed):
        await secure.fetcher.fetch(f"https://files.example:{secure.host.port}/a", io.BytesIO())
    assert not host.asked


PUBLIC, PRIVATE = "127.0.0.2", "127.0.0.1"


@pytest.mark.parametrize(("host", "final"), [(PRIVATE, True), ("inside.example", False)])
async def test_each_redirect_is_judged_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, final: bool
) -> None:
    """One address of this machine stands for the public ones."""
    context = trusted(tmp_path, monkeypatch)

    async def resolve(host: str, port: int) -> list[str]:
        return await leads_to({"files.example": PUBLIC}.get(host, PRIVATE), host)

    fetcher = LinkFetcher(LIMIT, public=lambda address: address == PUBLIC, resolve=resolve)
    async with open_link_host(context, PUBLIC) as outside, open_link_host(context, PRIVATE) as inside:
        inside.serve("/b", DATA)
        outside.serve("/a", status=302, headers={"Location": f"https://{host}:{inside.port}/b"})
        with pytest.raises((RowError, SendDelayed)) as error:
            await fetcher.fetch(f"https://files.example:{outside.port}/a", io.BytesIO())
        assert isinstance(error.value, RowError | SendDelayed)
        assert (error.value.failure, isinstance(error.value, RowError)) == (Failure.PRIVATE_LINK, final)
        assert outside.asked == {"/a": 1}
        assert not inside.asked


async def test_a_name_that_leads_elsewhere_the_next_time_is_judged_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = trusted(tmp_path, monkeypatch)
    answers = [PUBLIC, PRIVATE]

    async def rebinding(host: str, port: int) -> list[str]:
        return await leads_to(answers.pop(0), host)

    fetcher = LinkFetcher(LIMIT, public=lambda address: address == PUBLIC, resolve=rebinding)
    # the port is free at the address that nobody else uses
    async with open_link_host(context, PRIVATE) as inside, open_link_host(context, PUBLIC, inside.port) as outside:
        outside.serve("/a", status=302, headers={"Location": "/b"})
        with pytest.raises(SendDelayed) as error:
            await fetcher.fetch(f"https://files.example:{outside.port}/a", io.BytesIO())
        assert error.value.failure is Failure.PRIVATE_LINK
        assert not inside.asked


class Full(io.BytesIO):
    """A file on a disk that takes nothing more."""

    def write(self, data: object) -> int:
        raise OSError(28, "No space left on device")


async def test_a_full_disk_is_the_worker_s_trouble(host: LinkHost) -> None:
    with pytest.raises(WorkerTrouble, match="No space left"):
        await LinkFetcher(LIMIT, allow_private=True).fetch(host.serve("/a", DATA), Full())


async def test_cancelling_closes_the_connection(host: LinkHost) -> None:
    link = host.serve("/a", DATA, stall_at=10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetch, link)
        await until(lambda: host.asked["/a"])
        nursery.cancel_scope.cancel()
