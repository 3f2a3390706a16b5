"""The admin page of the real program: what a person lets go of stays so over a restart."""

from __future__ import annotations

import re

import httpx

from tests.e2e.world import Worker, World, eventually

TOKEN = "the-token-of-the-tests"


async def logged_in(http: httpx.AsyncClient, worker: Worker) -> str:
    """Logs in, and returns what the forms carry."""
    http.base_url = httpx.URL(f"http://127.0.0.1:{worker.port}")
    await http.post("/admin/log-in", data={"token": TOKEN})
    found = re.search(r'name="csrf" value="([^"]+)"', (await http.get("/admin")).text)
    assert found is not None
    return found[1]


async def test_what_a_person_lets_go_of_stays_away_over_a_restart(world: World) -> None:
    worker = await world.start_worker(ADMIN_TOKEN=TOKEN)
    await world.pair("shop", "5511999990001")
    async with httpx.AsyncClient(trust_env=False) as http:
        csrf = await logged_in(http, worker)
        await http.post("/admin/let-go", data={"csrf": csrf, "instance": "shop"})
        row = await world.status("shop", "DISCONNECTED")
        assert row.reason == "released"
        await worker.stop()

        worker = await world.start_worker(ADMIN_TOKEN=TOKEN)
        await worker.logged("working")
        csrf = await logged_in(http, worker)
        polls = world.proxy.store.requests["disconnected-instances"]
        await eventually(lambda: world.proxy.store.requests["disconnected-instances"] >= polls + 3)
        assert not any(line["event"] == "connected" for line in worker.lines)
        page = (await http.get("/admin/instances/shop")).text
        assert "A person let go of it here" in page
        assert "Messages flow" in page, "its history of before the restart"
        await http.post("/admin/take-up", data={"csrf": csrf, "instance": "shop"})
        await world.status("shop", "CONNECTED")
        await worker.stop()

        worker = await world.start_worker(ADMIN_TOKEN=TOKEN)
        await world.status("shop", "CONNECTED")
        await logged_in(http, worker)
        assert "The worker stopped" in (await http.get("/admin/instances/shop")).text
