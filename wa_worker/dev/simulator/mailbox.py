"""The mailbox of a linked device: what the server still has to deliver to it.

The mailbox keeps every message for the device until the device's receipt: it is sent at once if the device is
active, and again, in order and marked `offline`, after its next login. At most WINDOW messages are under way, since
whatsmeow gives up their order beyond 2048 queued stanzas (`handlerQueueSize` in whatsmeow client.go).
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping

import attrs

from wa_worker.dev.simulator.connection import Connection
from wa_worker.dev.simulator.stanza import Node

WINDOW = 1000

LetterKey = tuple[str, str]  # sender's JID as on the wire, message id: as a receipt names it


@attrs.define(eq=False)
class Letter:
    """Describes a message, or a notification of a group, on its way to a device.

    `encrypt_again` gets the letter and the device's retry receipt, and sends the letter anew. It is None if nobody can.
    """

    wa_id: str
    header: dict[str, str]  # attributes of the stanza
    enc: Node
    encrypt_again: "Callable[[Letter, Node], None] | None" = attrs.field(default=None, repr=False)
    session: int = 0  # which of the author's it was encrypted in; 0 if the device started it
    more: tuple[Node, ...] = ()  # what follows `enc`
    tag: str = "message"

    @property
    def key(self) -> "LetterKey":
        return self.header["from"], self.wa_id

    def as_node(self, *, offline: bool) -> Node:
        header = {**self.header, "offline": "1"} if offline else self.header
        return Node(self.tag, header, [self.enc, *self.more])


class Mailbox:
    """All methods are synchronous: the order of the calls is the order on the wire."""

    def __init__(self) -> None:
        self._pending: dict[LetterKey, Letter] = {}
        self._connection: Connection | None = None
        self._unsent: deque[Letter | Node] = deque()
        self._under_way: set[LetterKey] = set()
        self._backlog: set[LetterKey] = set()
        self._receipts: dict[tuple[str, str, str], Node] = {}  # by message, type and member, until the device's ack

    def pending(self) -> list[str]:
        return [letter.wa_id for letter in self._pending.values()]

    def get(self, key: LetterKey) -> Letter | None:
        return self._pending.get(key)

    def put(self, letter: Letter) -> None:
        """A second message with the id of a pending one goes out as well; one receipt settles both."""
        self._pending[letter.key] = letter
        if self._connection is not None:
            self._unsent.append(letter)
            self._send()

    def resend(self, letter: Letter) -> None:
        """Send a letter again (it was encrypted anew), in front of all others."""
        if self._connection is not None and letter.key in self._pending:
            self._connection.send(letter.as_node(offline=False))

    def settle(self, keys: Iterable[LetterKey]) -> None:
        """The device has these messages."""
        for key in keys:
            self._pending.pop(key, None)
            self._under_way.discard(key)
        self._send()

    def tell(self, receipt: Node) -> None:
        """Send a receipt for one of the device's own messages, again after each login until it is acked."""
        self._receipts[_receipt_key(receipt.attrs)] = receipt
        if self._connection is not None:
            self._connection.send(receipt)

    def untold(self) -> list[str]:
        """Ids of the device's own messages for which it has not acknowledged a receipt."""
        return [receipt.attrs["id"] for receipt in self._receipts.values()]

    def told(self, ack: Mapping[str, str]) -> None:
        """The device has acknowledged a receipt; `ack` are the attributes of that."""
        self._receipts.pop(_receipt_key(ack), None)

    def attach(self, connection: Connection, *, end_of_backlog: bool) -> None:
        """Deliver through this connection from now on, the backlog first, then `<offline/>` if asked for."""
        self._connection = connection
        self._under_way = set()
        self._backlog = set(self._pending)
        for receipt in self._receipts.values():
            connection.send(receipt)
        self._unsent = deque(self._pending.values())
        if end_of_backlog:
            self._unsent.append(Node("ib", {}, [Node("offline", {"count": str(len(self._backlog))})]))
        self._send()

    def detach(self, connection: Connection) -> None:
        if self._connection is connection:
            self._connection = None
            self._unsent.clear()

    def _send(self) -> None:
        while self._connection is not None and self._unsent and len(self._under_way) < WINDOW:
            item = self._unsent.popleft()
            if isinstance(item, Node):
                self._connection.request(item)
            elif item.key in self._pending:
                self._under_way.add(item.key)
                self._connection.send(item.as_node(offline=item.key in self._backlog))
                self._backlog.discard(item.key)


def _receipt_key(attributes: Mapping[str, str]) -> tuple[str, str, str]:
    return attributes["id"], attributes.get("type", ""), attributes.get("participant", "")
