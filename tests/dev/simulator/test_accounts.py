"""Two linked accounts that write to each other, and the dialects of their clients."""

import time
import zlib
from collections.abc import Callable
from functools import partial

from tests.dev.simulator.conftest import Clients
from tests.proxy_fixture import until
from wa_worker.dev.simulator import Simulator, iq
from wa_worker.dev.simulator.binary_xml import whatsapp_codec
from wa_worker.dev.simulator.device import Device
from wa_worker.dev.simulator.dialect import HEADER, Dialect
from wa_worker.dev.simulator.stanza import Node, child, children, content_bytes

ANA, BOB = "5511999990001", "5511999990002"


def garbled(ciphertext: bytes) -> bytes:
    return ciphertext[:-1] + bytes([ciphertext[-1] ^ 1])


async def test_a_message_reaches_the_other_account_and_its_receipt_comes_back(
    simulator: Simulator, clients: Clients
) -> None:
    client, (ana, bob) = await clients.pair(ANA, BOB)
    simulator.no_receipts = {ANA, BOB}  # those of the phones would look the same
    relayed: list[tuple[str, str]] = []
    simulator.on_relay = lambda sender, receiver, enc: relayed.append((sender.jid, receiver.jid))

    await client.tell(0, send="hi", to=BOB)
    wa_id = (await client.wait("sent", 0))["id"]
    message = await client.wait("message", 1)
    assert (message["id"], message["text"], message["from_me"]) == (wa_id, "hi", False)
    assert {message["sender"], message["alt"]} == {ANA, f"9{ANA}"}
    await client.wait("receipt", 0, ids=[wa_id], type="DELIVERED")  # whatsmeow sends "inactive", which the server keeps

    await client.tell(1, send="hello", to=ANA)
    await client.wait("message", 0, text="hello")
    await client.wait("receipt", 1)
    assert relayed == [(ana, bob), (bob, ana)]
    await simulator.wait_for(lambda: not simulator.pending(ana) and not simulator.pending(bob))


async def test_what_cannot_be_decrypted_is_asked_for_again_and_comes(simulator: Simulator, clients: Clients) -> None:
    client, _ = await clients.pair(ANA, BOB)
    sent: list[bytes] = []

    def garble_the_first(sender: Device, receiver: Device, enc: Node) -> None:
        sent.append(content_bytes(enc))
        if len(sent) == 1:
            enc.content = garbled(sent[0])

    simulator.on_relay = garble_the_first
    await client.tell(0, send="hi", to=BOB)
    wa_id = (await client.wait("sent", 0))["id"]
    await client.wait("undecryptable", 1)
    message = await client.wait("message", 1)
    assert (message["id"], message["text"]) == (wa_id, "hi")
    assert len(sent) == 2
    assert sent[0] != sent[1]


async def test_only_the_device_that_wrote_is_asked_again(simulator: Simulator, clients: Clients) -> None:
    client = await clients.start("ana", "other", "bob")
    phones = (ANA, ANA, BOB)
    ana, other, bob = [
        await simulator.scan((await client.wait("qr", index))["code"], phone) for index, phone in enumerate(phones)
    ]
    for index in range(len(phones)):
        await client.wait("connected", index)
    asked: list[str] = []

    def note_retries(jid: str, tell: Callable[[Node], None], receipt: Node) -> None:
        if receipt.attrs.get("type") == "retry":
            asked.append(jid)
        tell(receipt)

    for jid in (ana, other, bob):
        mailbox = simulator.device(jid).mailbox
        mailbox.tell = partial(note_retries, jid, mailbox.tell)  # type: ignore[method-assign]
    first = True

    def garble_the_first(sender: Device, receiver: Device, enc: Node) -> None:
        nonlocal first
        if first and receiver.jid == bob:
            first, enc.content = False, garbled(content_bytes(enc))

    simulator.on_relay = garble_the_first
    await client.tell(0, send="hi", to=BOB)
    await client.wait("message", 2, text="hi")
    assert asked == [ana]


class Dialects(dict[bytes, Dialect]):
    """Notes when it is asked for which header."""

    def __init__(self, header: bytes, dialect: Dialect) -> None:
        super().__init__({header: dialect})
        self.asked: list[tuple[float, object]] = []

    def __contains__(self, header: object) -> bool:
        self.asked.append((time.monotonic(), header))
        return super().__contains__(header)


async def test_a_client_is_spoken_to_in_the_dialect_of_its_header(simulator: Simulator, clients: Clients) -> None:
    taken: list[str] = []
    given: list[tuple[float, str]] = []

    codec = whatsapp_codec()

    def encode(node: Node) -> bytes:
        given.append((time.monotonic(), node.tag))
        return b"\x02" + zlib.compress(codec.encode(node)[1:])

    def decode(data: bytes) -> Node:
        node = codec.decode(data)
        taken.append(node.tag)
        return node

    simulator.dialects = dialects = Dialects(HEADER, Dialect(encode, decode, pause=2.0))
    client = await clients.start()
    await simulator.scan((await client.wait("qr"))["code"], ANA)
    await client.wait("connected")
    assert given[0][0] - dialects.asked[0][0] >= 2.0
    assert {"iq", "success"} <= {tag for _, tag in given}
    assert "iq" in taken


async def test_a_header_that_nobody_has_brought_ends_the_connection(simulator: Simulator, clients: Clients) -> None:
    simulator.dialects = dialects = Dialects(b"WA\x06\x02", simulator.dialects[HEADER])
    client = await clients.start()
    await until(lambda: dialects.asked and not simulator.open_connections)
    assert dialects.asked[0][1] == HEADER
    assert not client.said("qr")


async def test_a_request_that_only_another_library_makes_gets_the_answer_that_was_brought(
    simulator: Simulator, clients: Clients
) -> None:
    asked: list[tuple[str, Node]] = []

    def answer(device: Device, request: Node) -> list[Node]:
        asked.append((device.jid, request))
        return [Node("brought", {})]

    simulator.answers["passive"] = answer
    _, (jid,) = await clients.pair(ANA)
    await simulator.wait_for(lambda: bool(asked))
    assert asked[0][0] == jid
    assert child(asked[0][1], "active") is not None
    brought = iq.answer(simulator, simulator.device(jid), asked[0][1])
    assert [node.tag for node in children(brought)] == ["brought"]


async def test_in_a_group_the_other_account_reads_and_says_so(simulator: Simulator, clients: Clients) -> None:
    client, (ana, bob) = await clients.pair(ANA, BOB)
    group = simulator.create_group("Family", ANA, BOB)
    simulator.no_receipts = {ANA, BOB}
    relayed: list[tuple[str, str]] = []
    simulator.on_relay = lambda sender, receiver, enc: relayed.append((sender.jid, receiver.jid))
    await client.tell(0, send="hi all", to=group.jid.partition("@")[0], server="g.us")
    wa_id = (await client.wait("sent", 0))["id"]
    message = await client.wait("message", 1, text="hi all")
    assert (message["id"], message["chat"], message["sender"]) == (wa_id, group.jid, f"9{ANA}")
    await client.wait("receipt", 0, ids=[wa_id], chat=group.jid, sender=f"9{BOB}")
    assert relayed == [(ana, bob)]  # the sender key
