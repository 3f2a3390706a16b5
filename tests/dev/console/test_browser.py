"""The console in headless Chromium, as a person uses it. Screenshots of each state are in the tests' folders."""

from __future__ import annotations

from pathlib import Path

from tests.dev.console.conftest import Dev, run_dev
from tests.dev.console.page import CHAT, ENTER, ESCAPE, Page
from wa_worker.dev.world.qr import read_png_data_url


def add(page: Page, instance: str) -> None:
    """Adds an instance and waits for its code."""
    page.type("#new-instance", instance + ENTER)
    page.wait(lambda: page.badge(instance) == "Waiting for a scan")


def test_pairing_with_the_scan_button(page: Page) -> None:
    add(page, "shop")
    (code,) = page.all("#card-shop .code img")
    assert read_png_data_url(code.get_attribute("src")).startswith("https://wa.me/settings/linked_devices#")
    assert code.get_attribute("alt") == "QR code to link shop"
    page.wait(lambda: page.run("return document.querySelector('#card-shop img').naturalWidth") > 100)
    page.wait(lambda: page.text("#health") == "Worker: 1 connected, 1 connecting, 0 reconnecting")
    page.picture("qr")
    page.look(1280, 860, dark=True)
    page.picture("qr-dark")

    page.click("#card-shop-scan")
    page.wait(lambda: page.badge("shop") == "Connected")
    assert page.all("#card-shop .code img") == []
    assert "Proxy: CONNECTED since" in page.text("#card-shop .foot")
    page.wait(lambda: page.text("#health") == "Worker: 2 connected, 0 connecting, 0 reconnecting")
    assert page.run("return window.notReloaded")

    page.type("#new-instance", "shop" + ENTER)
    page.wait(lambda: page.text("#notice") == "Not added: there is an instance shop already.")
    page.run(
        "document.querySelector('#new-instance').removeAttribute('pattern')"
    )  # what the browser itself would refuse
    page.type("#new-instance", "/../shop" + ENTER)
    page.wait(lambda: page.text("#notice").startswith("Not added: an instance id is 1-128 characters of"))


def test_a_message_out_and_its_answer_in(page: Page, dev: Dev) -> None:
    page.open(dev.console + CHAT)
    page.type("#contact-body", "half-typed")
    page.type("#body", "Bom dia!" + ENTER)
    page.wait(lambda: page.answered("Bom dia!"))
    page.wait(lambda: "marked sent" in page.texts("#messages .message.sent .meta")[-1])
    assert page.texts("#messages .message.in .meta")[-1].startswith("received ")
    page.wait(lambda: page.text("#chat-5511988880002\\%40s\\.whatsapp\\.net .last") == "You said: Bom dia!")
    page.wait(lambda: page.focused() == "body")
    page.wait(lambda: page.run("return document.querySelector('#body').value") == "")
    page.wait(lambda: page.run("return document.querySelector('#contact-body').value") == "half-typed")

    page.type("#contact-body", " by Ana" + ENTER)
    page.wait(lambda: page.bodies()[-1] == "half-typed by Ana")
    assert page.run("return window.notReloaded")
    end = "const box = document.querySelector('#messages'); return box.scrollHeight - box.scrollTop - box.clientHeight"
    assert page.run(end) < 2
    page.picture("chat")


def test_a_new_chat_and_a_message_that_cannot_go(page: Page, dev: Dev) -> None:
    page.open(dev.console + "?instance=demo&chat=new")
    page.run("document.querySelector('#to').value = ''")
    page.type("#to", "+55 11 97777-0001")
    page.type("#body", "Olá" + ENTER)
    page.wait(lambda: page.bodies() == ["Olá", "You said: Olá"])
    assert page.text(".head h2") == "Contact 5511977770001"

    page.open(dev.console + "?instance=demo&chat=new")
    page.run("document.querySelector('#to').value = ''")
    page.type("#to", "nobody")
    page.type("#body", "?" + ENTER)
    page.wait(lambda: "failed: " in page.text("#messages .message.failed .meta"))
    page.picture("failed")


def test_the_answer_to_a_form_that_an_update_has_taken_away_is_said(page: Page, dev: Dev) -> None:
    page.run("document.querySelector('#card-demo-drop').click(); document.querySelector('#card-demo').remove()")
    page.wait(lambda: page.text("#notice") != "")
    assert page.run("return document.querySelectorAll('[id=notice]').length") == 1
    page.wait(lambda: page.badge("demo") == "Connected")


