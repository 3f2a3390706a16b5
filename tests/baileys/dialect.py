"""The dialect of Baileys: version 2 of WhatsApp's dictionary, whose tokens are read from the installed package."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

from wa_worker.dev.simulator.dialect import Dialect

HEADER = b"WA\x06\x02"
"""`NOISE_WA_HEADER` in Baileys' Defaults: its last byte is the version of the dictionary."""

PAUSE = 0.05
"""Seconds. Baileys derives the connection's keys in a promise: it takes what comes in the same millisecond for part of
the handshake."""

_CODEC = "waton.protocol.binary_codec"
_TOKENS = "console.log(JSON.stringify(require('@whiskeysockets/baileys/lib/WABinary/constants')))"


def baileys_dialect(folder: Path) -> Dialect:
    """Returns how a client of the Baileys in this folder writes stanzas."""
    said = subprocess.run(["node", "-e", _TOKENS], cwd=folder, capture_output=True, text=True, check=True, timeout=30)
    codec = _codec(json.loads(said.stdout))
    return Dialect(codec.encode_binary_node, codec.decode_binary_node, PAUSE)


def _codec(tables: dict[str, Any]) -> ModuleType:
    """Returns a second copy of waton's codec, with these tables in the place of its own."""
    spec = importlib.util.find_spec(_CODEC)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    single, double = tables["SINGLE_BYTE_TOKENS"], tables["DOUBLE_BYTE_TOKENS"]
    tokens = {token: {"dict": 0, "index": index} for index, token in enumerate(single) if token}
    for number, table in enumerate(double):
        tokens |= {token: {"dict": number + 1, "index": index} for index, token in enumerate(table) if token}
    vars(module).update(SINGLE_BYTE_TOKENS=single, DOUBLE_BYTE_TOKENS=double, TOKEN_MAP=tokens)
    return module
