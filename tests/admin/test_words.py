"""Every reason, step, state and text has words in both languages, and the browser's language decides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

import wa_worker.admin
from wa_worker.admin import words
from wa_worker.admin.routes import NOTES
from wa_worker.admin.rows import Group
from wa_worker.admin.texts import TEXTS, language_of, moment, span, text
from wa_worker.admin.words import BY, REASONS, STATES, STEPS, Language, word
from wa_worker.instances.history import ENDED, HANDED_OVER, LET_GO, TAKEN_UP, By
from wa_worker.models import NextStep, Reason
from wa_worker.states import UNOWNED, State

FOLDER = Path(wa_worker.admin.__file__).parent
TABLES = {"TEXTS": TEXTS, "REASONS": REASONS, "STEPS": STEPS, "STATES": STATES, "BY": BY}
ALIKE = {("by", "Por"), ("QR code", "QR code"), ("WhatsApp", "o WhatsApp")}


@pytest.mark.parametrize("table", TABLES)
def test_each_language_has_each_text_and_they_differ(table: str) -> None:
    for key, pair in TABLES[table].items():
        assert len(pair) == len(Language), key
        assert all(each.strip() for each in pair), key
        assert pair[0] != pair[1] or pair in ALIKE, key
        assert pair[0].count("{}") == pair[1].count("{}"), key


def test_whatever_may_be_said_has_words() -> None:
    assert REASONS.keys() == {*Reason, LET_GO, TAKEN_UP, HANDED_OVER, UNOWNED}
    assert STEPS.keys() == set(NextStep)
    assert STATES.keys() == {state.name.lower() for state in State} | {ENDED, LET_GO, UNOWNED}
    assert BY.keys() == set(By)
    assert {*Group, *NOTES} <= TEXTS.keys()


def test_each_text_is_used_and_each_that_is_used_exists() -> None:
    sources = [file.read_text() for file in (*FOLDER.glob("templates/*.html"), *FOLDER.glob("*.py"))]
    used = {key for source in sources for key in re.findall(r'\b(?:t|text|fact)\(["\'](\w+)["\']', source)}
    used |= {key for source in sources for key in re.findall(r'ago\([^()]+, "(\w+)"\)', source)} | {"ago"}
    assert used | {*Group, *NOTES} == TEXTS.keys()


def test_what_is_not_known_is_shown_as_it_is() -> None:
    assert word(REASONS, "a_new_one", Language.PORTUGUESE) == "a new one"
    assert word(words.STEPS, NextStep.SCAN, Language.PORTUGUESE) == "ler o código com o telefone"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("pt-BR,pt;q=0.9,en;q=0.8", "pt-BR"),
        ("pt-PT", "pt-BR"),
        ("pt", "pt-BR"),
        ("en-GB,pt;q=0.9", "en"),
        ("en;q=0.1,pt;q=0.2", "pt-BR"),
        ("de,fr;q=0.9,pt;q=0.1", "pt-BR"),
        ("de", "en"),
        ("pt;q=0", "en"),
        ("ptx,<script>", "en"),
        ("*", "en"),
    ],
)
def test_the_browsers_language_decides(header: str, language: str) -> None:
    assert language_of(parse_accept_header(header, LanguageAccept)).value == language


def test_times_in_words() -> None:
    assert [span(each) for each in (-5, 0, 59.9, 60, 3599, 3600, 86_399, 86_400 * 3)] == [
        *("0 s", "0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "3 d")
    ]
    assert moment(0) == "1970-01-01 00:00:00 UTC"
    assert text("title", Language.PORTUGUESE) == "Instâncias"
