"""How `wa-worker check` says what it found."""

from __future__ import annotations

import errno

import click

from wa_worker.check.result import Grade, Result, fail, lines, not_checked, ok, quoted, reason, warn


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
        "1 passed, 0 warnings, 1 failed",
    ]


def test_the_last_line_counts_them() -> None:
    good, unwise, bad = ok("a", "x"), warn("b", "x", "y"), fail("c", "x", "y")
    *_, last = lines([good] * 12 + [unwise])
    assert last == "12 passed, 1 warning, 0 failed"
    *_, last = lines([good, unwise, unwise, bad, not_checked("d", "c failed")])
    assert last == "1 passed, 2 warnings, 1 failed, 1 not checked"


def test_colours_are_for_the_grade_alone() -> None:
    plain, coloured = (list(lines([fail("a", "x", "y"), ok("b", "x")], colour=colour)) for colour in (False, True))
    assert [click.unstyle(line) for line in coloured] == plain
    assert coloured[0].startswith("\x1b[31mfail\x1b[0m  a")
