"""Calls whose outcome nobody hears of."""

from __future__ import annotations

import time

import trio

from tests.journal.rows import SHOP, read_only
from tests.journal.test_calls import call, pending, rang
from tests.proxy_fixture import until
from wa_worker.delivery.calls import CallTimeouts
from wa_worker.journal import Journal
from wa_worker.journal.calls import PATIENCE


async def test_they_are_told_of_after_a_while(journal: Journal, nursery: trio.Nursery) -> None:
    told: list[int] = []
    timeouts = CallTimeouts(journal.inbox.calls, lambda: told.append(len(pending(journal))))
    nursery.start_soon(timeouts.run)
    await trio.sleep(0.1)
    journal.inbox.calls.ring(SHOP, call())
    rang(journal, PATIENCE - 0.5)
    began = time.monotonic()
    timeouts.wakeup.ring()
    await until(lambda: told)
    assert told == [1], "it is on disk by then"
    assert time.monotonic() - began > 0.4
    await trio.sleep(0.2)
    assert told == [1]


async def test_those_of_before_the_start_are_too(journal: Journal, nursery: trio.Nursery) -> None:
    journal.inbox.calls.ring(SHOP, call())
    rang(journal, 2 * PATIENCE)
    read_only(journal, True)
    told: list[int] = []
    nursery.start_soon(CallTimeouts(journal.inbox.calls, lambda: told.append(1)).run)
    await trio.sleep(0.3)
    read_only(journal, False)
    await until(lambda: told)
    assert pending(journal) == [call()]
