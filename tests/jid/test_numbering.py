"""Numbering plans: what is a number, and what of it is dialled but not part of it."""

from __future__ import annotations

import pytest

from wa_worker.jid import numbering


@pytest.mark.parametrize(
    ("digits", "number"),
    [
        ("5511988880005", "5511988880005"),
        ("55011988880005", "5511988880005"),
        ("553188880005", None),
        ("5215512345678", None),
        ("999123456789", None),
        ("1" * 400, None),
        ("0", None),
    ],
)
def test_with_a_country_code(digits: str, number: str | None) -> None:
    assert numbering.international(digits) == number


@pytest.mark.parametrize(
    ("digits", "region", "number"),
    [
        ("31988880005", "BR", "5531988880005"),
        ("01531988880005", "BR", "5531988880005"),
        ("31988880005", "US", None),
        ("988880005", "BR", None),
        ("", "BR", None),
    ],
)
def test_without_one(digits: str, region: str, number: str | None) -> None:
    assert numbering.national(digits, region) == number


def test_a_region_has_a_numbering_plan() -> None:
    assert numbering.is_region(numbering.DEFAULT_REGION)
    assert not any(map(numbering.is_region, ("", "br", "ZZ", "001", "55")))


def test_lengths() -> None:
    assert numbering.has_possible_length("5511988880005")
    assert not any(map(numbering.has_possible_length, ("16777216", "20251125213451", "1790000000000", "0", "")))
