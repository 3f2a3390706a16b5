"""A pairing host that says what a test wants: a real process with the real protocol, but without WhatsApp.

    python -m tests.whatsapp.scripted_host SCRIPT FD

SCRIPT is JSON: `says` is what each pairing hears, in order, as objects that may hold `after` (seconds to wait first);
`heard` is the path of a file that takes the commands, a line each; `dies_after` ends the process that many seconds
after the first pairing; `at_end` is what a pairing says when it is told to end, `codes` when a
pairing code is asked for.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TOLD_TO_END = ({"is": "ended", "reason": "told to end"},)


def script(
    heard: Path | None = None,
    *says: dict[str, Any],
    dies_after: float | None = None,
    at_end: Sequence[dict[str, Any]] = TOLD_TO_END,
    codes: Sequence[dict[str, Any]] = (),
) -> list[str]:
    """The command of a host that says this."""
    plan = {
        "says": says,
        "heard": str(heard) if heard else None,
        "dies_after": dies_after,
        "at_end": at_end,
        "codes": codes,
    }
    text = json.dumps(plan)
    return [sys.executable, "-m", "tests.whatsapp.scripted_host", text]


def main(plan: dict[str, Any], line: socket.socket) -> None:
    def speak(token: str, words: Sequence[dict[str, Any]]) -> None:
        for said in words:
            time.sleep(said.get("after", 0))
            line.sendall(json.dumps({**said, "pairing": token}).encode() + b"\n")

    for text in line.makefile("rb"):
        command = json.loads(text)
        if plan["heard"]:
            with Path(plan["heard"]).open("a") as heard:
                heard.write(json.dumps({**command, "pid": os.getpid()}) + "\n")
        if command["do"] == "pair":
            threading.Thread(target=speak, args=(command["pairing"], plan["says"]), daemon=True).start()
            if plan["dies_after"] is not None:
                threading.Timer(plan["dies_after"], os._exit, (1,)).start()
        elif command["do"] == "code":
            threading.Thread(target=speak, args=(command["pairing"], plan["codes"]), daemon=True).start()
        else:
            threading.Thread(target=speak, args=(command["pairing"], plan["at_end"]), daemon=True).start()
    os._exit(0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])))
