"""WhatsApp's binary XML: stanzas as bytes, and back. No I/O.

Plays what clients and servers write of it (whatsmeow binary/encoder.go and decoder.go), with the dictionary that a
`Codec` is made with. tokens.json has version 3, whatsmeow's. Does not play the JIDs of Messenger and of other services
(FBJID, InteropJID): no client of the simulator has any.

In a stanza here JIDs are text, as all attributes are; in the bytes, text with a server of WhatsApp's after an `@` is a
JID. Bytes in the place of a stanza's content are bytes for the client, and text is text.
"""

import json
import re
import zlib
from collections.abc import Sequence
from importlib.resources import files

from wa_worker.dev.simulator.stanza import Node

_EMPTY, _LIST_8, _LIST_16 = 0, 248, 249
_DICTIONARY = 236  # and the three after it
_AD_JID, _JID = 247, 250
_HEX, _BINARY_8, _BINARY_20, _BINARY_32, _NIBBLE = 251, 252, 253, 254, 255
_LISTS = frozenset((_EMPTY, _LIST_8, _LIST_16))
_COMPRESSED = 2  # bit of the first byte

_AGENTS = {"s.whatsapp.net": 0, "lid": 1, "hosted": 128, "hosted.lid": 129}  # `ActualAgent` in whatsmeow types/jid.go
_SERVERS = {agent: server for server, agent in _AGENTS.items()}
_SHORT = re.compile(r"([^@:]*):(\d+)@(" + "|".join(map(re.escape, _AGENTS)) + ")")
_JID_SERVERS = frozenset((*_AGENTS, "g.us", "c.us", "broadcast", "newsletter", "bot"))  # whatsmeow types/jid.go
_NIBBLES = re.compile(r"[0-9.-]{1,127}")  # 127: `PackedMax` in whatsmeow binary/token/token.go
_HEXES = re.compile(r"[0-9A-F]{1,127}")
_TO_NIBBLES = str.maketrans("-.", "ab")
_FROM_NIBBLES = str.maketrans("abcde", "-.???")


class Codec:
    """Encodes and decodes with one dictionary: `single` are the tokens of one byte, `double` those of two."""

    def __init__(self, single: Sequence[str], double: Sequence[Sequence[str]]) -> None:
        self._single = single
        self._double = double
        self._tokens = {
            token: bytes((_DICTIONARY + number, index))
            for number, tokens in enumerate(double)
            for index, token in enumerate(tokens)
        }
        self._tokens |= {token: bytes((index,)) for index, token in enumerate(single)}
        self._tokens[""] = bytes((_BINARY_8, 0))  # the first of `single` stands for nothing

    def encode(self, node: Node) -> bytes:
        """Raises ValueError for what has no form in bytes."""
        out = bytearray(1)  # of the flags: not compressed
        self._write(node, out)
        return bytes(out)

    def decode(self, data: bytes) -> Node:
        """Raises ValueError or LookupError on nonsense."""
        flags = data[0]
        try:
            reader = _Reader(zlib.decompress(data[1:]) if flags & _COMPRESSED else data[1:], self._single, self._double)
        except zlib.error as error:
            raise ValueError(f"not compressed as it says: {error}") from None
        node = reader.node()
        if reader.rest:
            raise ValueError(f"{reader.rest} bytes are left after the stanza")
        return node

    def _write(self, node: Node, out: bytearray) -> None:
        content = node.content
        _write_size(1 + 2 * len(node.attrs) + (content is not None), out)
        out += self._string(node.tag)
        for name, value in node.attrs.items():
            out += self._string(name)
            out += self._string(value)
        if content is None:
            return
        if isinstance(content, list):
            _write_size(len(content), out)
            for each in content:
                self._write(each, out)
        elif isinstance(content, str):
            out += self._string(content)
        else:
            out += _binary(content)

    def _string(self, text: str) -> bytes:
        token = self._tokens.get(text)
        if token is not None:
            return token
        user, at, server = text.rpartition("@")
        if not at or server not in _JID_SERVERS:
            return _packed(text)
        with_device = _SHORT.fullmatch(text)
        if with_device is not None:
            user, device, server = with_device.groups()
            return bytes((_AD_JID, _AGENTS[server], int(device))) + self._string(user)
        return bytes((_JID,)) + (self._string(user) if user else bytes(1)) + self._string(server)


