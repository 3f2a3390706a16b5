"""Pairing on a store that cannot be opened: quietly, at nobody else's cost, and mended where that is safe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import trio

from tests.e2e.world import SECRET, World, eventually
from wa_worker.whatsapp.host_environment import PASSED_ON


async def test_a_store_that_cannot_be_opened_does_not_spin(world: World) -> None:
    """Each try costs a session in the pairing host, each 16 of them a new host."""
    (world.auth_dir / "broken").mkdir(parents=True)
    (world.auth_dir / "broken" / "session.db").symlink_to(world.folder / "nowhere" / "session.db")
    worker = await world.start_worker()
    world.proxy.store.add_instance("broken")

    def tries() -> int:
        return sum(line["event"] == "pairing" for line in worker.lines)

    await worker.logged("retrying", instance="broken", reason=lambda text: "unable to open" in str(text))
    began, already = trio.current_time(), tries()
    await eventually(lambda: tries() >= already + 2)
    assert trio.current_time() - began > 1.2, "pauses of 1 and 2 s, or half of that"
    await world.pair("shop", "5511999990001")


@pytest.mark.parametrize("spoil", [lambda file: file.write_bytes(b"x" * 5000), Path.mkdir])
async def test_what_is_no_store_is_set_aside_for_a_new_one(world: World, spoil: Callable[[Path], object]) -> None:
    folder = world.auth_dir / "shop"
    folder.mkdir(parents=True)
    spoil(folder / "session.db")
    await world.start_worker()
    await world.pair("shop", "5511999990001")
    assert [file.name for file in folder.glob("archive/*/*")] == ["session.db"]


def environment_of(pid: int) -> dict[str, str]:
    return dict(item.split("=", 1) for item in Path(f"/proc/{pid}/environ").read_text().split("\0") if item)


async def test_the_process_that_pairs_knows_no_secret(world: World) -> None:
    """Its environment can be read in /proc by whatever runs as the same user."""
    secrets = {
        "ADMIN_TOKEN": "a-token",
        "DATABASE_PASSWORD": "a-password",
        "AWS_SECRET_ACCESS_KEY": "a-key",
        "EDGE_SOMETHING": "an-edge",
        "LC_ALL": "C.UTF-8",
    }
    worker = await world.start_worker(**secrets)
    world.proxy.store.add_instance("shop")
    await world.qr("shop")
    (host,) = worker.descendants()
    environ = environment_of(host)
    assert {"WORKER_SECRET", "EDGE_BASE_URL", "AUTH_DIR", *secrets} & environ.keys() == {"LC_ALL"}
    assert environ.keys() <= {*PASSED_ON, "LC_ALL"}
    assert SECRET not in environ.values()
    assert {"PATH", "HTTPS_PROXY", "SSL_CERT_FILE", "NEONIZE_BOT_TAG"} <= environ.keys()
    await world.pair("shop", "5511999990001")


async def test_of_many_that_are_not_paired_as_many_show_codes_as_may_at_once(world: World) -> None:
    worker = await world.start_worker(PAIRINGS_AT_ONCE="1", ADMIN_TOKEN="t")
    world.proxy.store.add_instance("first")
    code = await world.qr("first")
    world.proxy.store.add_instance("second")
    line = await worker.logged("waiting for its turn to show QR codes", instance="second")
    assert line["ahead"] == 0
    row = await world.status("second", "CONNECTING")
    assert row.qr_code is None
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{worker.port}/instances", headers={"Authorization": "Bearer t"})
    now = {each["id"]: (each["state"], each["because"]) for each in answer.json()["instances"]}
    assert now == {"first": ("pairing", "qr"), "second": ("pairing", "queued")}
    await world.simulator.scan(code, "5511999990001")
    await world.status("first", "CONNECTED")
    await world.pair("second", "5511999990002")
