"""Makes the picture of the dev console in the docs: `python -m tests.dev.console.picture docs/console.png`.

`--language pt-BR` makes it in Portuguese.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from tests.dev.console.conftest import PATIENCE, run_dev
from tests.dev.console.page import CHAT, ENTER, Page

SIZE = (1280, 960)


def main(target: str, language: str) -> None:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    width, height = SIZE
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--lang={language}"):
        options.add_argument(option)
    options.add_argument(f"--window-size={width},{height}")
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    service = webdriver.ChromeService(shutil.which("chromedriver"))  # else Selenium asks the net for one
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory() as folder, run_dev(Path(folder) / "output") as dev:
        page = Page(webdriver.Chrome(options=options, service=service), PATIENCE)
        try:
            page.look(width, height, dark=False)
            page.driver.get(dev.console + CHAT)
            page.wait(lambda: any("You said" in body for body in page.bodies()))
            page.type("#new-instance", "shop" + ENTER)
            page.wait(lambda: page.all("#card-shop .code img"))
            page.type("#body", "Bom dia! O pedido 1042 saiu para entrega." + ENTER)
            page.wait(lambda: page.answered("Bom dia! O pedido 1042 saiu para entrega."))
            page.wait(lambda: page.run("return document.querySelector('#card-shop img').naturalWidth") > 100)
            page.click("#dismiss")
            page.run("document.querySelectorAll('.reactions').forEach((each) => each.remove())")  # fonts may lack emoji
            page.run("document.activeElement.blur()")
            page.driver.save_screenshot(target)
        finally:
            page.driver.quit()


if __name__ == "__main__":
    given = argparse.ArgumentParser()
    given.add_argument("target")
    given.add_argument("--language", default="en-US")
    arguments = given.parse_args()
    main(arguments.target, arguments.language)
