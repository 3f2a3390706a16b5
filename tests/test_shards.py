"""Which shard an instance is in: docs/contract.md has the same numbers for whoever writes the other side."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_worker.models import MOST_SHARDS, InstanceId, Shard, in_shard

CONTRACT = Path(__file__).parents[1] / "docs" / "contract.md"

VECTORS = {
    "shop": (2, 2, 6, 646),
    "pub": (2, 1, 2, 812),
    "three": (1, 3, 1, 221),
    "5f0c6b1e-5d0f-4b57-9f0a-8d9c1c8a9b11": (2, 2, 4, 54),
    "a.b_c-d": (1, 3, 9, 619),
}
"""The shard of an id, of 2, 3, 10 and 1000: computed by PostgreSQL, Python and Deno alike."""

OF = (2, 3, 10, 1000)


def shard_of(instance: str, of: int) -> int:
    (number,) = [number for number in range(1, of + 1) if Shard(number, of).has(instance)]
    return number


@pytest.mark.parametrize("instance", VECTORS)
def test_the_shard_of_an_id(instance: str) -> None:
    assert tuple(shard_of(instance, of) for of in OF) == VECTORS[instance]


def test_the_contract_has_these_numbers() -> None:
    rows = re.findall(
        r"^\| `([^`]+)` \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", CONTRACT.read_text("utf-8"), re.MULTILINE
    )
    assert {id_: tuple(map(int, numbers)) for id_, *numbers in rows} == VECTORS


@given(st.text(max_size=140), st.integers(1, 50))
def test_whatever_the_text_it_is_in_one_shard(text: str, of: int) -> None:
    assert 1 <= shard_of(text, of) <= of


def test_what_cannot_be_encoded_is_in_one_too() -> None:
    assert shard_of("\ud83d", 3)


def test_instances_are_spread_evenly() -> None:
    instances = [f"instance-{number}" for number in range(3000)]
    sizes = [sum(Shard(number, 10).has(instance) for instance in instances) for number in range(1, 11)]
    assert sum(sizes) == 3000
    assert 240 < min(sizes) < max(sizes) < 360


@pytest.mark.parametrize(("text", "shard"), [("1/1", (1, 1)), ("2/3", (2, 3)), ("1000/1000", (1000, MOST_SHARDS))])
def test_how_it_is_written(text: str, shard: tuple[int, int]) -> None:
    assert Shard.from_text(text) == Shard(*shard)
    assert str(Shard.from_text(text)) == text


BAD = {
    "": "is not a shard such as 1/3",
    "1": "is not a shard such as 1/3",
    "1/": "is not a shard such as 1/3",
    "1 / 3": "is not a shard such as 1/3",
    "1/3/5": "is not a shard such as 1/3",
    "-1/3": "is not a shard such as 1/3",
    "1/3\n": "is not a shard such as 1/3",
    "\u0661/\u0663": "is not a shard such as 1/3",
    "00001/3": "is not a shard such as 1/3",
    "0/3": "counts from 1: the first of 3 shards is 1/3",
    "4/3": "must be from 1/N to N/N",
    "1/0": "must be from 1/N to N/N",
    "1/1001": "with an N of 1000 at the most",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(BAD[text])):
        Shard.from_text(text)


def test_without_a_shard_all_instances_are_in_it() -> None:
    instances = [InstanceId("shop"), InstanceId("three")]
    assert in_shard(None, instances) == instances
    assert in_shard(Shard(1, 2), instances) == ["three"]
