"""The binary form of a client's stanzas, which the header that the client sends first says. No I/O.

whatsmeow writes version 3 of WhatsApp's dictionary, which is tokens.json. A test that brings a client of another
library adds that one's to `Simulator.dialects`. Does not play the routing data that may come before a header: a client
has some only if a server has given it some.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs

from wa_worker.dev.simulator.binary_xml import whatsapp_codec
from wa_worker.dev.simulator.stanza import Node

HEADER = b"WA\x06\x03"
"""whatsmeow's: "WA", magic value 6, dictionary version 3 (socket/constants.go)."""


@attrs.frozen
class Dialect:
    """Says how stanzas become bytes, and back. `decode` raises ValueError, LookupError or EOFError on nonsense."""

    encode: Callable[[Node], bytes]
    decode: Callable[[bytes], Node]
    pause: float = 0.0
    """Seconds from the end of the handshake to the first stanza, for a client that takes some to be ready."""


_codec = whatsapp_codec()
DIALECTS: Mapping[bytes, Dialect] = MappingProxyType({HEADER: Dialect(_codec.encode, _codec.decode)})
"""By the header of four bytes."""
