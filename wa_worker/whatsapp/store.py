"""What a session store is, whatever it is kept in: the keys of an instance's session, as whatsmeow has written them.

folder_store.py has it as an SQLite file in a folder of the instance, schema_store.py as a schema of the PostgreSQL
database of `STATE_URL`. whatsmeow owns the tables; here they are only read.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import ClassVar, Protocol

import structlog

from wa_worker.errors import SessionError
from wa_worker.jid import LID, USER, without_device
from wa_worker.models import Account, InstanceId, Jid, Secret, Shard, in_shard

log = structlog.get_logger(__name__)

Value = str | bytes | int | float | None

ARCHIVES_KEPT = 3
"""Archived stores kept per instance: enough to look into what happened, bounded where nobody tidies."""

LOOK = 5.0
"""Seconds for a look at whose device it is, or at a number."""


class StoreTrouble(enum.Enum):
    """Names what a line of whatsmeow's log says of its store."""

    FULL = "the session store cannot be written"
    AWAY = "the session store cannot be reached"
    LOST = "the session store is not there: another worker has taken it"


class StoreLost(SessionError):
    """The store is another worker's by now. Do: close the session, and say nothing of the instance to anybody."""


class Reader(Protocol):
    """Reads from one store, whose errors end `SessionStore.reading()`."""

    def rows(self, query: str, *parameters: str | bytes) -> list[tuple[Value, ...]]:
        """Returns all rows. `?` stands for a parameter. The query names whatsmeow's tables only."""


class SessionStore(abc.ABC):
    """Describes the session store of one instance. All of it blocks, but for `dsn`, `place` and `trouble()`."""

    newest_first: ClassVar[str]
    """How the rows of a table are ordered by when they were written, for ORDER BY."""

    @property
    @abc.abstractmethod
    def dsn(self) -> Secret:
        """Says what neonize is given as its `name`."""

    @property
    @abc.abstractmethod
    def place(self) -> str:
        """Says where it is, for people: no password."""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Makes the place where whatsmeow can make its tables, unless it is there. Raises SessionError, or OSError."""

    @abc.abstractmethod
    def archive(self) -> str | None:
        """Sets the store aside, dated, and drops the oldest of ARCHIVES_KEPT. Returns what it is called now, None if
        there was nothing to set aside. Raises SessionError, or OSError.

        Only after the session is closed. The data is kept: WhatsApp ended this pairing, people may want to know.
        """

    @abc.abstractmethod
    def reading(self, longest: float) -> AbstractContextManager[Reader]:
        """Opens the store to look something up, which takes `longest` seconds at the most. The block ends with
        SessionError if there is no store, or if it cannot be read in this time."""

    @abc.abstractmethod
    def identity(self, reader: Reader) -> tuple[object, ...]:
        """Returns what tells this store from any other, and from an older copy of itself, without the device in it.
        Raises SessionError, or ends the reading."""

    @abc.abstractmethod
    def trouble(self, line: str) -> StoreTrouble | None:
        """Says whether a line of whatsmeow's log tells of trouble with this store."""

    @abc.abstractmethod
    def first_row(self, query: str, *parameters: str) -> tuple[Value, ...] | None:
        """Returns the first row. None: there is none, or the store has not been made yet. Raises SessionError when that
        cannot be told now."""

    def is_paired(self) -> bool:
        """Says whether the store holds a device. One that is missing, empty or no database holds none.

        Raises SessionError when that cannot be told now: a QR code would be the wrong answer to a busy disk."""
        return self.first_row("SELECT 1 FROM whatsmeow_device") is not None

    def account(self) -> Account | None:
        """Returns whose device the store holds, None if it holds none. whatsmeow learns the name some time after the
        device was linked.

        Raises SessionError as `is_paired()` does."""
        row = self.first_row("SELECT jid FROM whatsmeow_device")
        jid = row[0] if row else None
        if jid is None:
            return None
        name = self._mapped("SELECT push_name FROM whatsmeow_device WHERE jid = ?", str(jid))
        return Account(Jid(without_device(str(jid))), name)

    def phone_of(self, lid: Jid) -> Jid | None:
        """Returns the phone number JID that the store knows for a LID. None too if it cannot be read now."""
        user = self._mapped("SELECT pn FROM whatsmeow_lid_map WHERE lid = ?", lid.partition("@")[0])
        return Jid(f"{user}@{USER}") if user else None

    def lid_of(self, jid: Jid) -> Jid | None:
        """Returns the LID that the store knows for a phone number JID. None too if it cannot be read now."""
        user = self._mapped("SELECT lid FROM whatsmeow_lid_map WHERE pn = ?", jid.partition("@")[0])
        return Jid(f"{user}@{LID}") if user else None

    def _mapped(self, query: str, of: str) -> str | None:
        try:
            row = self.first_row(query, of)
        except SessionError:
            return None  # a mapping is a nicety, the message is not
        return str(row[0]) if row and row[0] else None


class Stores(Protocol):
    """Hands out the session stores of a worker."""

    def of(self, instance: InstanceId) -> SessionStore:
        """Returns the store of an instance. Raises SessionError if it is not this worker's."""

    def look(self, instance: InstanceId) -> SessionStore:
        """Returns the store of an instance, whosever it is, to look people up in. Blocking. Raises SessionError if that
        cannot be said now."""

    def paired(self) -> Iterator[InstanceId]:
        """Yields the instances that have a device, by name. Blocking."""

    async def problem(self) -> str | None:
        """Says why no session can be opened now, whosever it is; None if nothing is known that speaks against it."""


def sessions_of(stores: Stores, shard: Shard | None) -> tuple[list[InstanceId], int]:
    """Returns the instances with a device that are in the shard, and how many others there are: their number of shards
    was changed, and they may run elsewhere by now. Blocking."""
    here = list(stores.paired())
    own = in_shard(shard, here)
    others = len(here) - len(own)
    if others:
        log.warning(
            "sessions on the volume are of other shards: not started",
            sessions=others,
            shard=str(shard),
            remedy="move them to the volumes of their workers: docs/scaling.md, Changing the number of shards",
        )
    return own, others
