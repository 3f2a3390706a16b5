"""The message status `held` at the reference proxy: what /poll leaves out, and for how long."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from wa_worker.dev.proxy.calls import Outcome, message_status
from wa_worker.dev.proxy.fields import BadRequestError
from wa_worker.dev.proxy.store import Store

ANA, BIA = "5511988880001", "5511988880002"


@pytest.fixture
def store() -> Store:
    made = Store()
    made.add_instance("shop")
    made.add_instance("pub")
    return made


def held(message_id: object, **fields: Any) -> dict[str, Any]:
    return {
        "instanceId": "shop",
        "messageId": message_id,
        "chat_id": "x",
        "status": "held",
        "reason": "rate",
        "until": int(time.time()) + 3600,
        "timestamp": 1,
        **fields,
    }


def listed(store: Store) -> list[object]:
    return [row["id"] for row in store.queued_fairly({"shop", "pub"})]


def test_it_is_left_out_with_what_is_behind_it_to_the_same_receiver(store: Store) -> None:
    before, first, behind, other = store.queue_many("shop", [(ANA, "0"), (ANA, "a"), (ANA, "b"), (BIA, "c")])
    same = store.queue("pub", ANA, "of another instance")
    assert message_status(store, held(first)) == Outcome()
    assert sorted(map(str, listed(store))) == sorted(map(str, (before, other, same)))
    row = next(row for row in store.messages() if row.id == first)
    assert (row.status, row.held_reason) == ("queued", "rate")
    assert [row["id"] for row in store.queued("shop")] == [before, first, behind, other], (
        "version 1 knows nothing of it"
    )
    assert store.mark_sent(first, "W1"), "a mark comes all the same"
    assert behind in listed(store)


def test_it_is_listed_again_when_its_time_has_come(store: Store) -> None:
    first = store.queue("shop", ANA, "a")
    message_status(store, held(first, until=int(time.time()) - 1))
    assert listed(store) == [first]


def test_a_proxy_that_is_started_anew_knows_it_still(tmp_path: Path) -> None:
    store = Store(tmp_path / "proxy.db")
    store.add_instance("shop")
    message_status(store, held(store.queue("shop", ANA, "a")))
    store.close()
    again = Store(tmp_path / "proxy.db")
    assert listed(again) == []
    again.close()


def test_what_is_wrong_is_refused(store: Store) -> None:
    first = store.queue("shop", ANA, "a")
    assert message_status(store, held(4711)).status == 404
    assert message_status(store, held(first, instanceId="pub")).status == 404
    for field, value in (("until", "later"), ("reason", ""), ("until", -1)):
        with pytest.raises(BadRequestError):
            message_status(store, held(first, **{field: value}))
    store.has_held = False
    with pytest.raises(BadRequestError):
        message_status(store, held(first))
    assert listed(store) == [first]
