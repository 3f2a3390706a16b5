"""The binary form of a client's stanzas, which the header that the client sends first says. No I/O.

whatsmeow writes version 3 of WhatsApp's dictionary, which is waton's as well. A test that brings a client of another
library adds that one's to `Simulator.dialects`. Does not play the routing data that may come before a header: a client
has some only if a server has given it some.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs
from waton.defaults.config import WA_NOISE_HEADER
from waton.protocol.binary_codec import decode_binary_node, encode_binary_node

from wa_worker.dev.simulator.stanza import Node

HEADER: bytes = WA_NOISE_HEADER
"""whatsmeow's: "WA", magic value 6, dictionary version 3 (socket/constants.go; waton defaults/config.py)."""


@attrs.frozen
class Dialect:
    """Says how stanzas become bytes, and back. `decode` raises ValueError, LookupError or EOFError on nonsense."""

    encode: Callable[[Node], bytes]
    decode: Callable[[bytes], Node]
    pause: float = 0.0
    """Seconds from the end of the handshake to the first stanza, for a client that takes some to be ready."""


DIALECTS: Mapping[bytes, Dialect] = MappingProxyType({HEADER: Dialect(encode_binary_node, decode_binary_node)})
"""By the header of four bytes."""
