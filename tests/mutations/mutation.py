"""What a mutation is."""

from __future__ import annotations

import attrs


@attrs.frozen
class Mutation:
    """One small fault: `before` stands exactly once in `file`, and with `after` in its place `test` fails."""

    id: str
    """Short and unique, like `inbox-order`."""
    file: str
    """The path below `wa_worker/`; `../docs/x` is a file beside it."""
    before: str
    after: str
    promise: str
    """What would no longer hold: one of P1 to P8, or a row of a table in docs/, in words."""
    test: str
    """What pytest calls the test that goes red, without `tests/`: like `journal/test_inbox.py::test_x`."""
