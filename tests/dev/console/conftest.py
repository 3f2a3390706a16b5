"""The real command and a real browser, each once for all tests of a run."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from tests.dev.console.page import Page

SECRET = "the-console-test"
PATIENCE = 30.0
"""Seconds for what takes one or two: the machine is shared."""


@attrs.frozen
class Dev:
    """A running `wa-worker dev --simulate`."""

    console: str
    proxy: str


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    with run_dev(tmp_path_factory.mktemp("dev") / "output") as running:
        yield running


@contextmanager
def run_dev(output: Path, console_port: int = 0) -> Iterator[Dev]:
    """Ends it with Ctrl-C. What it prints goes to the file `output`."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "wa_worker", "dev", "--simulate", "--console-port", str(console_port)],
            env={**os.environ, "WORKER_SECRET": SECRET},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Dev(_line(process, output, "console"), _line(process, output, "proxy"))
        assert process.poll() is None, output.read_text()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0, output.read_text()
        assert "Traceback" not in output.read_text()
    finally:
        process.kill()
        process.wait()


def _line(process: subprocess.Popen[bytes], output: Path, subject: str) -> str:
    deadline = time.monotonic() + PATIENCE
    while (found := re.search(rf"{subject} +(http://127\.0\.0\.1:\d+)", output.read_text())) is None:
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.05)
    return found[1]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Skips if there is none: nothing is ever downloaded for it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("needs chromium and chromedriver (apt-get install chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium (pip install '.[test]')")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for option in (
        "--headless=new",
        "--no-sandbox",  # in containers the browser is root
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driving = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Page(driving, PATIENCE)
    finally:
        driving.quit()


@pytest.fixture
def page(chromium: Page, dev: Dev, tmp_path: Path) -> Iterator[Page]:
    """The console of `dev` on a desktop's screen, in light, with `demo` connected. Its screenshots are kept with the
    test's other files. Nothing may have gone wrong in the browser."""
    chromium.pictures = tmp_path
    chromium.look(1280, 860, dark=False)
    chromium.open(dev.console)
    chromium.wait(lambda: chromium.badge("demo") == "Connected")
    yield chromium
    assert chromium.complaints() == []
