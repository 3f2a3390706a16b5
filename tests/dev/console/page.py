"""The console's page in a browser, by what a person sees of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ENTER, TAB, ESCAPE = "\ue007", "\ue004", "\ue00c"

CHAT = "?instance=demo&chat=5511988880002%40s.whatsapp.net"
"""demo's chat with Ana, in which the newcomer's loop plays."""


class Page:
    """A tab. `driver` is selenium's, untyped here since it need not be installed."""

    def __init__(self, driver: Any, patience: float) -> None:
        self.driver = driver
        self.pictures = Path()
        self._patience = patience

    def open(self, url: str) -> None:
        self.complaints()  # those of the last test are not ours
        self.driver.get(url)
        self.wait(lambda: self.text("#live") == "Live")
        self.run("window.notReloaded = true")

    def look(self, width: int, height: int, *, dark: bool) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def fits_the_screen(self) -> bool:
        """Whether nothing is wider than the screen."""
        width, screen = self.run("return [document.documentElement.scrollWidth, window.innerWidth]")
        return bool(width <= screen)

    def wait(self, condition: Callable[[], T]) -> T:
        """The first truthy value."""
        deadline = time.monotonic() + self._patience
        while not (value := condition()):
            if time.monotonic() > deadline:
                self.picture("too-late")
                seen = self.run("return document.body.innerText")
                raise AssertionError(f"waited for {self._patience:.0f} s; the page is:\n{seen}\n{self.complaints()}")
            time.sleep(0.05)
        return value

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def text(self, selector: str) -> str:
        """All text below the first such element, seen or not; "" if there is none."""
        return str(self.run("return document.querySelector(arguments[0])?.textContent.trim() ?? ''", selector))

    def texts(self, selector: str) -> list[str]:
        found: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)", selector
        )
        return found

    def badge(self, instance: str) -> str:
        return self.text(f"#card-{instance} .badge")

    def bodies(self) -> list[str]:
        """The texts of the messages, oldest first."""
        return self.texts("#messages .body")

    def answered(self, text: str) -> bool:
        """Whether this message is there, and its answer behind it. Answers to others may come in between."""
        bodies = self.bodies()
        return text in bodies and f"You said: {text}" in bodies[bodies.index(text) :]

    def type(self, selector: str, text: str) -> None:
        """Types into an element, which may be redrawn between its being found and used: then once more."""
        from selenium.common.exceptions import StaleElementReferenceException

        try:
            self.driver.find_element("css selector", selector).send_keys(text)
        except StaleElementReferenceException:
            self.driver.find_element("css selector", selector).send_keys(text)

    def click(self, selector: str) -> None:
        """By the browser's own means: it takes the place of a button that is redrawn at this moment."""
        self.run("document.querySelector(arguments[0]).click()", selector)

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self) -> str:
        return str(self.run("return document.activeElement.id"))

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def picture(self, name: str) -> None:
        self.driver.save_screenshot(str(self.pictures / f"{name}.png"))

    def complaints(self) -> list[str]:
        """What the browser's console has said since it was last asked. That we said no to a form is no complaint."""
        messages = [entry["message"] for entry in self.driver.get_log("browser")]
        return [each for each in messages if "responded with a status of 409" not in each]
