"""A pairing host that says what a test wants: a real process with the real protocol, but without WhatsApp.

    python -m tests.whatsapp.scripted_host SCRIPT FD

SCRIPT is JSON: `says` is what each pairing hears, in order, as objects that may hold `after` (seconds to wait first);
`heard` is the path of a file that takes the commands, a line each; `dies_after` ends the process that many seconds
after the first pairing.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any


def script(heard: Path | None = None, *says: dict[str, Any], dies_after: float | None = None) -> list[str]:
    """The command of a host that says this."""
    text = json.dumps({"says": says, "heard": str(heard) if heard else None, "dies_after": dies_after})
    return [sys.executable, "-m", "tests.whatsapp.scripted_host", text]


def main(plan: dict[str, Any], line: socket.socket) -> None:
    def speak(token: str) -> None:
        for said in plan["says"]:
            time.sleep(said.get("after", 0))
            line.sendall(json.dumps({**said, "pairing": token}).encode() + b"\n")

    for text in line.makefile("rb"):
        command = json.loads(text)
        if plan["heard"]:
            with Path(plan["heard"]).open("a") as heard:
                heard.write(json.dumps({**command, "pid": os.getpid()}) + "\n")
        if command["do"] == "pair":
            threading.Thread(target=speak, args=(command["pairing"],), daemon=True).start()
            if plan["dies_after"] is not None:
                threading.Timer(plan["dies_after"], os._exit, (1,)).start()
    os._exit(0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])))
