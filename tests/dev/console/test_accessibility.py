"""The console on a phone, by keyboard alone, and in colours that everybody can read."""

from __future__ import annotations

import pytest

from tests.dev.console.conftest import Dev
from tests.dev.console.page import CHAT, ENTER, TAB, Page


def test_the_keyboard_is_enough(page: Page, dev: Dev) -> None:
    page.open(dev.console + CHAT)
    page.wait(lambda: "You said: Hello from wa-worker" in page.bodies())  # the newcomer's loop is over
    page.press(TAB)
    assert "Skip to the conversation" in page.run("return document.activeElement.textContent")
    for _ in range(200):
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


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_on_a_phone_nothing_is_cut_off_and_all_can_be_read(page: Page, dev: Dev, *, dark: bool) -> None:
    page.look(360, 740, dark=dark)
    page.open(dev.console + CHAT)
    assert page.fits_the_screen()
    page.picture("phone")
    assert page.run("return matchMedia('(prefers-color-scheme: dark)').matches") is dark
    red, *_ = page.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (red < 60) is dark
    poor = {what: ratio for what, ratio in page.run(CONTRASTS).items() if ratio < 4.5}
    assert poor == {}  # WCAG 2.2, 1.4.3
    page.look(360, 2400, dark=dark)
    page.picture("phone-whole")


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