def test_a_dropped_connection_comes_back(page: Page, dev: Dev) -> None:
    page.open(dev.console + CHAT)
    page.wait(lambda: "You said: Hello from wa-worker" in page.bodies())  # the newcomer's loop is over
    page.run(REMEMBER)  # all of it is over after 5 s, however slow this machine is today
    page.click("#card-demo-drop")
    page.wait(lambda: "Reconnecting" in page.run("return [...seen.badge]"))
    page.type("#body", "while away" + ENTER)
    page.picture("dropped")
    page.look(1280, 860, dark=True)
    page.picture("dropped-dark")

    page.wait(lambda: page.answered("while away"))
    page.wait(lambda: page.badge("demo") == "Connected")
    seen = page.run("return Object.fromEntries(Object.entries(seen).map(([name, texts]) => [name, [...texts]]))")
    assert any("Proxy: CONNECTING since" in text for text in seen["foot"])
    assert "demo: Reconnecting" in seen["say"]  # for those who do not see it
    assert any("1 reconnecting" in text for text in seen["health"])
    assert any(text.startswith("while away") and "queued " in text for text in seen["queued"])
    assert page.all("#messages .message.queued") == []
    assert page.run("return window.notReloaded")


REMEMBER = """
const places = {
  badge: "#card-demo .badge", foot: "#card-demo .foot .detail", say: "#say", health: "#health",
  queued: "#messages .message.queued",
};
window.seen = Object.fromEntries(Object.keys(places).map((name) => [name, new Set()]));
new MutationObserver(() => {
  for (const [name, selector] of Object.entries(places)) {
    const found = document.querySelector(selector);
    if (found) window.seen[name].add(found.textContent.trim());
  }
}).observe(document.body, { subtree: true, childList: true, characterData: true });
"""
"""Keeps what was to be read in some places of the page, if only for a moment."""


def test_disconnect_connect_and_remove(page: Page) -> None:
    add(page, "till")
    page.click("#card-till-scan")
    page.wait(lambda: page.badge("till") == "Connected")
    page.click("#card-till-disconnect")
    page.wait(lambda: page.badge("till") == "Disconnected")  # not before the worker has let go
    page.picture("disconnected")
    page.click("#card-till-connect")
    page.wait(lambda: page.badge("till") == "Connected")  # without a scan
    page.click("#card-till-ban")
    page.wait(lambda: page.badge("till") == "On hold")
    page.wait(lambda: "next try in about" in page.text("#card-till .detail"))
    page.picture("banned")
    page.click("#card-till-remove")
    page.wait(lambda: page.all("#card-till") == [])
    assert page.run("return window.notReloaded")


def test_a_notice_covers_nothing_and_can_be_dismissed(page: Page) -> None:
    shown = "return getComputedStyle(document.querySelector('#toast')).visibility"
    top = "return document.querySelector('main').getBoundingClientRect().top"
    before = page.run(top)
    page.run("document.querySelector('#new-instance').removeAttribute('pattern')")
    page.type("#new-instance", "a/b" + ENTER)
    page.wait(lambda: page.text("#notice").startswith("Not added: an instance id is"))
    assert page.run("return document.querySelector('#toast').getBoundingClientRect().bottom") <= before
    assert page.run(top) == before  # nothing has moved
    page.picture("notice")
    page.press(ESCAPE)
    assert page.run(shown) == "hidden"
    assert page.focused() == "new-instance"

    page.press(ENTER)
    page.wait(lambda: page.run(shown) == "visible")
    page.run("document.querySelector('#dismiss').focus()")
    page.press(ENTER)
    assert page.run(shown) == "hidden"
    assert page.focused() == "new-instance"


def test_a_console_that_went_away_and_came_back(page: Page, tmp_path: Path) -> None:
    with run_dev(tmp_path / "first") as first:
        page.open(first.console + CHAT)
        page.wait(lambda: page.badge("demo") == "Connected")
    page.wait(lambda: page.text("#notice").startswith("The dev console does not answer"))
    assert page.text("#live") == "Not live, trying again"
    assert page.run("return document.body.className") == "stale"
    page.picture("gone")
    with run_dev(tmp_path / "second", int(first.console.rpartition(":")[2])):
        page.wait(lambda: page.text("#live") == "Live")
        page.wait(lambda: page.badge("demo") == "Connected")
        assert page.text("#notice") == ""
        assert page.run("return document.body.className") == ""
        assert page.run("return window.notReloaded")
        page.driver.get("about:blank")
    page.complaints()  # of requests that nobody answered
