"""docs/operations.md: the tests that its table of what grows names are there."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "operations.md"


def test_what_grows_names_tests_that_exist() -> None:
    section = PAGE.read_text("utf-8").partition("### What grows, and until when")[2].partition("\nTo forget")[0]
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \|(?: `([^`]+)`)? \|$", section, re.MULTILINE)
    assert len(rows) > 15
    for name in filter(None, rows):
        file, _, function = name.partition("::")
        assert re.search(rf"^(async )?def {function}\(", (TESTS / file).read_text("utf-8"), re.MULTILINE), name
