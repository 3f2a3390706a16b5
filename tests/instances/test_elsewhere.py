"""What is shown of an instance of another worker."""

from __future__ import annotations

import time

import pytest

from wa_worker.instances.elsewhere import shown
from wa_worker.journal import Change, Elsewhere

HELD = Change(5.0, "held", "banned", 99, "code 101")


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (Elsewhere(None), ("unowned", "unowned", None)),
        (Elsewhere(None, 3.0, Change(5.0, "connected", "connected")), ("unowned", "unowned", 5.0)),
        (Elsewhere("b", 3.0, HELD), ("held", "banned", 5.0)),
        (Elsewhere("b", 3.0, Change(5.0, "ended", "handed_over")), ("opening", "opening", 3.0)),
        (Elsewhere("b", 3.0), ("opening", "opening", 3.0)),
    ],
    ids=["new", "nobody's", "held", "handed over", "taken the first time"],
)
def test_its_last_change_says_it_unless_that_was_its_last_workers(
    each: Elsewhere, expected: tuple[str, str, float | None]
) -> None:
    now = shown(each)
    assert (now.state, now.reason) == expected[:2]
    assert now.since == expected[2] or (expected[2] is None and time.time() - now.since < 5)


def test_what_it_is_held_for_is_told() -> None:
    now = shown(Elsewhere("b", 3.0, HELD))
    assert (now.until, now.detail, now.logged_out) == (99, "code 101", False)
    assert shown(Elsewhere("b", 3.0, Change(5.0, "pairing", "logged_out"))).logged_out
