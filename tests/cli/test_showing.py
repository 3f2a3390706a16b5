"""`wa-worker journal list` and `show`: what is seen, what is hidden."""

from __future__ import annotations

import json

import pytest

from tests.cli.volume import BAR, ESCAPE, PHONE, SECRET_TEXT, SHOP, Volume, message
from wa_worker.models import InstanceId


def test_list_shows_what_needs_attention_first_and_nothing_that_is_over(full: Volume) -> None:
    result = full.run("list")
    assert result.exit_code == 0
    heading, *lines = result.stdout.splitlines()
    assert heading.split() == ["ID", "STATE", "AGE", "INSTANCE", "CHAT", "MESSAGE"]
    assert [line.split()[:2] for line in lines] == [
        ["in:1", "dead"],
        ["out:6", "uncertain"],
        ["out:5", "failed"],
        ["in:2", "pending"],
        ["out:1", "waiting"],
        ["out:2", "intent"],
        ["out:3", "sent"],
    ]
    assert all(len(line) <= 100 for line in result.stdout.splitlines())


def test_an_empty_journal_lists_nothing(volume: Volume) -> None:
    assert volume.run("list").stdout == "Nothing needs attention, nothing waits.\n"
    assert volume.run("list", "--json").stdout == "[]\n"


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize("command", ["list", "show"])
def test_numbers_names_and_bodies_are_hidden_unless_asked_for(full: Volume, command: str, form: list[str]) -> None:
    what = [command, "in:1"] if command == "show" else [command]
    shy = full.run(*what, *form).stdout
    assert PHONE not in shy
    assert "***0002" in shy
    assert "Ana Maria" not in shy
    assert "poison" not in shy
    open_ = full.run(*what, *form, "--numbers").stdout
    assert PHONE in open_
    assert "poison" not in open_
    assert ESCAPE not in shy + open_


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_show_tells_the_body_when_asked(full: Volume, form: list[str]) -> None:
    assert SECRET_TEXT in full.run("show", "in:2", "--body", *form).stdout
    hidden = full.run("show", "in:2", *form).stdout
    assert SECRET_TEXT not in hidden
    assert f"({len(SECRET_TEXT)} characters)" in hidden or f'"characters": {len(SECRET_TEXT)}' in hidden


def test_a_body_cannot_steer_the_terminal(volume: Volume) -> None:
    volume.journal.inbox.record(SHOP, message("P1", body=f"one{ESCAPE}\r\ntwo\x9b"))
    shown = volume.run("show", "in:1", "--body").stdout
    assert "\N{REPLACEMENT CHARACTER}[2J" in shown
    assert "    two" in shown.splitlines()[-1]
    assert not {"\x1b", "\r", "\x9b"} & set(shown)


def test_show_of_every_state(full: Volume) -> None:
    shown = {row: full.run("show", row) for row in [f"in:{n}" for n in (1, 2, 3)] + [f"out:{n}" for n in range(1, 7)]}
    assert all(result.exit_code == 0 for result in shown.values())
    assert "refused       3 times" in shown["in:1"].stdout
    assert "(the proxy has it)" in shown["in:3"].stdout
    assert "(in the proxy's queue)" in shown["out:5"].stdout
    assert "will be told" in shown["out:5"].stdout
    assert "WhatsApp id   3EB0" in shown["out:4"].stdout


def test_list_filters_by_state_and_instance_and_limit(full: Volume) -> None:
    full.dead("D2", instance=BAR)
    assert [row["id"] for row in full.rows("--state", "dead", "--state", "failed")] == ["in:1", "in:4", "out:5"]
    assert [row["id"] for row in full.rows("--instance", "bar")] == ["in:4"]
    assert full.rows("--instance", "nobody") == []
    limited = full.run("list", "--limit", "2", "--json")
    assert [row["id"] for row in json.loads(limited.stdout)] == ["in:1", "in:4"]
    assert "more than 2" in limited.stderr
    assert full.run("list", "--limit", "8").stderr == ""


def test_json_is_an_array_with_a_line_a_message(full: Volume) -> None:
    first, *lines, last = full.run("list", "--json").stdout.splitlines()
    assert (first, last) == ("[", "]")
    rows = [json.loads(line.removesuffix(",")) for line in lines]
    assert rows == [{**row, "age_seconds": other["age_seconds"]} for row, other in zip(full.rows(), rows, strict=True)]
    assert [row["message_id"] for row in rows if row["state"] == "failed"] == [4]


def test_long_words_are_cut_to_the_table(volume: Volume) -> None:
    volume.dead("D1", instance=InstanceId("i" * 128), error="e" * 400)
    line = volume.run("list").stdout.splitlines()[1]
    assert len(line) == 100
    assert line.endswith("\N{HORIZONTAL ELLIPSIS}")
    assert "e" * 400 in volume.run("show", "in:1").stdout
