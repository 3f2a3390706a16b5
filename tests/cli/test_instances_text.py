"""How instances look on a terminal."""

from __future__ import annotations

from typing import Any

from wa_worker.cli import instances_text as text

NOW = 1_764_100_000.0


def _row(**fields: Any) -> dict[str, Any]:
    return {
        "id": "shop",
        "state": "connected",
        "because": "connected",
        "detail": "",
        "reason": "connected",
        "logged_out": False,
        "since": NOW - 60,
        "until": None,
        "number": None,
        "last_in": None,
        "last_out": NOW - 3600,
        "backlog": {"to_deliver": 1, "to_send": 2, "to_report": 0},
        **fields,
    }


def test_what_comes_from_outside_cannot_steer_the_terminal_or_break_the_table() -> None:
    row = _row(id="x" * 128, reason="\x1b[2J" + "y" * 200, number="\r9")
    heading, line = text.lines([row], NOW, colour=False)
    assert max(len(heading), len(line)) <= 100
    assert "\x1b" not in line + "".join(text.details(row, NOW)) + text.change(row, "a\x1b", NOW)


def test_trouble_is_red_on_a_terminal_and_nothing_else_is() -> None:
    rows = [_row(state="held", reason="banned"), _row()]
    heading, held, well = text.lines(rows, NOW, colour=True)
    assert held.startswith("\x1b[31m")
    assert "\x1b" not in heading + well
    assert not any("\x1b" in line for line in text.lines(rows, NOW, colour=False))


def test_the_line_says_what_waits_and_until_when() -> None:
    (_, line) = text.lines([_row(state="held", reason="banned", until=NOW + 7200)], NOW, colour=False)
    assert line.split() == ["shop", "held", "1", "m", "-", "-", "1", "h", "3", "banned,", "for", "2", "h"]
    assert text.why(_row(state="pairing", reason="scan", logged_out=True), NOW) == "logged_out: scan"


def test_the_last_changes_are_shown_if_the_worker_tells_of_them() -> None:
    changes = [
        {"at": NOW, "state": "held", "reason": "banned", "detail": "code 101"},
        {"at": NOW - 9, "state": "opening"},
    ]
    lines = list(text.details(_row(changes=changes), NOW))
    assert lines[-3:] == [
        "  last changes",
        "    2025-11-25 19:46:40 UTC  held banned code 101",
        "    2025-11-25 19:46:31 UTC  opening",
    ]
    assert "  last changes" not in text.details(_row(), NOW)


def test_a_state_that_this_version_does_not_know_is_trouble_and_no_error() -> None:
    rows = [_row(), _row(id="new", state="hibernating")]
    assert [row["id"] for row in text.ordered(rows)] == ["new", "shop"]
    assert text.summary(rows) == "2 instances: 1 hibernating, 1 connected"


def test_where_there_are_several_workers_it_is_said_whose_each_is() -> None:
    rows = [_row(id="a", worker="host 1a2b3c4d"), _row(id="b", worker=None, state="unowned", reason="unowned")]
    heading, mine, nobodys = text.lines(rows, NOW, colour=False)
    assert heading.split()[:3] == ["INSTANCE", "STATE", "WORKER"]
    assert "host 1a2b3c4d" in mine
    assert nobodys.split()[:3] == ["b", "unowned", "-"]
    assert [row["id"] for row in text.chosen(rows, (), trouble=False, worker="1a2b")] == ["a"]
    assert [row["id"] for row in text.chosen(rows, (), trouble=False)] == ["b", "a"], "nobody's is trouble"
    assert [row["id"] for row in text.chosen(rows, ("unowned",), trouble=True)] == ["b"]
    assert "  worker        host 1a2b3c4d" in text.details(rows[0], NOW)
    assert "WORKER" not in next(text.lines([_row()], NOW, colour=False))
