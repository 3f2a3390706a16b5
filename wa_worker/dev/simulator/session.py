"""The life of one client after the Noise handshake: it pairs, or it logs in and talks until the connection ends.

Owns who may log in and what a refusal looks like (`handleConnectFailure` and `handleStreamError` in whatsmeow
connectionevents.go), what makes a device active or unlinks it, and which module takes which stanza. Stops when the
connection does.
"""

import time
from typing import Any

import trio

from wa_worker.dev.simulator import iq, messages
from wa_worker.dev.simulator.connection import Connection
from wa_worker.dev.simulator.device import Device
from wa_worker.dev.simulator.phone import WaitingClient
from wa_worker.dev.simulator.stanza import PHONE_SUFFIX, Node, child, children
from wa_worker.dev.simulator.world import REPLACED, Simulator

# Reasons of `<failure>`: `ConnectFailureReason` in whatsmeow types/events/events.go
_LOGGED_OUT = 401
_BANNED = 402
_OUTDATED = 405


async def serve_client(simulator: Simulator, connection: Connection) -> None:
    """Never returns: raises ClientGone or ProtocolViolation, or is cancelled by the connection's end."""
    noise_key, payload = await connection.handshake()
    if payload.username:
        jid = f"{payload.username}:{payload.device}{PHONE_SUFFIX}"
        await _serve_login(simulator, connection, noise_key, jid)
    else:
        await _serve_pairing(simulator, connection, noise_key, payload)


async def _serve_pairing(simulator: Simulator, connection: Connection, noise_key: bytes, payload: Any) -> None:
    if simulator.client_outdated:
        connection.finish(_failure(_OUTDATED))
    client = WaitingClient(connection, noise_key, payload, simulator.qr_refs)
    simulator.waiting.add(client)
    try:
        client.show_codes()
        while True:
            node = await connection.receive()
            if node.tag == "iq" and node.attrs.get("type") in {"result", "error"}:
                client.take_answer(node)
            elif node.tag == "iq":
                answer = iq.answer(simulator, None, node)
                if (link := client.take_link_code(node)) is not None:
                    answer = iq.link_code(simulator, node, link)
                connection.send_after(simulator.answer_delay, answer)
                simulator.note_change()
    finally:
        simulator.waiting.discard(client)
        client.connection_lost()


async def _serve_login(simulator: Simulator, connection: Connection, noise_key: bytes, jid: str) -> None:
    simulator.attempts[jid] += 1
    if jid in simulator.unreachable:
        connection.cut()
        await trio.sleep_forever()
    device = simulator.devices.get(jid)
    refusal = _refusal(simulator, jid, device, noise_key)
    if device is None or refusal is not None:
        connection.finish(refusal or _failure(_LOGGED_OUT))
        while True:
            await connection.receive()
    if device.connection is not None:
        simulator.overlaps[jid] += 1
        device.connection.finish(REPLACED)
        _disconnect(device, device.connection)
    device.connection = connection
    simulator.logins[jid] += 1
    try:
        connection.send(
            Node("success", {"t": str(int(time.time())), "props": "27", "lid": device.lid, "location": "sim"})
        )
        while True:
            _take(simulator, device, connection, await connection.receive())
    finally:
        _disconnect(device, connection)


def _disconnect(device: Device, connection: Connection) -> None:
    """This connection is no longer the device's, if it still was."""
    device.mailbox.detach(connection)
    if device.connection is connection:
        device.connection, device.active = None, False


def _refusal(simulator: Simulator, jid: str, device: Device | None, noise_key: bytes) -> Node | None:
    if simulator.client_outdated:
        return _failure(_OUTDATED)
    if jid in simulator.bans:
        return _failure(_BANNED, code=simulator.ban_code, expire=simulator.bans[jid])
    if jid in simulator.login_failures:
        return _failure(simulator.login_failures[jid])
    if device is None or device.noise_key != noise_key:
        return _failure(_LOGGED_OUT)
    return None


def _failure(reason: int, **more: int | None) -> Node:
    named = {name: str(value) for name, value in more.items() if value is not None}
    return Node("failure", {"reason": str(reason), "location": "sim", **named})


def _take(simulator: Simulator, device: Device, connection: Connection, node: Node) -> None:
    if device.connection is not connection:
        return  # replaced, and about to be closed
    match node.tag:
        case "iq":
            _take_iq(simulator, device, connection, node)
        case "message":
            messages.take_message(simulator, device, node)
        case "receipt":
            messages.take_receipt(simulator, device, node)
        case "ack":
            messages.take_ack(device, node)
        case "chatstate":  # what a client shows of its typing: `composing` or `paused`
            simulator.typing.append((node.attrs["to"], *((part.tag, part.attrs) for part in children(node))))
    simulator.note_change()


def _take_iq(simulator: Simulator, device: Device, connection: Connection, node: Node) -> None:
    if device.jid in simulator.silent or node.attrs.get("type") in {"result", "error"}:
        return
    answer = iq.answer(simulator, device, node)
    connection.send_after(simulator.contact_delay if iq.asks_for_contacts(node) else simulator.answer_delay, answer)
    if node.attrs.get("xmlns") == "passive" and child(node, "active"):
        device.active = True
        device.mailbox.attach(connection, end_of_backlog=device.jid not in simulator.skip_offline)
    elif node.attrs.get("xmlns") == "md" and child(node, "remove-companion-device"):
        simulator.unlink(device.jid)
