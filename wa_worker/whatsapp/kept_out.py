"""Keeps out of memory what neonize imports for what the worker does not do: link previews, downloads, a QR code in the
terminal. It is 8 MB and a fifth of the import's time (docs/performance.md).

While neonize is imported, the functions that it takes from those libraries are stand-ins that import the library when
they are called, and then call it: nothing that neonize does is missing. Whatever else is taken from one of them gets
the library itself, at once. neonize's files stay as they are.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

KEPT_OUT: Mapping[str, str] = {
    "linkpreview": "link_preview",
    "requests": "get",
    "segno": "make_qr",
    "tqdm": "tqdm",
}
"""Libraries, and the one function of each that neonize 0.5.2 calls. tests/whatsapp/test_kept_out.py says where."""


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system asks for
            raise AttributeError(name)
        if name == KEPT_OUT[self.__name__]:
            return _later(self.__name__, name)
        return getattr(_real(self.__name__), name)


@contextmanager
def kept_out() -> Iterator[None]:
    """Lets the block import neonize without them. Those that somebody has imported before are simply used."""
    stand_ins = {name: _StandIn(name) for name in KEPT_OUT if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


def _later(library: str, function: str) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        return getattr(_real(library), function)(*arguments, **named)

    return call


def _real(library: str) -> ModuleType:
    if isinstance(sys.modules.get(library), _StandIn):
        del sys.modules[library]
    return importlib.import_module(library)
