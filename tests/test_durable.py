"""Small files that are on the disk once they are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wa_worker.durable import write_json


def test_a_file_is_whole_private_and_alone(tmp_path: Path) -> None:
    file = tmp_path / "said.json"
    (tmp_path / "said.json.tmp").write_text("of a process that was killed")
    for said in ({"a": 1}, {"a": "\u00e7"}):
        write_json(file, said)
        assert json.loads(file.read_text("utf-8")) == said
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "said.json"
    write_json(file, {"a": 1})
    with pytest.raises(TypeError):
        write_json(file, {"a": object()})
    assert json.loads(file.read_text("utf-8")) == {"a": 1}