class _Reader:
    """Reads one stanza. `rest` is how many bytes were not read."""

    def __init__(self, data: bytes, single: Sequence[str], double: Sequence[Sequence[str]]) -> None:
        self._data = data
        self._at = 0
        self._single = single
        self._double = double

    @property
    def rest(self) -> int:
        return len(self._data) - self._at

    def node(self) -> Node:
        size = self._size(self._byte())
        tag = self._string(self._byte())
        if not size or not tag:
            raise ValueError("a stanza without a tag")
        attrs = {}
        for _ in range((size - 1) // 2):
            name = self._string(self._byte())
            attrs[name] = self._string(self._byte())
        return Node(tag, attrs, None if size % 2 else self._content())

    def _content(self) -> list[Node] | bytes | str:
        kind = self._byte()
        if kind in _LISTS:
            return [self.node() for _ in range(self._size(kind))]
        if kind in (_BINARY_8, _BINARY_20, _BINARY_32):
            return self._binary(kind)
        return self._string(kind)

    def _string(self, kind: int) -> str:
        if kind == _EMPTY:
            return ""
        if kind < len(self._single):
            return self._single[kind]
        if _DICTIONARY <= kind < _DICTIONARY + len(self._double):
            return self._double[kind - _DICTIONARY][self._byte()]
        if kind == _JID:
            user = self._string(self._byte())
            server = self._string(self._byte())
            return f"{user}@{server}" if user else server
        if kind == _AD_JID:
            agent, device = self._byte(), self._byte()
            user, server = self._string(self._byte()), _SERVERS[agent]
            return f"{user}:{device}@{server}" if device else f"{user}@{server}"
        if kind in (_NIBBLE, _HEX):
            return self._packed(kind)
        return self._binary(kind).decode()

    def _packed(self, kind: int) -> str:
        length = self._byte()
        text = self._bytes(length & 0x7F).hex()
        if length & 0x80:
            text = text[:-1]
        text = text.translate(_FROM_NIBBLES) if kind == _NIBBLE else text.upper()
        if kind == _NIBBLE and ("?" in text or "f" in text):
            raise ValueError("not a number")
        return text

    def _binary(self, kind: int) -> bytes:
        if kind == _BINARY_8:
            return self._bytes(self._byte())
        if kind == _BINARY_20:
            return self._bytes(int.from_bytes(self._bytes(3), "big") & 0xFFFFF)
        if kind == _BINARY_32:
            return self._bytes(int.from_bytes(self._bytes(4), "big"))
        raise ValueError(f"no text begins with {kind}")

    def _size(self, kind: int) -> int:
        if kind == _LIST_8:
            return self._byte()
        if kind == _LIST_16:
            return int.from_bytes(self._bytes(2), "big")
        if kind == _EMPTY:
            return 0
        raise ValueError(f"no list begins with {kind}")

    def _byte(self) -> int:
        value = self._data[self._at]
        self._at += 1
        return value

    def _bytes(self, count: int) -> bytes:
        start = self._at
        self._at += count  # past the end: then `rest` is below zero
        return self._data[start : self._at]


def _packed(text: str) -> bytes:
    """Two characters in a byte, if they are of a number or hexadecimal; else as they are."""
    if _NIBBLES.fullmatch(text):
        kind, digits = _NIBBLE, text.translate(_TO_NIBBLES)
    elif _HEXES.fullmatch(text):
        kind, digits = _HEX, text
    else:
        return _binary(text.encode())
    odd = len(digits) % 2
    packed = bytes.fromhex(digits + "f" if odd else digits)
    return bytes((kind, len(packed) | odd << 7)) + packed


def _binary(data: bytes) -> bytes:
    length = len(data)
    if length < 1 << 8:
        return bytes((_BINARY_8, length)) + data
    if length < 1 << 20:
        return bytes((_BINARY_20,)) + length.to_bytes(3, "big") + data
    return bytes((_BINARY_32,)) + length.to_bytes(4, "big") + data


def _write_size(size: int, out: bytearray) -> None:
    if size == 0:
        out.append(_EMPTY)
    elif size < 1 << 8:
        out += bytes((_LIST_8, size))
    elif size < 1 << 16:
        out.append(_LIST_16)
        out += size.to_bytes(2, "big")
    else:
        raise ValueError(f"a list of {size}")


def whatsapp_codec() -> Codec:
    """Returns the codec with version 3 of WhatsApp's dictionary."""
    tokens = json.loads((files(__package__) / "tokens.json").read_text())
    return Codec(tokens["single"], tokens["double"])
