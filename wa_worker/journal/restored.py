"""What a ledger that came from a backup does not know: what was sent between the backup and the restore.

A backup of a running worker is older than the worker's end. What was sent in between is not in it; if the proxy was not
told of it either, it is still listed, and would go out twice. Nothing tells such a row from one that was queued since.
So for each restored instance, what is listed counts as *uncertain*, as after a kill in the middle of a send, until the
lists have held nothing for QUIET seconds that was not known or is held: with `resend` it is sent (again), and the
ledger counts a doubt; with `hold` it waits for a person. After a move there is no such time, and no such file.

The file restored.json beside the journal names the instances of which that is not over, and when the restore was.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path

import structlog

from wa_worker.durable import write_json
from wa_worker.errors import JournalError
from wa_worker.journal.database import Database
from wa_worker.journal.ledger import key_of
from wa_worker.journal.states import SendState
from wa_worker.models import InstanceId, Jid, MessageId

log = structlog.get_logger(__name__)

FILE = "restored.json"

MAYBE_SENT = "it may have been sent after the backup that was restored"
"""The error of such a row in the ledger."""


QUIET = 10.0
"""Seconds for which lists must have held nothing in doubt: one short list may be of a proxy that is starting itself."""


class Restored:
    """Knows the instances whose ledger has a gap. Any thread may call; what writes raises JournalError.

    file: restored.json; None: the journal is on no volume, so no backup of one was restored.
    """

    def __init__(self, database: Database, file: Path | None, quiet: float = QUIET) -> None:
        self._database = database
        self._quiet = quiet
        self._quiet_since: dict[InstanceId, float] = {}
        self._file = file
        self._lock = threading.Lock()
        self._at, self._gaps = (0.0, frozenset[str]()) if file is None else read_gaps(file)

    def has_gap(self, instance: InstanceId) -> bool:
        """Says whether what is listed for this instance may have been sent already."""
        return instance in self._gaps

    def listed(self, instance: InstanceId, batch: Mapping[MessageId, Jid], *, hold: bool) -> None:
        """Writes messages of a list as uncertain that the ledger does not know, or that have waited since the backup.

        To be called before SendLedger.admit(), and for an empty list. Lists without any of them end the gap.
        """
        if not self.has_gap(instance):
            return
        keys = json.dumps([key_of(message_id) for message_id in batch])
        state = (SendState.UNCERTAIN if hold else SendState.WAITING).value
        with self._database.transaction() as sql:
            now = time.time()
            rows = [(instance, key_of(of), to, state, MAYBE_SENT, now, now) for of, to in batch.items()]
            new = sql.executemany(_ADD, rows).rowcount if rows else 0
            new += sql.execute(_DOUBT, (state, MAYBE_SENT, now, instance, keys, self._at)).rowcount
            held = sql.execute(_HELD, (instance, keys, MAYBE_SENT)).fetchone()[0]
        if new:
            log.warning(
                "messages may have been sent after the backup that was restored",
                instance=instance,
                messages=new,
                then="they are held: see `wa-worker journal`" if hold else "they are sent",
            )
        moment = time.monotonic()
        if new or held:
            self._quiet_since.pop(instance, None)
        elif moment - self._quiet_since.setdefault(instance, moment) >= self._quiet:
            self._over(instance)

    def _over(self, instance: InstanceId) -> None:
        if self._file is None:
            return
        with self._lock:
            left = self._gaps - {instance}
            try:
                write_gaps(self._file, self._at, left)
            except OSError as error:
                raise JournalError(f"{self._file} cannot be written: {error}") from error
            self._gaps = left
        log.info("the ledger knows all that is listed: the restore is over for it", instance=instance)


def read_gaps(path: Path) -> tuple[float, frozenset[str]]:
    """Returns when a restore was (unix seconds), and of which instances the ledger has a gap since. Raises
    JournalError for a file that cannot be read: messages might be sent twice."""
    try:
        said = json.loads(path.read_text("utf-8"))
        return float(said["at"]), frozenset(map(str, said["instances"]))
    except FileNotFoundError:
        return 0.0, frozenset()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise JournalError(
            f"{path} cannot be read ({type(error).__name__}): it names instances whose ledger came from a backup. "
            "Restore the backup again, or remove the file if nothing that is listed was sent before the restore"
        ) from error


def write_gaps(path: Path, at: float, instances: Collection[str]) -> None:
    """Writes that file whole, or removes it if no instance is left. Raises OSError."""
    if not instances:
        path.unlink(missing_ok=True)
        return
    write_json(path, {"at": at, "instances": sorted(instances)})


_ADD = """
INSERT INTO ledger (instance, message_id, chat, state, doubts, error, created_at, changed_at)
VALUES (?, ?, ?, ?, 1, ?, ?, ?) ON CONFLICT DO NOTHING"""

_AMONG = "instance = ? AND message_id IN (SELECT value FROM json_each(?))"

_DOUBT = f"""
UPDATE ledger SET state = ?, doubts = doubts + 1, error = ?, changed_at = ?
WHERE {_AMONG} AND state = '{SendState.WAITING}' AND changed_at < ?"""

_HELD = f"""
SELECT EXISTS (SELECT 1 FROM ledger WHERE {_AMONG} AND state = '{SendState.UNCERTAIN}' AND error = ?)"""
