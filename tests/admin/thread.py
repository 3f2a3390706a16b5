"""The site in a thread of its own, for a browser, which is driven by blocking calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import attrs
import trio

from tests.admin.bed import Site, open_site

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds for what takes one."""


@attrs.frozen
class Running:
    """The site, and a way to its thread."""

    site: Site
    trio_token: trio.lowlevel.TrioToken

    def do(self, call: Callable[[], T]) -> T:
        return trio.from_thread.run_sync(call, trio_token=self.trio_token)


@contextmanager
def run_site(folder: Path, prepare: Callable[[Site], object]) -> Iterator[Running]:
    ready, made, scope = threading.Event(), list[Running](), trio.CancelScope()

    async def serve() -> None:
        with scope:
            async with open_site(folder, show_qr=True) as site:
                prepare(site)
                made.append(Running(site, trio.lowlevel.current_trio_token()))
                ready.set()
                await trio.sleep_forever()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield made[0]
    finally:
        made[0].do(scope.cancel)
        thread.join(PATIENCE)
