"""A process with the library's client alone on a paired store, for what becomes of its loop.

    python -m wa_worker.dev.simulator.trust tests.whatsapp.client_process DSN CODE...

It subscribes to the codes and says JSON objects, one a line: `{"is": "event", "code"}`, and at the end of the loop
`{"is": "ended", "text"}`. Then it lives on until its standard input ends.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

_OUT = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # the library prints there

import wa_worker.whatsapp.libmagic  # noqa: E402,F401 - before neonize

# isort: split
from wa_worker.models import Secret  # noqa: E402
from wa_worker.whatsapp.client import Callbacks, QuietClient  # noqa: E402
from wa_worker.whatsapp.gate import StartGate  # noqa: E402


def say(what: str, **fields: Any) -> None:
    _OUT.write(json.dumps({"is": what, **fields}) + "\n")


if __name__ == "__main__":
    client = QuietClient(Secret(sys.argv[1]), "the session", "the device", StartGate())
    callbacks = Callbacks(lambda code, _data: say("event", code=code), lambda _level, _part, _text: None)
    say("ended", text=client.run(callbacks, [int(code) for code in sys.argv[2:]]))
    sys.stdin.read()
    os._exit(0)
