"""Makes the loaded neonize trust the simulated WhatsApp: `python -m wa_worker.dev.simulator.trust MODULE [ARGS...]`.

whatsmeow checks the server's Noise certificate against a root key compiled into the library (`WACertPubKey` in
whatsmeow handshake.go): 32 bytes in writable memory. Here they are overwritten, as soon as `neonize._binder` has
been imported, in whatever thread that happens, with the key in WA_WORKER_SIMULATED_ROOT (hex). Nothing of neonize
is imported early. A process started by MODULE is not covered: start it the same way (`command()`).

Only `wa_worker.dev` and the tests may do this. The shipped `run` has no such switch: it neither imports this module
nor reads that variable. Linux only (it finds the bytes through /proc/self/maps).
"""

import ctypes
import importlib.abc
import importlib.machinery
import os
import re
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

ROOT_VARIABLE = "WA_WORKER_SIMULATED_ROOT"
# `WACertPubKey` in whatsmeow handshake.go
REAL_ROOT = bytes.fromhex("142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b")
_BINDER = "neonize._binder"
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw\S+ \S+ \S+ \S+\s+(.*)")


class RootKeyNotFound(RuntimeError):
    """The real root key is not where it was expected. Another neonize, or another platform: see the message."""


def command(module: str, *args: str) -> list[str]:
    """Returns the command that runs a module under this one, for processes that a test starts."""
    return [sys.executable, "-m", "wa_worker.dev.simulator.trust", module, *args]


def trust(root: bytes) -> None:
    """Overwrite the real root key in the loaded neonize by `root`. Doing so again is harmless.

    Raises RootKeyNotFound if the library is not loaded, holds the key elsewhere, or this is not Linux.
    """
    if len(root) != len(REAL_ROOT):
        raise ValueError(f"a root key has {len(REAL_ROOT)} bytes, not {len(root)}")
    found = 0
    for start, size in _writable_memory_of_neonize():
        memory = ctypes.string_at(start, size)
        found += memory.count(root)
        at = memory.find(REAL_ROOT)
        while at >= 0:
            ctypes.memmove(start + at, root, len(root))
            found += 1
            at = memory.find(REAL_ROOT, at + len(root))
    if not found:
        raise RootKeyNotFound(
            "WhatsApp's root key is not in the writable memory of neonize's library. Is neonize loaded, and is it "
            "the version that this project pins?"
        )


def install(root: bytes) -> None:
    """Trust `root` now if neonize is loaded, else in the moment in which it will have been."""
    if _BINDER in sys.modules:
        trust(root)
    else:
        sys.meta_path.insert(0, _Finder(root))


def _writable_memory_of_neonize() -> list[tuple[int, int]]:
    """(start, size) of the library's data segments in this process."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        raise RootKeyNotFound("the simulated WhatsApp works on Linux only: there is no /proc/self/maps")
    matches = (_MAPPING.match(line) for line in maps.read_text().splitlines())
    return [
        (int(match[1], 16), int(match[2], 16) - int(match[1], 16))
        for match in matches
        if match and "neonize" in Path(match[3]).name
    ]


class _Finder(importlib.abc.MetaPathFinder):
    """Finds `neonize._binder` through the other finders and wraps its loader."""

    def __init__(self, root: bytes) -> None:
        self._root = root

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _BINDER:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self._root)
                return spec
        return None


class _Loader(importlib.abc.Loader):
    """Loads with the real loader, then trusts, before the importer gets to use the module."""

    def __init__(self, loader: importlib.abc.Loader, root: bytes) -> None:
        self._loader = loader
        self._root = root

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        trust(self._root)


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("usage: python -m wa_worker.dev.simulator.trust MODULE [ARGS...]")
    try:
        root = bytes.fromhex(os.environ[ROOT_VARIABLE])
    except (KeyError, ValueError):
        sys.exit(f"{ROOT_VARIABLE} must hold the simulator's root key in hex")
    install(root)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
