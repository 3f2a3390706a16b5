"""What `wa-worker check` makes of what the proxy answers."""

from __future__ import annotations

import attrs
import pytest

from tests.check.results import SECRET, by_name
from wa_worker.check.clock import Clock
from wa_worker.check.proxy import check_proxy
from wa_worker.check.result import Grade
from wa_worker.check.version import Usage
from wa_worker.dev.proxy import Fault, open_proxy


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
    Odd({"*": Fault(status=404)}, "wrong secret", Grade.WARN, "not checked: 404 is the answer whatever the secret"),
    Odd({QUEUE: Fault(status=500)}, "wrong secret", Grade.WARN, "answered 500", "401"),
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
    Odd({QUEUE: Fault(body=b'[{"id": 1, "to": "5511988880002", "body": "x"}]')}, QUEUE, Grade.FAIL, "1 message for"),
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
        results = await check_proxy(proxy.url, SECRET, Clock(), Usage())
    found = by_name(results)[odd.name]
    assert found.grade is odd.grade
    assert odd.says in found.found
    assert odd.advises in (found.remedy or "")
    assert "t0ken" not in str(results)


async def test_https_to_a_port_that_speaks_http() -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        found = by_name(await check_proxy(proxy.url.replace("http:", "https:"), SECRET, Clock(), Usage()))["proxy"]
    assert found.grade is Grade.FAIL
    assert "no TLS" in found.found
    assert "plain http" in (found.remedy or "")


async def test_what_the_proxy_repeats_of_the_secret_or_a_number_is_not_shown() -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        proxy.faults.set("*", Fault(status=500, body=f"\x1b[2J {SECRET.reveal()} of 5511988880002".encode()))
        results = await check_proxy(proxy.url, SECRET, Clock(), Usage())
    assert by_name(results)[LISTS].found == "answered 500 ([2J *** of ***0002)"
    assert SECRET.reveal() not in str(results)


async def test_reading_changes_nothing_at_the_proxy() -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        proxy.store.add_instance("shop")
        before = proxy.store.version
        await check_proxy(proxy.url, SECRET, Clock(), Usage())
        assert set(proxy.store.requests) == {LISTS, QUEUE, "poll", "events"}
        assert proxy.store.version == before


async def test_without_a_usable_secret_the_refusal_is_checked_all_the_same() -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        found = by_name(await check_proxy(proxy.url, None, Clock(), Usage()))
    assert found["wrong secret"].grade is Grade.OK
    assert {found[name].found for name in ("secret", LISTS, QUEUE, "contract")} == {
        "not checked: WORKER_SECRET is not usable"
    }
