"""What becomes of the journal's SQL for PostgreSQL."""

from __future__ import annotations

from uuid import UUID

import pytest

from wa_worker.postgres.dialect import _OWNER, translate, translator

ME = UUID(int=7)


@pytest.mark.parametrize(
    ("query", "becomes"),
    [
        ("SELECT a FROM t WHERE b = ? AND c = ?", "SELECT a FROM t WHERE b = %s AND c = %s"),
        ("SELECT :a_b, '?' || ':c' || 'it''s %'", "SELECT %(a_b)s, '?' || ':c' || 'it''s %%'"),
        ("SELECT a::text FROM t WHERE a % 2 = 0", "SELECT a::text FROM t WHERE a %% 2 = 0"),
        ("SELECT a FROM t INDEXED BY t_a WHERE a", "SELECT a FROM t WHERE a"),
        ("SELECT a FROM t\n  INDEXED BY t_a, u", "SELECT a FROM t, u"),
        ("SELECT a /* why? */ FROM t WHERE due /* postgres: = 1 */", "SELECT a  FROM t WHERE due = 1"),
        ("SELECT a FROM t LIMIT ? /* postgres: FOR UPDATE */", "SELECT a FROM t LIMIT %s FOR UPDATE"),
    ],
)
def test_what_differs(query: str, becomes: str) -> None:
    assert translate(query, ME) == becomes


def test_a_worker_sees_its_own_rows_and_a_tool_all() -> None:
    query = "SELECT a FROM t WHERE a > ? /* owned: t.instance */ LIMIT 1"
    assert translate(query, ME) == (
        "SELECT a FROM t WHERE a > %s AND (t.instance IN (SELECT i.id FROM wa.instances AS i"
        f" WHERE {_OWNER} = '{ME}')) IS TRUE LIMIT 1"
    )
    assert translate(query, None) == "SELECT a FROM t WHERE a > %s  LIMIT 1"


def test_a_marker_that_is_misspelt_hides_nothing_in_silence() -> None:
    with pytest.raises(ValueError, match="owned cat"):
        translate("SELECT a FROM t WHERE a /* owned cat: a */", ME)


def test_each_statement_is_translated_once() -> None:
    translated = translator(ME)
    assert translated("SELECT ?, 1") is translated("SELECT ?, 1")
