"""The admin page over HTTP: who gets in, what is shown, and what a form does."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.admin.bed import Site, crowd, open_site
from tests.journal.rows import ANA, SHOP, inbound_message, read_only
from tests.proxy_fixture import until
from wa_worker.admin.answers import LARGEST_FORM
from wa_worker.admin.routes import DO
from wa_worker.admin.sessions import FREE
from wa_worker.instances.history import By
from wa_worker.journal import InboxResult, SendState, Settled
from wa_worker.models import InstanceId, Reason
from wa_worker.states import Event, State

HOSTILE = "<script>alert(1)</script>\u202e\"'><img src=x onerror=alert(1)>"
PAGES = ("/admin", "/admin/", "/admin/instances/shop", "/admin/instances/shop/report")
LARGEST_PAGE = 150_000
"""Bytes of the list with 200 instances: a second on a slow phone's connection."""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as opened:
        yield opened


def show(site: Site, detail: str = "") -> None:
    """Shows SHOP as held, though it does not run."""
    registry = site.bed.services.registry
    registry.set(SHOP, State.HELD, because=Event.BANNED, detail=detail)
    registry.set_reason(SHOP, Reason.BANNED, int(time.time()) + 3600)


async def test_without_a_token_there_is_no_such_page(tmp_path: Path) -> None:
    async with open_site(tmp_path, token=None) as site, site.browser() as browser:
        for path in (*PAGES, "/admin/log-in"):
            assert (await browser.http.get(path)).status_code == 404
        assert (await browser.do("log-in", token="None")).status_code in (404, 413)


async def test_who_is_not_logged_in_sees_and_does_nothing(site: Site) -> None:
    show(site)
    async with site.browser() as browser:
        for cookie in (None, "x", "a" * 43):
            browser.http.headers["Cookie"] = f"wa_worker_admin={cookie}"
            for path in PAGES:
                answer = await browser.http.get(path)
                assert (answer.status_code, answer.headers["location"], answer.text) == (303, "/admin/log-in", "")
            for path in (*DO.values(), "/admin/log-out"):
                assert (await browser.http.post(path, data={"instance": "shop"})).status_code == 303
        piece = await browser.http.get("/admin", headers={"HX-Request": "true"})
        assert (piece.status_code, piece.headers["hx-redirect"]) == (401, "/admin/log-in")
    assert site.fleet.kept_off == frozenset()


async def test_the_log_in_gives_a_cookie_that_no_script_and_no_other_site_gets(site: Site) -> None:
    async with site.browser() as browser:
        answer = await browser.log_in()
        assert (answer.status_code, answer.headers["location"]) == (303, "/admin")
        given = answer.headers["set-cookie"]
        assert all(each in given for each in ("HttpOnly", "SameSite=Strict", "Path=/admin"))
        assert "Secure" not in given
        old = browser.http.cookies["wa_worker_admin"]
        assert (await browser.do("log-out")).headers["location"] == "/admin/log-in"
        browser.http.headers["Cookie"] = f"wa_worker_admin={old}"
        assert (await browser.http.get("/admin")).status_code == 303
    async with site.browser(X_Forwarded_Proto="https, http") as browser:
        assert "Secure" in (await browser.log_in()).headers["set-cookie"]


async def test_guessing_is_slowed_down_whoever_one_says_to_be(site: Site) -> None:
    async with site.browser() as browser:
        for number in range(FREE):
            browser.http.headers["X-Forwarded-For"] = f"10.0.0.{number}"
            answer = await browser.log_in("wrong")
            assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
            assert "This is not the token." in answer.text
        answer = await browser.log_in()
        assert (answer.status_code, "set-cookie" in answer.headers) == (429, False)
        assert 1 <= int(answer.headers["retry-after"]) <= 3


@pytest.mark.parametrize("path", [*PAGES, "/admin/log-in"])
async def test_every_page_forbids_what_is_not_ours(site: Site, path: str) -> None:
    show(site)
    async with site.logged_in() as browser:
        answer = await browser.http.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; ")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=", answer.text)


async def test_files_are_kept_by_the_browser_until_they_change(site: Site) -> None:
    async with site.browser() as browser:
        page = await browser.http.get("/admin/log-in")
        paths = re.findall(r'(?:src|href)="(/admin/static/[^"]+)"', page.text)
        assert len(paths) == 4
        for path in paths:
            answer = await browser.http.get(path)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
            assert answer.content
        for path in ("/admin/static/x/admin.css", "/admin/static/x/..%2f..%2fpage.py", "/admin/static/x/page.py"):
            assert (await browser.http.get(path)).status_code == 404


