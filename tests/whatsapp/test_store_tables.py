from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from wa_worker.errors import SessionError
from wa_worker.models import Secret
from wa_worker.whatsapp.store_tables import file_dsn, make_tables


def test_whatsmeow_makes_its_tables_and_no_device(tmp_path: Path) -> None:
    file = tmp_path / "a b%.db"
    make_tables(file_dsn(file), os.environ)
    with closing(sqlite3.connect(file)) as sql:
        assert sql.execute("SELECT count(*) FROM whatsmeow_device").fetchone() == (0,)
        assert sql.execute("SELECT count(*) FROM whatsmeow_version").fetchone() == (1,)
    assert [path.name for path in tmp_path.iterdir()] == ["a b%.db"]


def test_what_it_cannot_open_is_an_error_without_its_password(tmp_path: Path) -> None:
    dsn = Secret("postgres://wa:the-password@127.0.0.1:1/wa?sslmode=disable&connect_timeout=1")
    with pytest.raises(SessionError) as caught:
        make_tables(dsn, os.environ)
    assert "could not make its tables" in str(caught.value)
    assert "the-password" not in str(caught.value)
