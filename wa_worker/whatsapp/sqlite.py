"""Reads whatsmeow's SQLite files: with whatsmeow's own SQLite, once that is in this process.

Two SQLite libraries in one process do not see each other's locks (sqlite.org/howtocorrupt.html, 2.2.1). Python's would
take itself for the only one that has the file open, and cut off the shared memory that the other has mapped: the next
touch of it ends the process with SIGBUS. And when it closes the file, the locks of the other are gone. neonize's
library exports the functions of the SQLite that is in it, so that one is used. Before it is loaded, Python's does no
harm.
"""

from __future__ import annotations

import ctypes
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from wa_worker.whatsapp.store import Reader, Value

_OPEN_READ_ONLY, _OPEN_URI = 0x01, 0x40
_ROW, _DONE = 100, 101
_INTEGER, _FLOAT, _TEXT, _BLOB = 1, 2, 3, 4
_TRANSIENT = ctypes.c_void_p(-1)
"""Tells SQLite to copy what it is given (SQLITE_TRANSIENT)."""

_STEPS = 10_000
"""Instructions of SQLite's between two looks at the clock."""


@contextmanager
def open_read_only(file: Path, *, patience: float, longest: float | None = None) -> Iterator[Reader]:
    """Opens a file that has to be there. Blocking.

    patience: seconds to wait for a writer. longest: seconds after which what is read is given up.
    Raises sqlite3.Error, also when the block is about to read.
    """
    uri = f"file:{uri_path(file)}?mode=ro"
    deadline = None if longest is None else time.monotonic() + longest
    library = native_library()
    opened = _Python(uri, patience, deadline) if library is None else _Native(library, uri, patience, deadline)
    with closing(opened):
        yield opened


def native_library() -> Any | None:
    """Returns neonize's library if it is loaded in this process."""
    return getattr(sys.modules.get("neonize._binder"), "gocode", None)


def uri_path(path: Path) -> str:
    """Returns a path inside an SQLite URI: what would end or escape it is percent-encoded (sqlite.org/uri.html)."""
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


class _Python:
    def __init__(self, uri: str, patience: float, deadline: float | None) -> None:
        self._database = sqlite3.connect(uri, uri=True, timeout=patience)
        if deadline is not None:
            self._database.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)

    def rows(self, query: str, *parameters: str | bytes) -> list[tuple[Value, ...]]:
        return self._database.execute(query, parameters).fetchall()

    def close(self) -> None:
        self._database.close()


_Progress = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


class _Native:
    """Calls the functions that are described at sqlite.org/c3ref/funclist.html."""

    def __init__(self, library: Any, uri: str, patience: float, deadline: float | None) -> None:
        self._sql = _declared(library)
        self._database = ctypes.c_void_p()
        flags = _OPEN_READ_ONLY | _OPEN_URI
        try:
            self._check(self._sql.sqlite3_open_v2(uri.encode(), ctypes.byref(self._database), flags, None))
            self._check(self._sql.sqlite3_busy_timeout(self._database, round(patience * 1000)))
        except sqlite3.Error:
            self.close()
            raise
        if deadline is not None:
            self._progress = _Progress(lambda _: time.monotonic() > deadline)  # kept for as long as it may be called
            self._sql.sqlite3_progress_handler(self._database, _STEPS, self._progress, None)

    def rows(self, query: str, *parameters: str | bytes) -> list[tuple[Value, ...]]:
        statement = ctypes.c_void_p()
        self._check(self._sql.sqlite3_prepare_v2(self._database, query.encode(), -1, ctypes.byref(statement), None))
        try:
            for place, value in enumerate(parameters, 1):
                self._check(self._bind(statement, place, value))
            found: list[tuple[Value, ...]] = []
            while (result := self._sql.sqlite3_step(statement)) == _ROW:
                columns = range(self._sql.sqlite3_column_count(statement))
                found.append(tuple(self._value(statement, column) for column in columns))
            if result != _DONE:
                self._check(result)
            return found
        finally:
            self._sql.sqlite3_finalize(statement)

    def close(self) -> None:
        self._sql.sqlite3_close_v2(self._database)

    def _bind(self, statement: ctypes.c_void_p, place: int, value: str | bytes) -> int:
        raw = value.encode() if isinstance(value, str) else value
        bind = self._sql.sqlite3_bind_text if isinstance(value, str) else self._sql.sqlite3_bind_blob
        return int(bind(statement, place, raw, len(raw), _TRANSIENT))

    def _value(self, statement: ctypes.c_void_p, column: int) -> Value:
        kind = self._sql.sqlite3_column_type(statement, column)
        if kind == _INTEGER:
            return int(self._sql.sqlite3_column_int64(statement, column))
        if kind == _FLOAT:
            return float(self._sql.sqlite3_column_double(statement, column))
        if kind not in (_TEXT, _BLOB):
            return None
        start = self._sql.sqlite3_column_blob(statement, column)
        raw = ctypes.string_at(start, self._sql.sqlite3_column_bytes(statement, column)) if start else b""
        return raw.decode("utf-8", "replace") if kind == _TEXT else raw

    def _check(self, result: int) -> None:
        if result != 0:
            raise sqlite3.OperationalError(self._sql.sqlite3_errmsg(self._database).decode("utf-8", "replace"))


def _declared(library: Any) -> Any:
    """Says once what the functions take and return, where ctypes would guess wrong."""
    if library.sqlite3_errmsg.restype is not ctypes.c_char_p:
        pointer, number = ctypes.c_void_p, ctypes.c_int
        library.sqlite3_open_v2.argtypes = [ctypes.c_char_p, pointer, number, ctypes.c_char_p]
        library.sqlite3_busy_timeout.argtypes = [pointer, number]
        library.sqlite3_progress_handler.argtypes = [pointer, number, _Progress, pointer]
        library.sqlite3_prepare_v2.argtypes = [pointer, ctypes.c_char_p, number, pointer, pointer]
        for bind in (library.sqlite3_bind_text, library.sqlite3_bind_blob):
            bind.argtypes = [pointer, number, ctypes.c_char_p, number, pointer]
        for column in ("type", "int64", "double", "blob", "bytes"):
            getattr(library, f"sqlite3_column_{column}").argtypes = [pointer, number]
        library.sqlite3_column_int64.restype = ctypes.c_int64
        library.sqlite3_column_double.restype = ctypes.c_double
        library.sqlite3_column_blob.restype = pointer
        for function in ("step", "column_count", "finalize", "close_v2", "errmsg"):
            getattr(library, f"sqlite3_{function}").argtypes = [pointer]
        library.sqlite3_errmsg.restype = ctypes.c_char_p
    return library