async def test_200_instances_are_a_small_page_with_trouble_on_top(site: Site) -> None:
    crowd(site.bed.services.registry)
    async with site.logged_in() as browser:
        text = (await browser.http.get("/admin")).text
        assert len(text.encode()) < LARGEST_PAGE
        shown = re.findall(r'href="/admin/instances/([^"]+)"', text)
        assert len(shown) == 200
        assert shown[:4] == ["customer-031", "customer-117", "customer-140", "customer-064"]
        assert "4 in trouble" in text
        assert "***0117" in text
        assert "5511999900117" not in text
        crowd(site.bed.services.registry, 1000)
        text = (await browser.http.get("/admin")).text
        assert len(text.encode()) < LARGEST_PAGE
        assert "750 more" in text


async def test_the_filter_and_the_language_are_the_browsers(site: Site) -> None:
    crowd(site.bed.services.registry)
    async with site.logged_in(Accept_Language="pt-BR") as browser:
        text = (await browser.http.get("/admin", params={"q": "baniu", "show": "trouble"})).text
        assert re.findall(r'href="/admin/instances/([^"]+)"', text) == ["customer-117"]
        assert '<html lang="pt-BR">' in text
        assert "4 com problema" in text, "of all, whatever is searched for"
        text = (await browser.http.get("/admin", params={"q": HOSTILE, "show": HOSTILE})).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text
        assert "Nada aqui." in text


async def test_what_comes_from_outside_is_shown_as_text(site: Site) -> None:
    show(site, HOSTILE + " +5511988880001")
    async with site.logged_in() as browser:
        await until(lambda: site.bed.journal.changes.of(SHOP))
        text = (await browser.http.get("/admin/instances/shop")).text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert text.count("&lt;script&gt;alert(1)") == 2, "what it is, and its last change"
        assert "\u202e" not in text
        assert "5511988880001" not in text
        for name in (HOSTILE, "x" * 129, "nobody"):
            answer = await browser.http.get(f"/admin/instances/{name}")
            assert answer.status_code in (404, 303)
            assert "<script>" not in answer.text


async def test_an_instance_is_let_go_of_and_taken_up_again(site: Site) -> None:
    site.fleet.start(SHOP)
    await until(lambda: SHOP in site.bed.services.registry.all())
    async with site.logged_in() as browser:
        answer = await browser.do("let-go", instance="shop")
        assert answer.headers["location"] == "/admin/instances/shop?note=done_let_go"
        await until(lambda: SHOP not in site.fleet.running())
        assert list(site.bed.journal.let_go.all()) == [SHOP]
        page = await browser.http.get(answer.headers["location"])
        assert "It is let go." in page.text
        assert "Take up again" in page.text
        assert 'class="let_go">1 let go' in (await browser.http.get("/admin")).text
        assert "not_done" in (await browser.do("let-go", instance="shop")).headers["location"]
        assert "done_take_up" in (await browser.do("take-up", instance="shop")).headers["location"]
        await until(lambda: SHOP in site.fleet.running())
        assert site.bed.journal.let_go.all() == {}
        assert "not_done" in (await browser.do("take-up", instance="shop")).headers["location"]
        await until(lambda: len(site.bed.journal.changes.of(SHOP)) >= 4)
        assert "A person let go of it here" in (await browser.http.get("/admin/instances/shop")).text


async def test_what_the_journal_cannot_keep_is_not_done(site: Site) -> None:
    site.fleet.start(SHOP)
    await until(lambda: SHOP in site.bed.services.registry.all())
    async with site.logged_in() as browser:
        read_only(site.bed.journal, on=True)
        answer = await browser.do("let-go", instance="shop")
        read_only(site.bed.journal, on=False)
        assert answer.status_code == 503
        assert "cannot be done now" in answer.text
        assert SHOP in site.fleet.running()
        assert site.fleet.kept_off == frozenset()
        site.readiness.stopping()
        answer = await browser.do("let-go", instance="shop")
        assert (answer.status_code, site.fleet.kept_off) == (503, frozenset())


