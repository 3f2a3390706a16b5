"""The health port with the admin page, over a real journal and a real fleet whose pairing host shows one code."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import httpx
import trio

from tests.instances.bed import Bed, open_bed
from tests.whatsapp.scripted_host import script
from wa_worker.admin.page import add_pages
from wa_worker.admin.parts import Parts
from wa_worker.instances.fleet import InstanceFleet
from wa_worker.instances.registry import Registry
from wa_worker.models import InstanceId, Jid, Secret
from wa_worker.monitoring.health import listen, run_health
from wa_worker.monitoring.readiness import Readiness
from wa_worker.states import Event, State, why

TOKEN = "the-token-of-the-tests"
CODE = script(None, {"is": "qr", "code": "2@"})


@attrs.define
class Browser:
    """A client that keeps its cookie and knows its forms' token."""

    http: httpx.AsyncClient
    csrf: str = ""

    async def log_in(self, token: str = TOKEN) -> httpx.Response:
        answer = await self.http.post("/admin/log-in", data={"token": token})
        page = await self.http.get("/admin")
        if found := re.search(r'name="csrf" value="([^"]+)"', page.text):
            self.csrf = found[1]
        return answer

    async def do(self, name: str, **fields: str) -> httpx.Response:
        return await self.http.post(f"/admin/{name}", data={"csrf": self.csrf, **fields})


@attrs.frozen
class Site:
    bed: Bed
    fleet: InstanceFleet
    readiness: Readiness
    base: str

    @asynccontextmanager
    async def browser(self, **headers: str) -> AsyncIterator[Browser]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(base_url=self.base, headers=named, trust_env=False) as http:
            yield Browser(http)

    @asynccontextmanager
    async def logged_in(self, **headers: str) -> AsyncIterator[Browser]:
        async with self.browser(**headers) as browser:
            assert (await browser.log_in()).status_code == 303
            yield browser


@asynccontextmanager
async def open_site(folder: Path, *, show_qr: bool = False, token: str | None = TOKEN) -> AsyncIterator[Site]:
    async with open_bed(folder, CODE) as bed, trio.open_nursery() as nursery:
        services = bed.services
        services.registry.on_changed.append(services.history.changed)
        fleet = InstanceFleet(services, nursery, stopping=lambda: False)
        readiness = Readiness(services.registry, 3600.0)
        readiness.working(bed.journal, bed.fixture.edge, services.volume)
        parts = Parts(services.registry, readiness, show_qr=show_qr)
        parts.working(bed.journal, fleet)
        listener, secret = listen("127.0.0.1", 0), Secret(token) if token is not None else None
        add = partial(add_pages, parts, secret)
        await nursery.start(run_health, services.registry, readiness, services.metrics, listener, secret, add)
        await bed.fixture.edge.disconnected_instances()  # the proxy answers: the worker is ready
        yield Site(bed, fleet, readiness, f"http://127.0.0.1:{listener.getsockname()[1]}")
        nursery.cancel_scope.cancel()


def crowd(registry: Registry, count: int = 200) -> None:
    """Has that many instances, of which customer-117 is banned, and one each is out, restricted, full and retrying."""
    odd = {
        117: (State.HELD, Event.BANNED),
        31: (State.LOGGED_OUT, Event.LOGGED_OUT),
        64: (State.CONNECTED, Event.RESTRICTED),
        140: (State.RETRYING, Event.VOLUME_FAILED),
        163: (State.RETRYING, Event.OPEN_FAILED),
        12: (State.PAIRING, Event.QR),
    }
    for number in range(count):
        state, because = odd.get(number, (State.CONNECTED, Event.CONNECTED))
        name, now = InstanceId(f"customer-{number:03}"), time.time()
        registry.set(name, state, because=because, detail="a detail of it" if number in odd else "")
        held = int(now) + 11_000 if because in (Event.BANNED, Event.RESTRICTED) else None
        registry.set_reason(name, why(state, because).reason, held)
        registry.set_account(name, Jid(f"55119999{number:05}@s.whatsapp.net"))
        registry.activity(name).last_in = now - 17 * number - 3
        registry.activity(name).last_out = now - 29 * number - 8
