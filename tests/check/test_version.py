"""Which version `wa-worker check` finds, what it says that it costs, and what it makes of `POST /events`."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from tests.check.results import SECRET, by_name
from tests.check.test_proxy import Odd
from wa_worker.check.clock import Clock
from wa_worker.check.proxy import check_proxy
from wa_worker.check.result import Grade, Result
from wa_worker.check.version import Usage
from wa_worker.dev.proxy import Contract, Fault, ReferenceProxy, open_proxy


async def checked(proxy: ReferenceProxy, usage: Usage | None = None) -> dict[str, Result]:
    return by_name(await check_proxy(proxy.url, SECRET, Clock(), usage or Usage()))


@attrs.frozen
class Cost:
    """A proxy of this version with "shop" and "new" on its list, and a worker with "shop" and "up" on its volume."""

    contract: Contract
    hold: float
    says: str


COSTS = [
    Cost(1, 60, "version 1: 138,240 calls a day while idle with 3 instances (version 2: 4,320)"),
    Cost(2, 60, "version 2, and POST /poll is held: 4,320 calls a day while idle, for all instances"),
    Cost(
        2,
        0,
        "version 2, but POST /poll is not held: 43,200 calls a day while idle, for all instances (4,320 if it were)",
    ),
]


@pytest.mark.parametrize("cost", COSTS, ids=lambda cost: cost.says[:40])
async def test_what_a_version_costs(cost: Cost) -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        for instance in ("shop", "new"):
            proxy.store.add_instance(instance)
        proxy.store.queue("shop", "5511988880002", "for a worker")
        proxy.contract, proxy.longest_hold = cost.contract, cost.hold
        found = await checked(proxy, Usage(instances=frozenset({"shop", "up"})))
        assert (found["contract"].grade, found["contract"].found) == (Grade.OK, cost.says)
        assert ("events" in found) == (cost.contract == 2)
        assert proxy.store.requests["events"] == cost.contract - 1
        assert proxy.store.count_messages("queued") == 1


async def test_the_settings_decide_what_it_costs() -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        proxy.store.add_instance("shop")
        proxy.longest_hold = 0
        usage = Usage(instance_poll=60, message_poll=5, idle_poll=0)
        assert "17,280 calls" in (await checked(proxy, usage))["contract"].found
        proxy.contract = 1
        assert "18,720 calls a day while idle with 1 instance " in (await checked(proxy, usage))["contract"].found
        usage = attrs.evolve(usage, idle_poll=50)
        assert "3,168 calls" in (await checked(proxy, usage))["contract"].found


BOTH = b'{"instances": [], "messages": []}'
ROW = b'{"instanceId": "shop", "id": 1, "to": "5511988880002", "body": "x"}'
MISSING = [Odd({"poll": Fault(status=status)}, "contract", Grade.OK, "version 1") for status in (400, 404, 405, 501)]
UNKNOWN = [
    Odd({"poll": Fault(status=status)}, "contract", Grade.WARN, f"answered {status}", "answer 404")
    for status in (401, 403, 408, 429, 500, 302)
]


def results(*statuses: Any) -> dict[str, Fault]:
    listed = ", ".join(f'{{"status": {status}}}' for status in statuses)
    return {"events": Fault(body=f'{{"results": [{listed}]}}'.encode())}


ODD = [
    *MISSING,
    *UNKNOWN,
    Odd({"poll": Fault(body=b"ok")}, "contract", Grade.OK, "version 1"),
    Odd({"poll": Fault(body=b"[]")}, "contract", Grade.OK, "version 1"),
    Odd(
        {"poll": Fault(body=b'{"instances": []}')}, "contract", Grade.WARN, "has instances, but not both", "contract.md"
    ),
    Odd({"poll": Fault(cut=True)}, "contract", Grade.WARN, "POST /poll: "),
    Odd({"poll": Fault(cut=True, only='"wait":2')}, "contract", Grade.FAIL, "that may be held is not answered"),
    Odd({"poll": Fault(body=BOTH[:-2] + ROW + b"]}")}, "contract", Grade.FAIL, "lists 1 message", "no others"),
    Odd({"poll": Fault(body=BOTH)}, "wrong secret", Grade.FAIL, "POST /poll with a wrong secret", "in every call"),
    Odd({}, "wrong secret", Grade.OK, "refused (401)"),
    Odd({}, "events", Grade.OK, "an unknown message is answered 404, an unknown type 400"),
    Odd({"events": Fault(status=404)}, "events", Grade.FAIL, "answered 404", "must have POST /events"),
    Odd({"events": Fault(status=400)}, "events", Grade.FAIL, "answered 400", "into its result"),
    Odd({"events": Fault(status=500)}, "events", Grade.FAIL, "answered 500", "log"),
    Odd({"events": Fault(cut=True)}, "events", Grade.FAIL, "disconnected"),
    Odd({"events": Fault(results=-1)}, "events", Grade.FAIL, "1 result for 2 events", "in order"),
    Odd({"events": Fault(results=1)}, "events", Grade.FAIL, "3 results for 2 events"),
    Odd({"events": Fault(body=b"<html>")}, "events", Grade.FAIL, "0 results"),
    Odd(results('"200"', 400), "events", Grade.FAIL, "0 results"),
    Odd(results("true", 400), "events", Grade.FAIL, "0 results"),
    Odd(results(200, 400), "events", Grade.OK, "answered 200"),
    Odd(results(500, 400), "events", Grade.WARN, "an unknown message is answered 500", "4xx"),
    Odd(results(404, 500), "events", Grade.WARN, "an unknown type is answered 500", "4xx"),
    Odd(results(404, 200), "events", Grade.WARN, "an unknown type is answered 200", "400"),
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd.name}-{odd.grade.value}-{odd.says[:30]}")
async def test_of_the_proxy(odd: Odd) -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        proxy.store.add_instance("shop")
        proxy.longest_hold = 0
        proxy.faults.replace(odd.faults)
        found = (await checked(proxy))[odd.name]
    assert found.grade is odd.grade
    assert odd.says in found.found
    assert odd.advises in (found.remedy or "")