async def test_what_is_set_aside_is_retried_or_discarded(site: Site) -> None:
    show(site)
    journal = site.bed.journal
    journal.inbox.record(SHOP, inbound_message("A", body="a secret of two"))
    (row,) = journal.inbox.pending(journal.inbox.keys(0, 9)[0], 9)
    journal.inbox.settle([InboxResult(row.seq, "no " + HOSTILE, dead=True)])
    journal.ledger.admit(SHOP, dict.fromkeys(range(2), ANA), listed_at=0)
    journal.ledger.step(SHOP, [Settled(0, SendState.UNCERTAIN, error="?")], 1)
    journal.ledger.step(SHOP, [Settled(1, SendState.FAILED, error="no")], None)

    def state_of(seq: int) -> str:
        with journal.database.reading() as sql:
            return str(sql.execute("SELECT state FROM ledger WHERE seq = ?", (seq,)).fetchone()[0])

    async with site.logged_in() as browser:
        text = (await browser.http.get("/admin/instances/shop")).text
        assert set(re.findall(r'name="item" value="([^"]+)"', text)) == {"in:1", "out:1", "out:2"}
        assert "<script>alert" not in text
        assert "a secret of two" not in text
        assert "2 set aside" in (await browser.http.get("/admin")).text
        for item in ("out:99", "in:x", "", "out:1"):
            other = "another" if item == "out:1" else "shop"
            answer = await browser.do("discard", instance=other, item=item)
            assert answer.headers["location"] == f"/admin/instances/{other}?note=not_done"
        assert (state_of(1), state_of(2)) == ("uncertain", "failed")
        assert "done_discard" in (await browser.do("discard", instance="shop", item="out:1")).headers["location"]
        assert "done_retry" in (await browser.do("retry", instance="shop", item="out:2")).headers["location"]
        assert (state_of(1), state_of(2)) == ("failed", "waiting")


@pytest.mark.parametrize("path", [*DO.values(), "/admin/log-out"])
async def test_a_form_that_is_not_the_sessions_own_does_nothing(site: Site, path: str) -> None:
    site.fleet.start(SHOP)
    async with site.logged_in() as browser, site.logged_in() as other:
        for csrf in ("", "x", other.csrf, "é"):
            answer = await browser.http.post(path, data={"csrf": csrf, "instance": "shop", "item": "in:1"})
            assert answer.status_code == 403
        foreign = {"Sec-Fetch-Site": "cross-site"}
        data = {"csrf": browser.csrf, "instance": "shop", "item": "in:1"}
        assert (await browser.http.post(path, data=data, headers=foreign)).status_code == 403
        assert (await browser.http.get(path)).status_code in (404, 405)
        assert (await browser.http.get("/admin")).status_code == 200, "still logged in"
    assert site.fleet.kept_off == frozenset()


async def test_a_form_is_not_large(site: Site) -> None:
    async with site.browser() as browser:
        answer = await browser.http.post("/admin/log-in", data={"token": "x" * LARGEST_FORM})
        assert answer.status_code == 413


@pytest.mark.parametrize("show_qr", [False, True])
async def test_a_qr_code_is_shown_only_if_that_is_wanted(tmp_path: Path, *, show_qr: bool) -> None:
    async with open_site(tmp_path, show_qr=show_qr) as site, site.logged_in() as browser:
        site.fleet.start(SHOP)
        await until(lambda: site.fleet.qr_code(SHOP))
        answer = await browser.http.get("/admin/instances/shop")
        assert ('src="data:image/png;base64,' in answer.text) is show_qr
        assert ("img-src 'self' data:;" in answer.headers["content-security-policy"]) is show_qr
        assert "data:image" not in (await browser.http.get("/admin/instances/shop/report")).text


async def test_the_report_is_plain_text(site: Site) -> None:
    show(site, "a detail")
    async with site.logged_in() as browser:
        await until(lambda: site.bed.journal.changes.of(SHOP))
        answer = await browser.http.get("/admin/instances/shop/report")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "state: held, reason: banned" in answer.text
    assert "held (banned) until" in answer.text


async def test_one_that_has_ended_shows_what_it_was(site: Site) -> None:
    gone = InstanceId("gone")
    site.bed.services.history.ended(gone, Reason.RELEASED, By.PROXY)
    async with site.logged_in() as browser:
        await until(lambda: site.bed.journal.changes.of(gone))
        text = (await browser.http.get("/admin/instances/gone")).text
    assert "The back end does not list it any more" in text
    assert "Let go of it" not in text
