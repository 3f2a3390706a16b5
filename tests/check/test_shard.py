"""What `wa-worker check` says of a worker with WORKER_SHARD."""

from __future__ import annotations

import attrs
import pytest

from tests.check.results import SECRET, by_name
from tests.check.test_configuration import GOOD
from wa_worker.check.clock import Clock
from wa_worker.check.configuration import read_configuration
from wa_worker.check.proxy import check_proxy
from wa_worker.check.result import Grade, Result
from wa_worker.check.shard import check_shard
from wa_worker.check.version import Usage
from wa_worker.dev.proxy import Contract, open_proxy
from wa_worker.models import Shard

ONE = Shard(1, 2)
"""Of these, "three" and "loja-01" are in it."""


@attrs.frozen
class Case:
    listed: str
    here: str
    grade: Grade
    found: str
    remedy: str = ""


CASES = [
    Case("three shop", "loja-01", Grade.OK, "1/2: 1 of the 2 instances to connect, 1 of the 1 on the volume"),
    Case("", "loja-01", Grade.OK, "1/2: 0 of the 0 instances to connect, 1 of the 1 on the volume"),
    Case("three", "", Grade.OK, "1/2: 1 of the 1 instances to connect, 0 of the 0 on the volume"),
    Case("shop pub", "", Grade.WARN, "1/2: 0 of the 2 instances to connect, 0 of the 0", "is WORKER_SHARD right?"),
    Case("three", "shop loja-01", Grade.WARN, "not started here: shop", "docs/scaling.md"),
    Case("", "shop pub two new bakery up-1", Grade.WARN, "bakery, new, pub, shop, two and 1 more", "scaling.md"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.listed}-{case.here}")
def test_what_of_the_instances_is_in_it(case: Case) -> None:
    found = check_shard(ONE, case.listed.split(), frozenset(case.here.split()))
    assert (found.name, found.grade) == ("shard", case.grade)
    assert case.found in found.found
    assert case.remedy in (found.remedy or "")


async def checked(contract: Contract, *, knows: bool, shard: Shard | None = ONE) -> dict[str, Result]:
    async with open_proxy(secret=SECRET.reveal(), contract=contract) as proxy:
        proxy.knows_shards = knows
        for instance in ("three", "shop", "pub"):
            proxy.store.add_instance(instance)
        usage = Usage(instances=frozenset({"loja-01"}), shard=shard)
        return by_name(await check_proxy(proxy.url, SECRET, Clock(), usage))


async def test_it_is_a_result_of_its_own_and_the_calls_are_those_of_the_shard() -> None:
    found = await checked(2, knows=True)
    assert found["shard"].found == "1/2: 1 of the 3 instances to connect, 1 of the 1 on the volume"
    assert found["contract"].grade is Grade.OK
    assert "POST /poll is held" in found["contract"].found
    found = await checked(1, knows=True)
    assert "with 2 instances" in found["contract"].found, "three and loja-01"


async def test_a_proxy_that_knows_no_shards_is_told_of() -> None:
    found = (await checked(2, knows=False))["contract"]
    assert found.grade is Grade.WARN
    assert "lists other shards, too: 43,200 calls a day while idle, since" in found.found
    assert "`shard`" in (found.remedy or "")


async def test_a_worker_of_all_instances_has_no_such_result() -> None:
    assert "shard" not in await checked(2, knows=True, shard=None)


def test_the_setting_is_read() -> None:
    assert read_configuration({**GOOD, "WORKER_SHARD": "2/3"}).usage.shard == Shard(2, 3)
    assert read_configuration({**GOOD, "WORKER_SHARD": "3"}).usage.shard is None
    assert read_configuration(GOOD).usage.shard is None
