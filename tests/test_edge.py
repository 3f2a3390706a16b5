"""What of a proxy's answer may be logged (P8)."""

from __future__ import annotations

import json

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_worker.edge import quotable

HIDDEN = "it quotes the request"
BODY = "Olá, o código é 774411.\nNão conte a ninguém!"


@attrs.frozen
class Answer:
    text: str
    shown: str


ANSWERS = [
    Answer('{"error": "no such table"}', '{"error": "no such table"}'),
    Answer("", ""),
    Answer("  a \n  b ", "a b"),
    Answer(f"refused: {BODY}", HIDDEN),
    Answer(json.dumps({"error": "refused", "row": {"body": BODY}}), HIDDEN),
    Answer(json.dumps({"row": {"body": BODY}}, ensure_ascii=False), HIDDEN),
    Answer(f"too long: {BODY[:12]}...", HIDDEN),
    Answer(f"...{BODY[20:32]}", HIDDEN),
    Answer("Bearer hush-hush-42", HIDDEN),
    Answer("body must not be 'oi'", HIDDEN),
    Answer("x" * 300, "x" * 200),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.text[:30])
def test_an_answer_is_shown_unless_it_quotes(answer: Answer) -> None:
    assert quotable(answer.text.encode(), [None, "", BODY, "oi", "hush-hush-42"]) == answer.shown


@given(st.text(min_size=8), st.integers(0), st.text(max_size=20))
def test_no_eight_characters_of_a_body_are_shown(body: str, start: int, around: str) -> None:
    body = " ".join(body.split())
    quote = body[start % max(len(body) - 7, 1) :][:8]
    if len(quote) == 8 and quote == quote.strip():
        assert quote not in quotable(f"{around} {quote}".encode(errors="replace"), [body]) or "\ufffd" in quote
