"""Reads for several tasks in one go on a thread: what they ask for at the same moment is one hop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import attrs
import trio

K = TypeVar("K")
V = TypeVar("V")


@attrs.define(eq=False)
class _Group(Generic[K, V]):
    keys: list[K] = attrs.field(factory=list)
    done: trio.Event = attrs.field(factory=trio.Event)
    found: Mapping[K, V] = attrs.field(factory=dict)
    error: Exception | None = None


class GroupRead(Generic[K, V]):
    """Reads by key. read(keys): blocking; it is called on a thread, and answers for each key."""

    def __init__(self, read: Callable[[list[K]], Mapping[K, V]]) -> None:
        self._read = read
        self._next: _Group[K, V] | None = None

    async def get(self, key: K) -> V:
        """Returns what is read for a key. Raises what the reading raises. Cancelled: the others get theirs."""
        group = self._next
        if group is None:
            group = self._next = _Group()
            group.keys.append(key)
            await self._lead(group)
        else:
            group.keys.append(key)
            await group.done.wait()
        if group.error is not None:
            raise group.error
        return group.found[key]

    async def _lead(self, group: _Group[K, V]) -> None:
        """Reads for all who ask until the thread begins."""
        try:
            with trio.CancelScope(shield=True):  # a short wait, for the others' sake
                await trio.lowlevel.checkpoint()
                self._next = None
                group.found = await trio.to_thread.run_sync(self._read, group.keys)
        except Exception as error:  # noqa: BLE001 - raised by each who asked
            group.error = error
        finally:
            group.done.set()
        await trio.lowlevel.checkpoint_if_cancelled()
