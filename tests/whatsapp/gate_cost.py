"""What the socket gate costs a message: `python -m tests.whatsapp.gate_cost [MESSAGES]`.

The real library in a process of its own, with the gate and without it in turns, on the same paired store and the same
simulated WhatsApp: messages out one after the other, then messages in, all handed to WhatsApp at once.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import trio

from tests.proxy_fixture import until
from tests.whatsapp.socket_gate.test_session import leased
from tests.whatsapp.test_session import CONTACT
from wa_worker.dev.simulator import open_simulator

TURNS = 5


async def main(messages: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with open_simulator() as simulator:
            world = leased(simulator, Path(folder))
            outside = f"http://127.0.0.1:{simulator.port}"
            async with world.worker(proxy=outside) as worker:
                jid = await world.paired(worker)
            found: dict[bool, list[tuple[float, ...]]] = {True: [], False: []}
            for turn in range(TURNS * 2):
                gate = turn % 2 == 0
                async with world.worker(outside, proxy=outside, gate=gate) as worker:
                    await worker.hears("report", event="CONNECTED")
                    to = f"{CONTACT}@s.whatsapp.net"
                    await worker.tell("measure", to=to, count="20")  # warm
                    await worker.hears("measured")
                    worker.said.clear()
                    await worker.tell("measure", to=to, count=str(messages))
                    out = await worker.hears("measured")
                    await worker.tell("use")
                    before = (await worker.hears("used"))["cpu"]
                    worker.said.clear()
                    started = time.perf_counter()
                    for number in range(messages):
                        await simulator.contact(CONTACT).send(jid, f"message {number}")
                    await until(lambda: worker.count("message") >= messages)
                    seconds = time.perf_counter() - started
                    await worker.tell("use")
                    used = (await worker.hears("used"))["cpu"] - before
                row = (
                    statistics.median(out["seconds"]) * 1000,
                    out["cpu"] / messages * 1000,
                    used / messages * 1000,
                    messages / seconds,
                )
                found[gate].append(row)
                print("with" if gate else "without", *(f"{each:8.2f}" for each in row), flush=True)
    names = ("out, p50, ms", "out, CPU, ms", "in, CPU, ms", "in, a second")
    for name, ours, bare in zip(names, *(zip(*found[gate], strict=True) for gate in (True, False)), strict=True):
        one, two = statistics.median(ours), statistics.median(bare)
        print(f"{name:14} with {one:8.2f}  without {two:8.2f}  ratio {one / two:5.2f}", end="  ")
        print(f"least {min(ours):8.2f} {min(bare):8.2f}")


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 200)
