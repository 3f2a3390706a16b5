"""What a ledger that came from a backup does not know: what was sent between the backup and the restore.

A backup of a running worker is older than the worker's end. What was sent in between is not in it; if the proxy was not
told of it either, it is still listed, and would go out twice. Nothing tells such a row from one that was queued since.
So for each restored instance, what is listed counts as *uncertain*, as after a kill in the middle of a send: with
`resend` it is sent (again), and the ledger counts a doubt; with `hold` it waits for a person. After a move there is no
such time, and no such file.

That a row is not listed says little: the proxy may leave out what PACE holds back (docs/contract.md), for an hour, and
another of its lists may be cut short, or made while its own database is being restored. So it is over only when lists
that hold no doubt have been answered for LISTENING seconds altogether. Time in which nothing is listed because nothing
is answered does not count, nor does time in which a row waits for a person: it may hide others.

The file restored.json beside the journal names the instances of which that is not over, and when the restore was.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import attrs
import structlog

from wa_worker.durable import write_json
from wa_worker.errors import JournalError
from wa_worker.journal.database import Database, Sql
from wa_worker.journal.ledger import key_of
from wa_worker.journal.states import SendState
from wa_worker.models import InstanceId, Jid, MessageId

log = structlog.get_logger(__name__)

FILE = "restored.json"

MAYBE_SENT = "it may have been sent after the backup that was restored"
"""The error of such a row in the ledger."""


LISTENING = 2 * 3600.0
"""Seconds of answered lists without a doubt after which every row that was queued before the restore has been listed: a
proxy leaves one out for an hour at the most, and begins to before the restore."""

STEP = 60.0
"""Seconds that a list counts at the most. One after a longer silence says nothing of the time between."""

LOOK = STEP / 2
"""Seconds between two looks at lists that hold nothing."""


@attrs.frozen
class _Heard:
    """Says when the last list of an instance was looked at, and how many seconds of lists were without a doubt."""

    at: float
    seconds: float = 0.0


class Restored:
    """Knows the instances whose ledger has a gap. Any thread may call; what writes raises JournalError.

    file: restored.json; None: the journal is on no volume, so no backup of one was restored.
    """

    def __init__(
        self,
        database: Database,
        file: Path | None,
        listening: float = LISTENING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._listening = listening
        self._clock = clock
        self._heard: dict[InstanceId, _Heard] = {}
        self._file = file
        self._lock = threading.Lock()
        self._at, self._gaps = (0.0, frozenset[str]()) if file is None else read_gaps(file)

    def has_gap(self, instance: InstanceId) -> bool:
        """Says whether what is listed for this instance may have been sent already."""
        return instance in self._gaps

    def wants_nothing(self, instance: InstanceId) -> bool:
        """Says whether nothing_listed() is to be called for an empty list: only after a restore, and now and then."""
        heard = self._heard.get(instance)
        return self.has_gap(instance) and (heard is None or self._clock() - heard.at >= LOOK)

    def listed(self, instance: InstanceId, batch: Mapping[MessageId, Jid], *, hold: bool) -> None:
        """Writes messages of a list as uncertain that the ledger does not know, or that have waited since the backup.

        To be called before SendLedger.admit().
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
            held = _is_held(sql, instance)
        if new:
            log.warning(
                "messages may have been sent after the backup that was restored",
                instance=instance,
                messages=new,
                then="they are held: see `wa-worker journal`" if hold else "they are sent",
            )
        self._hear(instance, doubt=bool(new or held))

    def nothing_listed(self, instance: InstanceId) -> None:
        """Takes note of a list that was answered and is empty."""
        if self.has_gap(instance):
            with self._database.reading() as sql:
                held = _is_held(sql, instance)
            self._hear(instance, doubt=held)

    def _hear(self, instance: InstanceId, *, doubt: bool) -> None:
        with self._lock:
            now = self._clock()
            last = self._heard.get(instance, _Heard(now))
            seconds = last.seconds + (0.0 if doubt else min(now - last.at, STEP))
            self._heard[instance] = _Heard(now, seconds)
        if seconds >= self._listening and not doubt:
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
            self._heard.pop(instance, None)
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

_DOUBT = f"""
UPDATE ledger SET state = ?, doubts = doubts + 1, error = ?, changed_at = ?
WHERE instance = ? AND message_id IN (SELECT value FROM json_each(?)) AND state = '{SendState.WAITING}'
  AND changed_at < ?"""

_HELD = f"""
SELECT EXISTS (SELECT 1 FROM ledger WHERE instance = ? AND state = '{SendState.UNCERTAIN}' AND error = ?)"""


def _is_held(sql: Sql, instance: InstanceId) -> bool:
    """Says whether a person has yet to decide, whether it is listed at this moment or not."""
    return bool(sql.execute(_HELD, (instance, MAYBE_SENT)).fetchone()[0])
