"""The console in headless Chromium, as a person uses it. Screenshots of each state are in the tests' folders."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import attrs
import httpx
import pytest

from tests.dev.console.conftest import SECRET, Dev, run_dev
from tests.dev.console.page import Page
from wa_worker.dev.world.qr import read_png_data_url

ENTER, TAB, ESCAPE = "\ue007", "\ue004", "\ue00c"

CHAT = "?instance=demo&chat=5511988880002%40s.whatsapp.net"
"""demo's chat with Ana, in which the newcomer's loop plays."""


def answered(page: Page, text: str) -> bool:
    return page.bodies()[-2:] == [text, f"You said: {text}"]


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
    page.wait(lambda: answered(page, "Bom dia!"))
    page.wait(lambda: "marked sent" in page.texts("#messages .message.sent .meta")[-1])
    assert page.texts("#messages .message.in .meta")[-1].startswith("received ")
    assert page.text("#chat-5511988880002\\%40s\\.whatsapp\\.net .last") == "You said: Bom dia!"
    assert page.focused() == "body"
    assert page.run("return document.querySelector('#body').value") == ""
    assert page.run("return document.querySelector('#contact-body').value") == "half-typed"

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

    page.wait(lambda: answered(page, "while away"))
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


@attrs.frozen
class Hostile:
    body: str
    shown: str = ""  # if it is not the body itself


HOSTILE = [
    Hostile("<img src=x onerror=\"window.pwned='img'\">"),
    Hostile("</script><script>window.pwned='script'</script>"),
    Hostile("</div></article><style>*{display:none}</style>{{ 7*7 }}{% raw %}&lt;b&gt;&#x202e;"),
    Hostile("\u202egpj.exe\u202c a\u200bb\x00\x1b[2J", "U+202Egpj.exeU+202C aU+200BbU+0000U+001B[2J"),
    Hostile("مرحبا — שלום"),
    Hostile("Z̴̢̛͙̰͔̗̘̮̟͉͂̈́̒͑̂̇̀̽a̸l̵g̶o" + "\u0301" * 60),
    Hostile("W" * 60_000, "W" * 2_000),
]


def test_hostile_bodies_are_shown_as_text(page: Page, dev: Dev) -> None:
    headers = {"Authorization": f"Bearer {SECRET}"}
    chat = '"><script>pwned=1</script>@s.whatsapp.net'
    with httpx.Client(base_url=dev.proxy, headers=headers) as proxy:
        for number, each in enumerate(HOSTILE):
            message = {
                "instanceId": "demo",
                "from": chat,
                "to": "x",
                "body": each.body,
                "wa_message_id": f"A{number}",
                "push_name": "<b onclick=pwned=1>Eve\u202e",
                "message_type": "<i>",
            }
            assert proxy.post("/inbound", json=message).status_code == 200
        name = "<script>window.pwned='id'</script>"
        assert proxy.post("/admin/instances", json={"id": name, "status": "CONNECTED"}).status_code == 201

    page.open(dev.console + "?instance=demo")
    page.wait(lambda: name in page.texts("#cards h3"))
    (link,) = [each for each in page.all("#chats a") if "Eve" in each.text]
    page.driver.get(link.get_attribute("href"))
    page.wait(lambda: len(page.bodies()) > len(HOSTILE))
    shown = page.texts("#messages .message > .body")
    assert shown == [each.shown or each.body for each in HOSTILE]
    assert page.text("#messages summary") == "50000 more characters"
    assert page.text(".head h2") == "<b onclick=pwned=1>Eve[U+202E]"
    page.picture("hostile")
    no_wider_than_the_screen(page)
    page.look(360, 740, dark=False)
    page.picture("hostile-phone")
    no_wider_than_the_screen(page)

    # through the stream, too, and out as well as in
    page.open(dev.console + CHAT)
    for each in HOSTILE[:2]:
        page.type("#body", each.body + ENTER)
        page.wait(partial(answered, page, each.body))
    assert page.run("return window.pwned") is None
    assert len(page.all("#messages img, #chats img, #messages script, #cards script, #messages style")) == 0
    assert len(page.all("script")) == 1

    # If one had slipped through, the policy would have stopped it.
    page.run("""
        const script = document.createElement("script");
        script.textContent = "window.pwned = 'inline'";
        document.body.append(script);
        const image = document.createElement("div");
        image.innerHTML = "<img src=/static/no.png onerror='window.pwned = 1'><img src=http://example.invalid/x.png>";
        document.body.append(image);
    """)
    page.wait(lambda: sum("Content Security Policy" in each for each in page.complaints()) >= 1)
    assert page.run("return window.pwned") is None
    page.complaints()
    with httpx.Client(base_url=dev.proxy, headers=headers) as proxy:
        assert proxy.delete(f"/admin/instances/{name}").status_code == 200


def test_the_keyboard_is_enough(page: Page, dev: Dev) -> None:
    page.open(dev.console + CHAT)
    page.press(TAB)
    assert "Skip to the conversation" in page.run("return document.activeElement.textContent")
    for _ in range(40):
        if page.focused() == "body":
            break
        page.press(TAB)
        visible = "return getComputedStyle(document.activeElement).outlineStyle"
        assert page.run(visible) == "solid", page.focused()
        assert page.run(RING_IS_WHOLE), page.focused()
    page.press("by keyboard", ENTER)
    page.wait(lambda: page.bodies()[-1] == "You said: by keyboard")
    assert page.focused() == "body"

    # a button that is gone once it was pressed leaves the focus with its card
    page.run("document.querySelector('#card-demo-log-out').focus()")
    page.press(ENTER)
    page.wait(lambda: page.badge("demo") == "Waiting for a scan")
    page.wait(lambda: page.text("#card-demo .detail").startswith("The phone logged this device out."))
    assert page.focused() == "card-demo-name"
    page.press(TAB)
    assert page.focused() == "card-demo-scan"
    page.press(ENTER)
    page.wait(lambda: page.badge("demo") == "Connected")
    assert page.focused().startswith("card-demo-")


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


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_on_a_phone_nothing_is_cut_off_and_all_can_be_read(page: Page, dev: Dev, *, dark: bool) -> None:
    page.look(360, 740, dark=dark)
    page.open(dev.console + CHAT)
    no_wider_than_the_screen(page)
    page.picture("phone")
    assert page.run("return matchMedia('(prefers-color-scheme: dark)').matches") is dark
    red, *_ = page.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (red < 60) is dark
    poor = {what: ratio for what, ratio in page.run(CONTRASTS).items() if ratio < 4.5}
    assert poor == {}  # WCAG 2.2, 1.4.3
    page.look(360, 2400, dark=dark)
    page.picture("phone-whole")


def no_wider_than_the_screen(page: Page) -> None:
    width, screen = page.run("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= screen


RING_IS_WHOLE = """
const column = document.activeElement.closest(".instances, .chats");
const edges = (element) => element.getBoundingClientRect();
return !column || edges(document.activeElement).left - 4 >= edges(column).left;
"""

CONTRASTS = """
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => {
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = numbers(colour).map((c) => linear(c / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const back = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if ((numbers(colour)[3] ?? 1) > 0) return colour;
  }
};
const found = {};
const read = "h1, h1 span, h2, h3, p, a, label, button, time, .body, .state, .last, .name";
for (const each of document.querySelectorAll(read)) {
  if (!each.textContent.trim() || !each.checkVisibility()) continue;
  const [a, b] = [light(getComputedStyle(each).color), light(back(each))].sort((x, y) => y - x);
  found[`${each.tagName} ${each.className} ${each.textContent.trim().slice(0, 30)}`] = (a + 0.05) / (b + 0.05);
}
return found;
"""
