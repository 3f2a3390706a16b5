"""The ids that a person types."""

from __future__ import annotations

import pytest

from wa_worker.journal.items import ItemId


@pytest.mark.parametrize("text", ["in:1", "out:17", "in:999999999999999999"])
def test_an_id_is_read_as_it_is_shown(text: str) -> None:
    assert str(ItemId.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "1", "in", "in:", "in:-1", "in:1.5", "in:\u0661", "up:1", "IN:1", "in:" + "9" * 19]
)
def test_what_is_no_id_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"they look like in:17 and out:4"):
        ItemId.parse(text)
