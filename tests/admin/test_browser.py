"""The admin page in a browser: on a phone, for everybody, in light and dark, and by nothing but what is ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import axe
from tests.admin.bed import TOKEN, crowd
from tests.admin.thread import Running, run_site
from tests.dev.console.conftest import chromium
from tests.dev.console.page import ENTER, TAB, Page
from tests.proxy_fixture import SHOP

__all__ = ["chromium"]

PHONE = (320, 640)
LET_GO = SHOP
"""One that runs for real; of the others the registry only says what they do."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with run_site(tmp_path_factory.mktemp("site"), lambda site: crowd(site.bed.services.registry, 199)) as running:
        running.do(lambda: running.site.fleet.start(LET_GO))
        yield running


@pytest.fixture
def page(chromium: Page, running: Running, tmp_path: Path) -> Iterator[Page]:
    """A phone's screen, logged out. Nothing may have gone wrong in the browser."""
    chromium.pictures = tmp_path
    chromium.look(*PHONE, dark=False)
    chromium.complaints()
    chromium.driver.delete_all_cookies()
    chromium.driver.get(f"{running.site.base}/admin")
    yield chromium
    assert chromium.complaints() == []


def log_in(page: Page) -> None:
    page.type("#token", TOKEN)
    page.click("main button")
    page.wait(lambda: page.all(".rows li"))


def names(page: Page) -> list[str]:
    return page.texts(".rows a")


def found_by_axe(page: Page) -> list[list[Any]]:
    try:
        return axe.violations(page.driver)
    except axe.NotInstalled as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize(("language", "dark"), [("en", False), ("pt-BR", True)], ids=["light", "dark"])
def test_everybody_can_use_it(page: Page, running: Running, language: str, *, dark: bool) -> None:
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {"Accept-Language": language}})
    try:
        page.look(*PHONE, dark=dark)
        page.driver.get(f"{running.site.base}/admin")
        assert page.fits_the_screen()
        assert found_by_axe(page) == []
        log_in(page)
        assert page.run("return document.documentElement.lang") == language
        for path in ("", "/instances/customer-117", f"/instances/{LET_GO}"):
            page.driver.get(f"{running.site.base}/admin{path}")
            page.run("for (const each of document.querySelectorAll('details')) each.open = true")
            assert page.fits_the_screen()
            assert found_by_axe(page) == []
            page.picture(path.rpartition("/")[2] or "list")
    finally:
        page.driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {}})


def test_trouble_is_on_a_phones_first_screen(page: Page) -> None:
    log_in(page)
    for name in ("customer-031", "customer-117", "customer-140", "customer-064"):
        where = page.run("return document.getElementById(arguments[0]).getBoundingClientRect().bottom", f"i-{name}")
        assert where < PHONE[1]
    page.type("#q", "baker")
    page.wait(lambda: names(page) == [])
    assert page.focused() == "q"
    page.run("document.querySelector('#q').value = ''")
    page.type("#q", "117")
    page.wait(lambda: names(page) == ["customer-117"])
    assert page.run("return location.search") == "?q=117&show="
    page.run("const box = document.querySelector('#q'); box.value = ''; box.dispatchEvent(new Event('input'))")
    page.wait(lambda: len(names(page)) == 200)
    page.run(
        "const box = document.querySelector('#show'); box.value = 'trouble';"
        "box.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    page.wait(lambda: len(names(page)) == 4)


def test_it_is_let_go_of_by_keyboard_and_taken_up_again(page: Page, running: Running) -> None:
    log_in(page)
    page.driver.get(f"{running.site.base}/admin/instances/{LET_GO}")
    page.wait(lambda: page.all("img.qr"))
    assert page.run("return document.querySelector('img.qr').naturalWidth") > 0
    page.run("document.querySelector('summary').focus()")
    page.press(ENTER)
    page.press(TAB)
    page.press(ENTER)
    page.wait(lambda: page.text(".note") == "It is let go.")
    assert running.site.fleet.kept_off == {LET_GO}
    page.click("form[action='/admin/take-up'] button")
    page.wait(lambda: page.text(".note") == "It is taken up again.")
    assert running.site.fleet.kept_off == frozenset()


def test_the_report_is_copied(page: Page, running: Running) -> None:
    log_in(page)
    page.driver.get(f"{running.site.base}/admin/instances/customer-117")
    page.run("window.copied = []; navigator.clipboard.writeText = async (text) => { window.copied.push(text); }")
    page.click("[data-copy]")
    page.wait(lambda: page.text("[data-copy]") == "Copied")
    assert page.run("return window.copied[0]").startswith("Support report of ")


def test_who_is_logged_out_meanwhile_is_sent_to_the_log_in(page: Page, running: Running) -> None:
    log_in(page)
    page.driver.delete_all_cookies()
    page.type("#q", "x")
    page.wait(lambda: page.all("#token"))
    page.complaints()  # that we said 401 is no complaint
