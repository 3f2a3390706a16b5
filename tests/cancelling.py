"""Cancels a coroutine at each of its waits in turn, and looks at what a process has open."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import trio
from trio.lowlevel import Task

MOST = 400
"""Waits after which an operation that has not ended is taken to be endless."""


class _CancelAt(trio.abc.Instrument):
    def __init__(self, task: Task, wait: int, scope: trio.CancelScope) -> None:
        self._task = task
        self._left = wait
        self._scope = scope

    def after_task_step(self, task: Task) -> None:
        if task is self._task:
            if self._left == 0:
                self._scope.cancel()
            self._left -= 1


async def at_each_wait(operation: Callable[[], Awaitable[object]]) -> AsyncIterator[int]:
    """Runs `operation` again and again, cancelled at its first wait, its second, and so on until it completes.

    Yields after each that was cancelled, for looking at what it has left behind.
    """
    for wait in itertools.count():
        assert wait < MOST, "it does not end"
        with trio.CancelScope() as scope:
            instrument = _CancelAt(trio.lowlevel.current_task(), wait, scope)
            trio.lowlevel.add_instrument(instrument)
            try:
                with trio.fail_after(20):
                    await operation()
            finally:
                trio.lowlevel.remove_instrument(instrument)
        if not scope.cancel_called:
            assert wait > 0, "it never waits"
            return
        yield wait


def open_descriptors() -> int:
    """How many files, sockets and pipes this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def threads() -> set[threading.Thread]:
    """The threads of Python that run, but for those that Trio keeps for the next use."""
    return {thread for thread in threading.enumerate() if "Trio thread" not in thread.name}


class Unchanged:
    """`with Unchanged():` asserts that the block leaves no descriptor open, whatever the garbage collector would do."""

    def __enter__(self) -> None:
        gc.collect()
        gc.disable()
        self._before = open_descriptors()

    def __exit__(self, *_: object) -> None:
        gc.enable()
        assert open_descriptors() <= self._before, "a descriptor was left open"
