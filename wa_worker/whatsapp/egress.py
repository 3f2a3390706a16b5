"""Through which proxy each instance goes out to WhatsApp: as the back end lists it, and remembered on the volume.

The back end lists what is not connected, and a worker that starts again resumes what is on its volume before it has
heard of any list. So what was said last is in a file of the instance's folder, as private as the session beside it, and
is so before it counts. What cannot be used, read or written down stays in force as Unusable: the instance waits, and
never goes out by the worker's own address instead.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import structlog
import trio

from wa_worker.durable import write_json
from wa_worker.edge.egress_url import egress_from
from wa_worker.edge.wire import InstanceRows
from wa_worker.models import Egress, EgressProxy, InstanceId, Unusable, instance_id

log = structlog.get_logger(__name__)

FILE = "proxy.json"
"""Name of the file in an instance's folder: `{"proxy": URL}`, or `{"unusable": why}`."""


class EgressTable:
    """One per process. Trio thread only, but for `load()`."""

    def __init__(self, auth_dir: Path) -> None:
        self._auth_dir = auth_dir
        self._egress: dict[InstanceId, Egress] = {}
        self._changed = trio.lowlevel.ParkingLot()

    def load(self) -> None:
        """Reads what is remembered on the volume. Blocking; before any instance runs."""
        for file in sorted(self._auth_dir.glob(f"*/{FILE}")):
            with contextlib.suppress(ValueError):  # a folder that is no instance's
                self._egress[instance_id(file.parent.name)] = _read(file)

    def of(self, instance: InstanceId) -> Egress:
        """Returns by which way an instance goes out."""
        return self._egress.get(instance)

    @property
    def instances(self) -> Collection[InstanceId]:
        """Returns those that have a proxy of their own, or what should be one."""
        return [instance for instance, egress in self._egress.items() if egress is not None]

    async def listed(self, rows: InstanceRows) -> None:
        """Takes what the back end lists. An instance of which it says nothing keeps what it has."""
        changed = {instance: egress for instance, egress in rows.egress.items() if egress != self.of(instance)}
        for instance, egress in changed.items():
            self._egress[instance] = await self._remembered(instance, egress)
            _tell(instance, self._egress[instance])
        if changed:
            self._changed.unpark_all()

    async def until_other(self, instance: InstanceId, than: Egress) -> None:
        """Waits until an instance goes out by another way than this one."""
        while self.of(instance) == than:
            await self._changed.park()

    async def _remembered(self, instance: InstanceId, egress: Egress) -> Egress:
        """Returns what may count: `egress` itself, once it is on the volume."""
        try:
            await trio.to_thread.run_sync(_write, self._auth_dir / instance / FILE, egress)
        except OSError as error:
            return Unusable(f"the volume does not take it: {error.strerror or type(error).__name__}")
        return egress


def _tell(instance: InstanceId, egress: Egress) -> None:
    match egress:
        case None:
            log.info("an instance goes out without a proxy of its own from now on", instance=instance)
        case Unusable(why):
            log.warning("the proxy of an instance cannot be used: it does not connect", instance=instance, reason=why)
        case EgressProxy():
            log.info("an instance goes out through a proxy", instance=instance, scheme=egress.scheme, at=egress.place)


def _read(file: Path) -> Egress:
    try:
        said: Any = json.loads(file.read_bytes())
        if "unusable" in said:
            return Unusable(str(said["unusable"]))
        return egress_from(said["proxy"]) or Unusable("what is remembered of it cannot be read")
    except (OSError, ValueError, KeyError, TypeError):
        return Unusable("what is remembered of it cannot be read")


def _write(file: Path, egress: Egress) -> None:
    """Blocking. The file is whole and on the disk, or is as it was."""
    if egress is None:
        file.unlink(missing_ok=True)
        return
    said = {"unusable": egress.why} if isinstance(egress, Unusable) else {"proxy": egress.url.reveal()}
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(file, said)
