"""Makes the picture of the admin page in the docs: `python -m tests.admin.picture docs/admin.png`."""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
import time
from pathlib import Path

import attrs

import tests.whatsapp.conftest  # noqa: F401 - imports neonize first
from tests.admin.bed import TOKEN, Site
from tests.admin.thread import run_site
from wa_worker.journal import SendState, Settled
from wa_worker.models import InstanceId, Jid
from wa_worker.states import Event, State, why

TRADES = ("padaria", "clinica", "pet", "otica", "escola", "auto", "moda", "pizza", "flora", "studio")
PLACES = ("lua", "central", "sul", "jardim", "mar", "norte", "paulista", "serra", "vila", "porto")
ODD = {
    "padaria-sul": (State.LOGGED_OUT, Event.LOGGED_OUT, 2_400, None),
    "clinica-mar": (State.HELD, Event.BANNED, 5_100, 11_000),
    "pizza-vila": (State.CONNECTED, Event.RESTRICTED, 700, 2_900),
    "otica-lua": (State.PAIRING, Event.QR, 320, None),
    "escola-norte": (State.RECONNECTING, Event.DISCONNECTED, 12, None),
}


def believable(site: Site) -> None:
    """A Tuesday at ten: a hundred shops, of which three need somebody."""
    registry, now = site.bed.services.registry, time.time()
    for number, (trade, place) in enumerate(itertools.product(TRADES, PLACES)):
        name = InstanceId(f"{trade}-{place}")
        connected = (State.CONNECTED, Event.CONNECTED, 3_600 * (1 + number * 7 % 90), None)
        state, because, ago, left = ODD.get(name, connected)
        registry.set(name, state, because=because)
        registry.set_reason(name, why(state, because).reason, int(now) + left if left else None)
        registry.set_account(name, Jid(f"55119{number * 7919 % 10**8:08}@s.whatsapp.net"))
        registry._instances[name] = attrs.evolve(registry.all()[name], since=now - ago)
        registry.activity(name).last_in = now - (ago if name in ODD else 4 + number * number % 2_900)
        registry.activity(name).last_out = now - (ago if name in ODD else 2 + number * 71 % 1_700)
    ledger, shop = site.bed.journal.ledger, InstanceId("auto-serra")
    ledger.admit(shop, {1: Jid("5511988880001@s.whatsapp.net")}, listed_at=now)
    ledger.step(shop, [Settled(1, SendState.UNCERTAIN, error="the answer never came")], None)


def main(target: str) -> None:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1100,560", "--hide-scrollbars"):
        options.add_argument(option)
    with tempfile.TemporaryDirectory() as folder, run_site(Path(folder), believable) as running:
        service = webdriver.ChromeService(shutil.which("chromedriver"))  # else Selenium asks the net for one
        driver = webdriver.Chrome(options=options, service=service)
        try:
            size = {"width": 1100, "height": 560, "deviceScaleFactor": 1, "mobile": False}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            driver.get(f"{running.site.base}/admin")
            driver.find_element("css selector", "#token").send_keys(TOKEN)
            driver.find_element("css selector", "main button").click()
            driver.find_element("css selector", ".rows li")
            driver.save_screenshot(target)
        finally:
            driver.quit()


if __name__ == "__main__":
    main(sys.argv[1])
