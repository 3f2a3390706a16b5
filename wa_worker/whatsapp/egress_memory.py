"""Remembers through which proxy each instance goes out, where the sessions are: in files, or in PostgreSQL.

A proxy's URL holds a password as a rule: it is as private there as the session beside it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from wa_worker.durable import write_json
from wa_worker.edge.egress_url import egress_from
from wa_worker.models import Egress, InstanceId, Unusable, instance_id

FILE = "proxy.json"
"""Name of the file in an instance's folder: `{"proxy": URL}`, or `{"unusable": why}`."""

UNREADABLE = Unusable("what is remembered of it cannot be read")


class EgressMemory(Protocol):
    """Remembers it over the end of a process. Blocking; any thread."""

    def all(self) -> Mapping[InstanceId, Egress]:
        """Returns those of all instances that have one. What cannot be read is Unusable."""

    def of(self, instance: InstanceId) -> Egress:
        """Returns that of one instance. What is there and cannot be read is Unusable. Raises StateError."""

    def keep(self, instance: InstanceId, egress: Egress) -> str | None:
        """Remembers one durably. Returns None, or why that was not possible: then all is as it was."""


class EgressFiles:
    """Keeps a file in each instance's folder on the volume."""

    def __init__(self, auth_dir: Path) -> None:
        self._auth_dir = auth_dir

    def all(self) -> Mapping[InstanceId, Egress]:
        found: dict[InstanceId, Egress] = {}
        for file in sorted(self._auth_dir.glob(f"*/{FILE}")):
            with contextlib.suppress(ValueError):  # a folder that is no instance's
                found[instance_id(file.parent.name)] = _read(file)
        return found

    def of(self, instance: InstanceId) -> Egress:
        file = self._auth_dir / instance / FILE
        return _read(file) if file.exists() else None

    def keep(self, instance: InstanceId, egress: Egress) -> str | None:
        try:
            _write(self._auth_dir / instance / FILE, egress)
        except OSError as error:
            return f"the volume does not take it: {error.strerror or type(error).__name__}"
        return None


def egress_text(egress: Egress) -> str | None:
    """Writes what is remembered as JSON; None for an instance without a proxy of its own."""
    return None if egress is None else json.dumps(_said(egress))


def egress_of(text: str | bytes) -> Egress:
    """Reads what `egress_text()` wrote. What cannot be read is Unusable: it is not no proxy."""
    try:
        said: Any = json.loads(text)
        if "unusable" in said:
            return Unusable(str(said["unusable"]))
        return egress_from(said["proxy"]) or UNREADABLE
    except (ValueError, KeyError, TypeError):
        return UNREADABLE


def _said(egress: Egress) -> dict[str, str]:
    assert egress is not None
    return {"unusable": egress.why} if isinstance(egress, Unusable) else {"proxy": egress.url.reveal()}


def _read(file: Path) -> Egress:
    try:
        return egress_of(file.read_bytes())
    except OSError:
        return UNREADABLE


def _write(file: Path, egress: Egress) -> None:
    """The file is whole and on the disk, or is as it was."""
    if egress is None:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(file, _said(egress))
