"""What the buttons do, each a word to the proxy or to the simulated people. The worker is never spoken to.

Contract v1 knows no "disconnect": an instance that the proxy lists is brought up. So Disconnect takes it away from
the proxy, where it is remembered as parked, and Remove forgets it. Either way the worker lets go, and keeps the
session on its disk: the same name resumes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import attrs
import trio

from wa_worker.dev.console.display_text import plain
from wa_worker.dev.console.page import NEW, At
from wa_worker.dev.console.texts import Said
from wa_worker.dev.console.writing import Fields, Row, body_of, message_row, reaction_row
from wa_worker.dev.errors import CannotDoError
from wa_worker.dev.proxy import Store
from wa_worker.jid import destination
from wa_worker.models import instance_id

if TYPE_CHECKING:
    from wa_worker.dev.world.people import SimulatedUsers


@attrs.frozen
class Done:
    """Says what was done, for who asked; "" if one sees it. `go`: the page to look at now, if it is another."""

    text: str
    go: At | None = None


class Actions:
    """By name. Each raises CannotDoError with the reason. `console`: the address at which a worker reaches us."""

    def __init__(self, store: Store, users: SimulatedUsers | None, on_change: Callable[[], None], console: str) -> None:
        self._store = store
        self._people = users
        self._console = console
        self._on_change = on_change
        self._actions: dict[str, Callable[[Fields], Awaitable[Done]]] = {
            "add": self._add,
            "connect": self._connect,
            "disconnect": self._disconnect,
            "remove": self._remove,
            "send": self._send,
            "react": self._react,
        }
        if users is not None:
            self._actions |= {
                "scan": self._scan,
                "drop": self._drop,
                "ban": self._ban,
                "log-out": self._log_out,
                "write": self._write,
            }

    async def run(self, name: str, fields: Fields) -> Done:
        if name not in self._actions:
            raise CannotDoError(Said("There is no such button."))
        await trio.lowlevel.checkpoint()
        try:
            return await self._actions[name](fields)
        finally:
            self._on_change()

    # --- instances

    async def _add(self, fields: Fields) -> Done:
        try:
            instance = instance_id(fields.get("instance", "").strip())
        except ValueError as error:
            raise CannotDoError(Said("Not added: {}.", error)) from error
        if not self._store.add_instance(instance):
            raise CannotDoError(Said("Not added: there is an instance {} already.", _named(instance)))
        return Done(Said("{} was added. The worker asks for its instances every second.", _named(instance)))

    async def _connect(self, fields: Fields) -> Done:
        instance = _instance(fields)
        if instance not in self._store.parked():
            raise CannotDoError(Said("{} is not disconnected.", _named(instance)))
        self._store.add_instance(instance)
        return Done(Said("{} is back at the proxy. The worker resumes its session.", _named(instance)))

    async def _disconnect(self, fields: Fields) -> Done:
        instance = _instance(fields)
        if not self._store.park_instance(instance):
            raise CannotDoError(Said("There is no instance {} to disconnect.", _named(instance)))
        return Done(Said("{} was taken from the proxy. The worker lets go and keeps the session.", _named(instance)))

    async def _remove(self, fields: Fields) -> Done:
        instance = _instance(fields)
        if not (self._store.forget_parked(instance) or self._store.remove_instance(instance, call_back=True)):
            raise CannotDoError(Said("There is no instance {} to remove.", _named(instance)))
        return Done(
            Said("{} was removed. Its session stays in the folder: the same name resumes it.", _named(instance))
        )

    # --- messages

    async def _send(self, fields: Fields) -> Done:
        to = fields.get("to", "").strip()
        row = message_row(fields, self._store, self._console)
        if not to:
            raise CannotDoError(Said("Not sent: write a phone number to send it to."))
        self._queue(fields, to, row)
        return Done("", _go(fields, to))

    async def _react(self, fields: Fields) -> Done:
        self._queue(fields, fields.get("chat", ""), reaction_row(fields, self._store))
        return Done("")

    def _queue(self, fields: Fields, to: str, row: Row) -> None:
        instance = _instance(fields)
        try:
            self._store.queue_row(instance, to, **row)
        except LookupError:
            raise CannotDoError(
                Said("Not sent: {} is not at the proxy. Connect or add it first.", _named(instance))
            ) from None

    async def _write(self, fields: Fields) -> Done:
        assert self._people is not None
        kind = fields.get("kind", "")
        body = body_of(fields, empty=bool(kind))
        await self._people.write(_instance(fields), fields.get("to", ""), body, kind)
        return Done("", _go(fields, fields.get("to", "")))

    # --- the simulated phone

    async def _scan(self, fields: Fields) -> Done:
        assert self._people is not None
        instance = _instance(fields)
        row = self._store.instance(instance)
        if row is None or row.qr_code is None:
            raise CannotDoError(Said("{} shows no code just now.", _named(instance)))
        await self._people.scan(instance, row.qr_code)
        return Done(Said("The phone has scanned the code of {}.", _named(instance)))

    async def _drop(self, fields: Fields) -> Done:
        assert self._people is not None
        await self._people.drop(_instance(fields))
        return Done(Said("The connection was cut. It cannot be made anew for 5 seconds."))

    async def _ban(self, fields: Fields) -> Done:
        assert self._people is not None
        await self._people.ban(_instance(fields))
        said = "WhatsApp refuses logins for 10 seconds. The worker waits for the end of the ban and a little more."
        return Done(Said(said))

    async def _log_out(self, fields: Fields) -> Done:
        assert self._people is not None
        await self._people.log_out(_instance(fields))
        return Done(Said("The phone has removed the device. A new code will be there in a moment."))


def _instance(fields: Fields) -> str:
    return fields.get("instance", "")


def _named(instance: str) -> str:
    return plain(instance, 40) or Said("without a name")


def _go(fields: Fields, to: str) -> At | None:
    """Returns the page to look at, if another than the one that the message came from: the chat's own, if that was the
    form for new ones; the same without what is answered now."""
    instance, chat = _instance(fields), fields.get("chat", "")
    if chat != NEW:
        return At(instance, chat) if fields.get("reply") else None
    try:
        return At(instance, destination(to))
    except ValueError:
        return At(instance, to)
