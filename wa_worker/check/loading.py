"""Loads neonize and says how it went, as a line of JSON: `python -m wa_worker.check.loading`.

A process of its own: the import takes half a second, and a native library that does not fit can end the process.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version


def main() -> None:
    said: dict[str, str] = {}
    try:
        from wa_worker import whatsapp

        said["libmagic"] = "pylibmagic's" if "pylibmagic" in sys.modules else "the system's"
        whatsapp.load()
        from wa_worker.whatsapp.client import NEONIZE_VERSION

        said["pinned"], said["installed"] = NEONIZE_VERSION, version("neonize")
    except Exception as error:  # noqa: BLE001 - whatever keeps it from loading is the answer
        said["error"] = str(error) or type(error).__name__
    print(json.dumps(said))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
