"""Reading whatsmeow's files beside whatsmeow, in one process: with its own SQLite, and with Python's."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from wa_worker.whatsapp.sqlite import native_library, open_read_only

BESIDE = """
import ctypes, os, sys
from pathlib import Path
from wa_worker.whatsapp import load
{load}
from wa_worker.whatsapp.sqlite import native_library, open_read_only

file = Path(sys.argv[1])
"""


def run(code: str, file: Path, *, loaded: bool = True) -> str:
    """Runs code in a process of its own, in which the native library may be loaded."""
    program = BESIDE.format(load="load()" if loaded else "") + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "a b?c#d%25.db"
    with closing(sqlite3.connect(file)) as sql, sql:
        sql.execute("PRAGMA journal_mode=WAL")
        sql.execute("CREATE TABLE kinds (a, b, c, d, e, f)")
        sql.execute("INSERT INTO kinds VALUES (1, 2.5, 'ção', x'00ff', NULL, '')")
        sql.execute("CREATE TABLE many (n)")
        sql.executemany("INSERT INTO many VALUES (?)", [(n,) for n in range(300)])
    return file


@pytest.mark.parametrize("loaded", [True, False], ids=["its own", "Python's"])
def test_it_reads_each_kind_of_value(file: Path, loaded: bool) -> None:
    code = """
    assert (native_library() is not None) is LOADED
    with open_read_only(file, patience=1) as database:
        print(database.rows("SELECT * FROM kinds"))
        print(database.rows("SELECT n FROM many WHERE n = ? OR ? = x'00ff'", "7", b"\\x00ff"[:1] + b"\\xff")[:1])
        print(len(database.rows("SELECT n FROM many")), database.rows("SELECT n FROM many WHERE n < 0"))
    """
    said = run(code.replace("LOADED", str(loaded)), file, loaded=loaded).splitlines()
    assert said == ["[(1, 2.5, 'ção', b'\\x00\\xff', None, '')]", "[(0,)]", "300 []"]


@pytest.mark.parametrize("loaded", [True, False], ids=["its own", "Python's"])
def test_what_cannot_be_read_is_an_error_of_sqlite(file: Path, loaded: bool) -> None:
    file.with_name("none").write_bytes(b"no database" * 100)
    code = """
    import sqlite3
    def failed(read):
        try:
            read()
        except sqlite3.Error as error:
            print(error)
    def rows(file, query, longest=None):
        with open_read_only(file, patience=0.1, longest=longest) as database:
            return database.rows(query)
    failed(lambda: rows(file.with_name("absent"), "SELECT 1"))
    failed(lambda: rows(file.with_name("none"), "SELECT 1 FROM sqlite_master"))
    failed(lambda: rows(file, "SELECT 1 FROM nowhere"))
    failed(lambda: rows(file, "INSERT INTO many VALUES (1)"))
    failed(lambda: rows(file, "SELECT count(*) FROM many a, many b, many c", 0.2))
    """
    assert run(code, file, loaded=loaded).splitlines() == [
        "unable to open database file",
        "file is not a database",
        "no such table: nowhere",
        "attempt to write a readonly database",
        "interrupted",
    ]


def test_a_look_leaves_alone_what_the_library_has_mapped(file: Path) -> None:
    """Python's SQLite would cut the file off in which both keep their index, since it sees no lock of the other."""
    code = """
    from wa_worker.whatsapp.folder_store import FolderStore
    sql, held = native_library(), ctypes.c_void_p()
    sql.sqlite3_open_v2(os.fsencode(file), ctypes.byref(held), 2, None)
    sql.sqlite3_exec.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    for command in (b"INSERT INTO many VALUES (1)", b"BEGIN", b"SELECT * FROM many"):
        assert sql.sqlite3_exec(held, command, None, None, None) == 0
    index = Path(f"{file}-shm")
    before = index.stat()
    with open_read_only(file, patience=1) as database:
        assert len(database.rows("SELECT n FROM many")) == 301
    after = index.stat()
    print(before.st_ino == after.st_ino, before.st_size == after.st_size, before.st_mtime_ns == after.st_mtime_ns)
    """
    assert run(code, file) == "True True True"


def test_a_process_without_the_library_uses_pythons(file: Path) -> None:
    assert run("print(native_library())", file, loaded=False) == "None"
    with open_read_only(file, patience=1) as database:
        assert database.rows("SELECT a FROM kinds") == [(1,)]
    assert native_library() is None or "neonize._binder" in sys.modules
