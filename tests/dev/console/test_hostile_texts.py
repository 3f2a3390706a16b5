"""The console shows what comes from outside as text, whatever it is."""

from __future__ import annotations

from functools import partial

import attrs
import httpx

from tests.dev.console.conftest import SECRET, Dev
from tests.dev.console.page import CHAT, ENTER, Page


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

STOPPED = ("inline script", "inline event handler", "example.invalid")
"""What the browser says it has stopped. It says so of the handler only once the image has failed to load."""


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
    assert page.text("#messages .more summary") == "50000 more characters"
    assert page.text(".head h2") == "<b onclick=pwned=1>Eve[U+202E]"
    page.picture("hostile")
    assert page.fits_the_screen()
    page.look(360, 740, dark=False)
    page.picture("hostile-phone")
    assert page.fits_the_screen()

    # through the stream, too, and out as well as in
    page.open(dev.console + CHAT)
    for each in HOSTILE[:2]:
        page.type("#body", each.body + ENTER)
        page.wait(partial(page.answered, each.body))
    assert page.run("return window.pwned") is None
    assert (
        len(page.all("#messages :not(.picture) > img, #chats img, #messages script, #cards script, #messages style"))
        == 0
    )
    assert len(page.all("script")) == 3

    # If one had slipped through, the policy would have stopped it.
    page.run("""
        const script = document.createElement("script");
        script.textContent = "window.pwned = 'inline'";
        document.body.append(script);
        const image = document.createElement("div");
        image.innerHTML = "<img src=/static/no.png onerror='window.pwned = 1'><img src=http://example.invalid/x.png>";
        document.body.append(image);
    """)
    stopped: list[str] = []

    def all_are_stopped() -> bool:
        stopped.extend(page.complaints())
        return all(any(what in each for each in stopped) for what in STOPPED)

    page.wait(all_are_stopped)
    assert page.run("return window.pwned") is None
    with httpx.Client(base_url=dev.proxy, headers=headers) as proxy:
        assert proxy.delete(f"/admin/instances/{name}").status_code == 200
