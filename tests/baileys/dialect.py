"""The dialect of Baileys: version 2 of WhatsApp's dictionary, whose tokens are read from the installed package."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from wa_worker.dev.simulator.binary_xml import Codec
from wa_worker.dev.simulator.dialect import Dialect

HEADER = b"WA\x06\x02"
"""`NOISE_WA_HEADER` in Baileys' Defaults: its last byte is the version of the dictionary."""

PAUSE = 0.05
"""Seconds. Baileys derives the connection's keys in a promise: it takes what comes in the same millisecond for part of
the handshake."""

_TOKENS = "console.log(JSON.stringify(require('@whiskeysockets/baileys/lib/WABinary/constants')))"


def baileys_dialect(folder: Path) -> Dialect:
    """Returns how a client of the Baileys in this folder writes stanzas."""
    said = subprocess.run(["node", "-e", _TOKENS], cwd=folder, capture_output=True, text=True, check=True, timeout=30)
    tables = json.loads(said.stdout)
    codec = Codec(tables["SINGLE_BYTE_TOKENS"], tables["DOUBLE_BYTE_TOKENS"])
    return Dialect(codec.encode, codec.decode, PAUSE)
