"""How `wa-worker check` says what it found."""

from __future__ import annotations

import errno

from wa_worker.check.result import Grade, Result, lines, quoted, reason


def test_why_several_addresses_failed() -> None:
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Error connecting to ('127.0.0.1', 1): Connection refused")
    unreachable = OSError(errno.ENETUNREACH, "x")
    both = OSError("all attempts failed")
    both.__cause__ = ExceptionGroup("all", [refused, unreachable, refused])
    assert reason(both) == "Connection refused, Network is unreachable"


def test_a_line_is_one_line() -> None:
    result = Result("volume", Grade.FAIL, quoted("two\nlines \x07"), "do this")
    assert list(lines([result, Result("lock", Grade.OK, "free")])) == [
        "fail  volume  two lines",
        "              -> do this",
        "ok    lock    free",
    ]
