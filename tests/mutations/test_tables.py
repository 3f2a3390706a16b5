"""The tables stay true: each mutation has its place in the program, and its test is there."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.mutations.mutation import Mutation
from tests.mutations.run import ROOT
from tests.mutations.tables import all_mutations
from tests.mutations.tree import mutated

TABLE = all_mutations()


@cache
def names_of_tests(file: Path) -> frozenset[str]:
    """The names of the tests in a file."""
    return frozenset(
        node.name
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_each_has_an_id_of_its_own() -> None:
    assert [name for name, many in Counter(mutation.id for mutation in TABLE).items() if many > 1] == []


@pytest.mark.parametrize("mutation", TABLE, ids=lambda mutation: mutation.id)
def test_its_place_and_its_test_are_there(mutation: Mutation) -> None:
    mutated((ROOT / "wa_worker" / mutation.file).read_text("utf-8"), mutation)
    file, _, test = mutation.test.partition("::")
    names = names_of_tests(ROOT / "tests" / file)
    assert not test or test.partition("[")[0] in names
    assert mutation.promise
