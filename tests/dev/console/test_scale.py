"""The console with many instances, in a browser: a proxy and no worker, so that forty cost nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from tests import axe
from tests.dev.console.page import ENTER, Page
from wa_worker.dev.console import bind, open_console
from wa_worker.dev.proxy import StatusDetails, Store, open_proxy

NAMES = [f"shop-{number:02}" for number in range(40)]
BROKEN = "shop-33"
ANA = "5511988880002@s.whatsapp.net"


@attrs.frozen
class Many:
    """A console of forty instances, one of them banned, as a browser's thread reaches it."""

    url: str
    store: Store

    def break_off(self, instance: str, reason: str) -> None:
        trio.from_thread.run_sync(
            self.store.update_status, instance, "DISCONNECTED", None, StatusDetails(reason=reason)
        )

    def receive(self, body: str) -> None:
        """Ana writes, and her name is known from now on: all of the chat changes, what one writes in, too."""
        said = {"chat": ANA, "from_": ANA, "to": "x", "body": body, "wa_message_id": "A1"}
        payload = json.dumps({"push_name": "Ana"})
        trio.from_thread.run_sync(partial(self.store.add_inbound, instance_id=NAMES[0], payload=payload, **said))


@asynccontextmanager
async def open_many() -> AsyncIterator[Many]:
    with bind(0) as bound:
        async with open_proxy(secret="s") as proxy:
            for name in NAMES:
                proxy.store.add_instance(name)
                proxy.store.update_status(name, "CONNECTED", None)
            proxy.store.update_status(BROKEN, "DISCONNECTED", None, StatusDetails(reason="banned"))
            proxy.store.queue(NAMES[0], "5511988880002", "the first")
            async with open_console(bound, proxy, None) as console:
                yield Many(console.url, proxy.store)


@pytest.fixture
def tab(chromium: Page, tmp_path: Path) -> Page:
    chromium.pictures = tmp_path
    return chromium


async def in_browser(what: Callable[[Many, Page], None], page: Page) -> None:
    """Runs it in a thread. Nothing may have gone wrong in the browser, which leaves before the console does."""

    def run(many: Many) -> None:
        what(many, page)
        assert page.complaints() == []
        page.driver.get("about:blank")

    async with open_many() as many:
        await trio.to_thread.run_sync(run, many)


async def test_on_a_phone_the_broken_one_is_seen_and_the_chat_is_near(tab: Page) -> None:
    await in_browser(_phone, tab)


def _phone(many: Many, page: Page) -> None:
    page.look(360, 640, dark=False)
    page.open(many.url)
    assert len(page.all(".rows .card")) == len(NAMES)
    assert page.text("#counts") == "1 in trouble, 39 connected"
    assert page.text(".rows .card:first-child .name") == BROKEN
    assert page.text(".rows .card:first-child .why") == "banned"
    edges = "const box = document.querySelector(arguments[0]).getBoundingClientRect(); return [box.top, box.bottom]"
    top, bottom = page.run(edges, f"#card-{BROKEN}-name")
    assert 0 <= top < bottom <= 640
    assert page.run(edges, "#conversation")[0] < 2 * 640
    assert page.fits_the_screen()
    page.picture("many-phone")
    page.click(f"#card-{BROKEN}-name")
    assert page.run("return document.querySelector(arguments[0]).checkVisibility()", f"#card-{BROKEN}-disconnect")
    try:
        assert axe.violations(page.driver) == []
    except axe.NotInstalled as missing:
        pytest.skip(str(missing))


async def test_the_filter_narrows_by_words_and_group(tab: Page) -> None:
    await in_browser(_filter, tab)


def _filter(many: Many, page: Page) -> None:
    page.look(1280, 860, dark=False)
    page.open(many.url)
    page.picture("many")
    page.type("#q", "shop-1")
    page.wait(lambda: page.texts(".rows .name") == NAMES[10:20])
    assert page.focused() == "q"
    page.wait(lambda: page.text("#counts").endswith("; 10 shown"))
    many.break_off("shop-15", "refused")  # what comes by the stream is narrowed, too
    page.wait(lambda: page.texts(".rows .name")[0] == "shop-15")
    assert len(page.all(".rows .card")) == 10
    page.run("const show = document.querySelector('#show'); show.value = 'trouble'; "
             "show.dispatchEvent(new Event('change', {bubbles: true}))")  # fmt: skip
    page.wait(lambda: page.texts(".rows .name") == ["shop-15"])
    page.type("#q", "!")
    page.wait(lambda: page.text("#no-cards") == "No instance is like that.")
    page.driver.refresh()  # the address has it
    page.wait(lambda: page.text("#live") == "Live")
    assert page.run("return [document.querySelector('#q').value, document.querySelector('#show').value]") == [
        "shop-1!",
        "trouble",
    ]


