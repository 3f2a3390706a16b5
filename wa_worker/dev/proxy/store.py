"""All the state of the reference proxy: its instances here, what they send in outbound.py, what came in received.py.

Owns what each call does to the rows of rows.py, and what "idempotent" means for it. Knows nothing of HTTP. Every
method is synchronous and takes microseconds, so it is called straight from the event loop. Where it is kept:
database.py.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from .received import Received
from .rows import DETAILS, STATUSES, InstanceRow, InstanceStatus, StatusChange, StatusDetails

_DETAILS = ", ".join(DETAILS)
_INSTANCE = f"id, status, qr_code, updated_at, {_DETAILS}, pair_phone"


class Store(Received):
    """Holds the rows, and the knobs that make it play another proxy.

    requests: requests per endpoint name, counted on arrival, refused and faulted ones included.
    events: events of POST /events per type, counted when they are carried out, refused ones included.
    page_size: how many messages GET /queued-messages lists at most; None lists all.
    has_mark_failed: False answers POST /mark-failed with 404, as a proxy without that endpoint does.
    has_media_upload, has_message_status, has_event: the same of those calls, and of the events of that name. has_held:
    whether it knows the message status `held`.
    lists_pair_phones: False makes it a proxy that says no `pair_phone` and no `proxy` of an instance.
    """

    def __init__(
        self,
        database: Path | str = ":memory:",
        *,
        text_ids: bool = False,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(database, on_change, text_ids=text_ids)
        self.requests: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.has_mark_failed = True
        self.has_media_upload = self.has_message_status = self.has_event = self.has_held = True
        self.lists_pair_phones = True
        self._called_back: set[str] = set()

    def play_older(self) -> None:
        """Has none of the calls for files, receipts and events, and says no `pair_phone`: a proxy of before those."""
        self.has_media_upload = self.has_message_status = self.has_event = self.has_held = False
        self.lists_pair_phones = False
        self._changed()

    # Instances.

    def add_instance(
        self, instance_id: str, status: InstanceStatus = "DISCONNECTED", *, pair_phone: str | None = None
    ) -> bool:
        """Returns True if it is new. One that exists keeps what it has; one that was parked is so no more."""
        _check_status(status)
        self._called_back.discard(instance_id)
        self._db.execute("DELETE FROM parked WHERE id = ?", (instance_id,))
        added = self._db.execute(
            "INSERT INTO instances (id, status, updated_at, pair_phone) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (instance_id, status, time.time(), pair_phone),
        ).rowcount
        self._changed()
        return bool(added)

    def remove_instance(self, instance_id: str, *, call_back: bool = False) -> bool:
        """Returns False if there was none. What was sent and received for it stays readable here.

        call_back: have the worker let go of a connected one now, and not when its status changes next. It is listed
        as if it were disconnected until the worker, which knows better, says so and is refused.
        """
        row = self.instance(instance_id)
        with self.transaction():
            self._db.execute("DELETE FROM instances WHERE id = ?", (instance_id,))
            self._db.execute("DELETE FROM parked WHERE id = ?", (instance_id,))
        if call_back and row is not None and row.status == "CONNECTED":
            self._called_back.add(instance_id)
        self._changed()
        return row is not None

    def park_instance(self, instance_id: str) -> bool:
        """Remove it for the worker, which is called back, and remember that there was one. False if there was none."""
        removed = self.remove_instance(instance_id, call_back=True)
        if removed:
            self._db.execute("INSERT INTO parked VALUES (?) ON CONFLICT DO NOTHING", (instance_id,))
            self._changed()
        return removed

    def forget_parked(self, instance_id: str) -> bool:
        """Returns False if it was not parked."""
        forgotten = self._db.execute("DELETE FROM parked WHERE id = ?", (instance_id,)).rowcount
        self._changed()
        return bool(forgotten)

    def parked(self) -> list[str]:
        return [id_ for (id_,) in self._db.execute("SELECT id FROM parked ORDER BY id")]

    def set_status(self, instance_id: str, status: InstanceStatus) -> None:
        """Change the status behind the worker's back, as an operator would; not part of `statuses()`.

        Raises LookupError for an unknown instance.
        """
        _check_status(status)
        if not self._set_status(instance_id, status, None, time.time(), StatusDetails()):
            raise LookupError(f"no instance {instance_id!r}")
        self._changed()

    def set_pair_phone(self, instance_id: str, phone: str | None) -> None:
        """Has it paired by a code for this number, in digits, or (None) by the QR code alone.

        Raises LookupError for an unknown instance.
        """
        if not self._db.execute("UPDATE instances SET pair_phone = ? WHERE id = ?", (phone, instance_id)).rowcount:
            raise LookupError(f"no instance {instance_id!r}")
        self._changed()

    def set_proxy(self, instance_id: str, proxy: str | None) -> None:
        """Has it go out to WhatsApp through this proxy, a URL, or (None) through none, and lists it, so that its worker
        hears of it. What is no proxy is listed as it is: that is one of the things to try on a worker.

        Raises LookupError for an unknown instance.
        """
        query = "UPDATE instances SET proxy = ?, has_proxy = 1, status = 'DISCONNECTED', qr_code = NULL WHERE id = ?"
        if not self._db.execute(query, (proxy, instance_id)).rowcount:
            raise LookupError(f"no instance {instance_id!r}")
        self._changed()

    def instance(self, instance_id: str) -> InstanceRow | None:
        row = self._db.execute(f"SELECT {_INSTANCE} FROM instances WHERE id = ?", (instance_id,)).fetchone()
        return InstanceRow(*row) if row else None

    def instances(self) -> list[InstanceRow]:
        rows = self._db.execute(f"SELECT {_INSTANCE} FROM instances ORDER BY id")
        return [InstanceRow(*row) for row in rows]

    def unconnected(self) -> list[str]:
        """Ids of the instances a worker has to bring up: DISCONNECTED or CONNECTING. And those called back."""
        rows = self._db.execute("SELECT id FROM instances WHERE status <> 'CONNECTED' ORDER BY id")
        return [*(id_ for (id_,) in rows), *sorted(self._called_back)]

    @property
    def called_back(self) -> frozenset[str]:
        """Names those of them whose status is CONNECTED: they are listed for the worker that runs them."""
        return frozenset(self._called_back)

    def listed(self) -> list[dict[str, Any]]:
        """The same as a worker gets them, each with its `pair_phone` if it has one, and its `proxy` if it ever had."""
        more: dict[str, dict[str, str | None]] = {}
        if self.lists_pair_phones:
            for id_, phone in self._db.execute("SELECT id, pair_phone FROM instances WHERE pair_phone IS NOT NULL"):
                more[id_] = {"pair_phone": phone}
            for id_, proxy in self._db.execute("SELECT id, proxy FROM instances WHERE has_proxy"):
                more.setdefault(id_, {})["proxy"] = proxy
        return [{"id": id_, **more.get(id_, {})} for id_ in self.unconnected()]

    def statuses(self, instance_id: str) -> list[StatusChange]:
        """Everything the worker posted about this instance, oldest first."""
        rows = self._db.execute(
            f"SELECT status, qr_code, at, {_DETAILS} FROM statuses WHERE instance_id = ? ORDER BY seq", (instance_id,)
        )
        return [StatusChange(*row) for row in rows]

    def update_status(
        self,
        instance_id: str,
        status: InstanceStatus,
        qr_code: str | None,
        details: StatusDetails = StatusDetails(),  # noqa: B008 - frozen
    ) -> bool:
        """POST /update-status. False for an unknown instance."""
        now, said = time.time(), attrs.astuple(details)
        with self.transaction():
            known = self._set_status(instance_id, status, qr_code, now, details)
            if known:
                self._db.execute(
                    f"INSERT INTO statuses (instance_id, status, qr_code, at, {_DETAILS}) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (instance_id, status, qr_code, now, *said),
                )
        if not known:
            self._called_back.discard(instance_id)
        self._changed()
        return known

    def _set_status(
        self, id_: str, status: InstanceStatus, qr_code: str | None, now: float, details: StatusDetails
    ) -> bool:
        # A code that nobody can use any more must not stay on a page.
        shown = qr_code
        if status != "CONNECTING":
            shown, details = None, attrs.evolve(details, pairing_code=None, pairing_expires_at=None)
        return bool(
            self._db.execute(
                f"UPDATE instances SET (status, qr_code, updated_at, {_DETAILS}) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "WHERE id = ?",
                (status, shown, now, *attrs.astuple(details), id_),
            ).rowcount
        )


def _check_status(status: str) -> None:
    if status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}, not {status!r}")
