"""An account whose only linked device runs on Baileys (peer.cjs), on the simulated WhatsApp.

`open_peer()` starts it, pairs it and waits until it is connected. The account's phone is the simulator's: it scans, and
sends what a phone sends to a device that it has just linked.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from secrets import token_bytes
from typing import Any

import trio

from tests.baileys.dialect import HEADER, baileys_dialect
from wa_worker.dev.simulator import Simulator
from wa_worker.dev.simulator.device import Device
from wa_worker.dev.simulator.protobufs import Message
from wa_worker.dev.simulator.stanza import Node, child, children, lid_of

Event = dict[str, Any]

PATIENCE = 30.0
"""Seconds to wait for what takes well under one on a quiet machine."""

_SCRIPT = Path(__file__).with_name("peer.cjs")


class Peer:
    """Controls the process, and keeps what it says in `events`. `jid` and `lid` are the account's, without a device."""

    def __init__(self, process: trio.Process, phone: str) -> None:
        self.process = process
        self.phone = phone
        self.jid = f"{phone}@s.whatsapp.net"
        self.lid = lid_of(self.jid)
        self.device = ""  # JID of the linked device
        self.events: list[Event] = []
        self._numbers = count(1)
        self._news = trio.lowlevel.ParkingLot()

    async def do(self, what: str, **fields: Any) -> str:
        """Has Baileys do this; returns the message's id, if it has sent one."""
        number = next(self._numbers)
        assert self.process.stdin is not None
        await self.process.stdin.send_all(json.dumps({"id": number, "do": what, **fields}).encode() + b"\n")
        answer = await self.said(lambda event: event.get("id") == number)
        assert answer["event"] == "done", answer["error"]
        return str(answer.get("wa_id", ""))

    def all(self, event: str) -> list[Event]:
        """Returns what it has said of this kind so far."""
        return [each for each in self.events if each["event"] == event]

    async def heard(self, event: str, fits: Callable[[Event], object] = lambda event: True) -> Event:
        """Waits for the first event of this kind that fits. Fails after PATIENCE, with what came instead."""
        return await self.said(lambda each: each["event"] == event and fits(each))

    async def message(self, wa_id: str) -> Event:
        """Waits until it has decrypted this message; returns what it says of it."""
        return await self.heard("message", lambda event: event["wa_id"] == wa_id)

    async def said(self, fits: Callable[[Event], object]) -> Event:
        with trio.move_on_after(PATIENCE):
            while (found := next((event for event in self.events if fits(event)), None)) is None:
                await self._news.park()
            return found
        raise AssertionError(f"Baileys did not say it, but {self.events}")

    async def read(self) -> None:
        """Reads what it says until it ends."""
        assert self.process.stdout is not None
        rest = b""
        async for chunk in self.process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            self.events += (json.loads(line) for line in lines)
            self._news.unpark_all()


def prepare(simulator: Simulator, installation: Path) -> None:
    """Teach the simulated WhatsApp what Baileys needs of it, and whatsmeow does not."""
    simulator.dialects[HEADER] = baileys_dialect(installation)
    simulator.answers["privacy"] = _privacy
    simulator.answers["w:sync:app:state"] = _app_state


@asynccontextmanager
async def open_peer(simulator: Simulator, installation: Path, folder: Path, phone: str) -> AsyncIterator[Peer]:
    """Yields a connected account with this phone number. The process is killed on leaving. Call `prepare` before."""
    trusted = simulator.environment(folder)["SSL_CERT_FILE"]
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "BAILEYS_LOG") if name in os.environ},
        "NODE_EXTRA_CA_CERTS": trusted,
    }
    command = ["node", str(_SCRIPT), str(installation), str(simulator.port)]
    with (folder / f"baileys-{phone}.log").open("ab") as log:
        process = await trio.lowlevel.open_process(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
    peer = Peer(process, phone)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.read)
        try:
            code = (await peer.heard("qr"))["code"]
            with trio.fail_after(PATIENCE):
                peer.device = await simulator.scan(code, phone)
            await _introduce(simulator, peer)
            await peer.heard("open")
            with trio.fail_after(PATIENCE):
                await simulator.wait_for(lambda: not simulator.pending(peer.device))
            yield peer
        finally:
            process.kill()
            with trio.CancelScope(shield=True):  # it was killed: this does not take long
                await process.wait()
                for pipe in (process.stdin, process.stdout):
                    assert pipe is not None
                    await pipe.aclose()
            nursery.cancel_scope.cancel()


async def _introduce(simulator: Simulator, peer: Peer) -> None:
    """The phone sends a key of the app state, and word of a history: Baileys holds back all events until both came."""
    phone = simulator.contact(peer.phone)
    key = {"keyID": {"keyID": b"\0\0\0\0\0\1"}, "keyData": {"keyData": token_bytes(32), "timestamp": 1}}
    share = {"type": "APP_STATE_SYNC_KEY_SHARE", "appStateSyncKeyShare": {"keys": [key]}}
    history = {"type": "HISTORY_SYNC_NOTIFICATION", "historySyncNotification": {"syncType": "INITIAL_BOOTSTRAP"}}
    for message in (share, history):
        await phone.send(peer.device, Message(protocolMessage=message), push_name="")


def _privacy(device: Device, iq: Node) -> list[Node]:
    """Read receipts are shown: else Baileys sends none to others (`readMessages` in Socket/messages-send)."""
    return [Node("privacy", {}, [Node("category", {"name": "readreceipts", "value": "all"})])]


def _app_state(device: Device, iq: Node) -> list[Node]:
    """There is nothing new in any of the collections that are asked for (`resyncAppState` in Socket/chats)."""
    asked = [node.attrs for node in children(child(iq, "sync"))]
    same = [Node("collection", {"name": each["name"], "version": each.get("version", "0")}) for each in asked]
    return [Node("sync", {}, list(same))]