async def test_the_filter_is_the_readers_while_things_change_and_when_one_goes_on(tab: Page) -> None:
    await in_browser(_filter_stays, tab)


def _filter_stays(many: Many, page: Page) -> None:
    words, shown = "return document.querySelector('#q').value", "#card-shop-10-name"
    page.look(1280, 860, dark=False)
    page.open(many.url)
    page.type("#q", "shop-1")
    many.break_off("shop-15", "refused")  # an update of the list as it was, while it is asked for another
    page.wait(lambda: page.texts(".rows .name") == ["shop-15", *NAMES[10:15], *NAMES[16:20]])
    assert page.run(words) == "shop-1"
    page.wait(lambda: "q=shop-1" in page.run("return document.querySelector('#cards').dataset.events"))

    # emptied, and left before it was asked for: an update does not bring the old words back
    page.run("const q = document.querySelector('#q'); q.value = ''; document.querySelector('#body').focus()")
    many.break_off("shop-16", "refused")
    page.wait(lambda: page.texts(".rows .name")[:2] == ["shop-15", "shop-16"])
    assert page.run(words) == ""

    # on to a link before it was asked for
    page.run("document.querySelector('#q').value = 'shop-2'; document.querySelector('#card-shop-10-chats').click()")
    page.wait(lambda: page.run("return location.search") == "?instance=shop-10&q=shop-2")
    page.wait(lambda: page.text("#live") == "Live")
    assert page.texts(".rows .name") == NAMES[20:30]
    assert not page.all(shown)

    # and from the form for a new chat to the chat
    page.click("#new-chat")
    page.wait(lambda: "chat=new" in page.run("return location.search"))
    page.wait(lambda: page.text("#live") == "Live")
    page.run("document.querySelector('#to').value = '5511988880002'")
    page.type("#body", "the first" + ENTER)
    page.wait(lambda: "s.whatsapp.net" in page.run("return location.search"))
    assert "q=shop-2" in page.run("return location.search")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_in_portuguese_all_can_be_read_and_axe_finds_nothing(tab: Page, *, dark: bool) -> None:
    await in_browser(partial(_portuguese, dark=dark), tab)


def _portuguese(many: Many, page: Page, *, dark: bool) -> None:
    try:
        speak(page, "pt-BR")
        page.look(360, 740, dark=dark)
        page.driver.get(many.url)
        page.wait(lambda: page.text("#live") == "Ao vivo")
        assert page.run("return document.documentElement.lang") == "pt-BR"
        assert page.text("#counts") == "1 com problema, 39 conectadas"
        many.break_off("shop-20", "replaced")
        page.wait(lambda: page.text("#card-shop-20 .why").startswith("Outro cliente usa esta sessão"))
        assert page.text("#card-shop-20 .badge") == "Desconectada"
        page.run("for (const each of document.querySelectorAll('details.help, .rows details')) each.open = true")
        page.run("document.querySelectorAll('.rows .card:nth-child(n+4)').forEach((each) => each.remove())")
        assert page.fits_the_screen()
        assert axe.violations(page.driver) == []
    except axe.NotInstalled as missing:
        pytest.skip(str(missing))
    finally:
        speak(page, "en-US")


def speak(page: Page, language: str) -> None:
    """Has the browser ask for a language."""
    agent = page.run("return navigator.userAgent")
    page.driver.execute_cdp_cmd("Emulation.setUserAgentOverride", {"userAgent": agent, "acceptLanguage": language})


async def test_what_the_reader_has_done_survives_an_update(tab: Page) -> None:
    await in_browser(_survives, tab)


def _survives(many: Many, page: Page) -> None:
    page.look(1280, 860, dark=False)
    page.open(many.url)
    page.run("document.querySelector('#card-shop-20-rest').open = true")
    page.type("#body", "half-typed")
    page.run("document.querySelector('#body').setSelectionRange(2, 4)")
    many.receive("the second")
    many.break_off("shop-20", "banned")  # it moves to the others in trouble
    page.wait(lambda: page.bodies() == ["the first", "the second"])
    page.wait(lambda: page.text("#send label") == "Message to Ana")
    page.wait(lambda: page.texts(".rows .name")[:2] == ["shop-20", BROKEN])
    assert page.run("return document.querySelector('#card-shop-20-rest').open")
    assert page.run("return document.querySelector('#body').value") == "half-typed"
    assert page.focused() == "body"
    assert page.run("return document.querySelector('#body').selectionEnd") == 4

    page.run("document.querySelector('#card-shop-21-disconnect').closest('details').open = true")
    page.run("document.querySelector('#card-shop-21-disconnect').focus()")
    many.break_off("shop-21", "banned")
    page.wait(lambda: page.texts(".rows .name")[:2] == ["shop-20", "shop-21"])
    assert page.focused() == "card-shop-21-disconnect"
    assert page.run("return window.notReloaded")
