"""Who must keep away from WhatsApp until when."""

from __future__ import annotations

import time

from tests.journal.rows import OTHER, SHOP
from tests.journal.stores import Store
from wa_worker.journal.holds import FORGOTTEN


def test_holds_are_remembered_and_counted_by_reason(store: Store) -> None:
    with store.open() as journal:
        holds = journal.holds
        assert holds.get(SHOP) is None
        assert holds.times(SHOP, "REPLACED") == 0
        now = time.time()
        holds.put(SHOP, "REPLACED", 180)
        holds.put(SHOP, "REPLACED", 360)
        hold = holds.get(SHOP)
        assert hold is not None
        assert (hold.reason, hold.count) == ("REPLACED", 2)
        assert now + 360 <= hold.until <= time.time() + 360
        assert hold.written_at is not None
        assert now <= hold.written_at <= time.time()
        assert holds.times(SHOP, "BANNED") == holds.times(OTHER, "REPLACED") == 0
        holds.put(OTHER, "REPLACED", 60)
    with store.open() as journal:
        holds = journal.holds
        assert holds.times(SHOP, "REPLACED") == 2, "over a restart"
        holds.put(SHOP, "REPLACED", 60, anew=True)
        assert holds.times(SHOP, "REPLACED") == 1
        holds.put(SHOP, "BANNED", 60)
        assert (holds.times(SHOP, "BANNED"), holds.times(SHOP, "REPLACED")) == (1, 0)
        holds.put(SHOP, "BANNED", -FORGOTTEN - 1)
        assert holds.times(SHOP, "BANNED") == 0, "a day after its end nobody remembers"
        assert holds.times(OTHER, "REPLACED") == 1
