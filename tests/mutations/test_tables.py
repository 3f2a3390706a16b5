"""The tables stay true: each mutation has its place in the program, and its test is there."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from functools import cache

from tests.mutations.run import ROOT
from tests.mutations.tables import all_mutations
from tests.mutations.tree import TableError, mutated

TABLE = all_mutations()


@cache
def text_of(path: str) -> str:
    """The text of a file below the root, read once; empty if it is not there."""
    file = ROOT / path
    return file.read_text("utf-8") if file.is_file() else ""


@cache
def names_of_tests(path: str) -> frozenset[str]:
    """The names of the tests in a file."""
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)\(", text_of(path), re.MULTILINE))


def test_each_has_an_id_of_its_own_and_a_promise() -> None:
    assert [name for name, many in Counter(mutation.id for mutation in TABLE).items() if many > 1] == []
    assert [mutation.id for mutation in TABLE if not mutation.promise] == []


def test_each_has_its_place_and_no_two_do_the_same() -> None:
    mistakes: list[str] = []
    ids: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for mutation in TABLE:
        try:
            changed = mutated(text_of(f"wa_worker/{mutation.file}"), mutation)
        except TableError as error:
            mistakes.append(str(error))
        else:
            ids[mutation.file, changed].append(mutation.id)
    mistakes += [f"{' and '.join(same)} do the same to wa_worker/{file}" for (file, _), same in ids.items() if same[1:]]
    assert not mistakes, "\n".join(mistakes)


def test_each_names_a_test_that_is_there() -> None:
    missing: list[str] = []
    for mutation in TABLE:
        file, _, test = mutation.test.partition("::")
        names = names_of_tests(f"tests/{file}")
        if not names or (test and test.partition("[")[0] not in names):
            missing.append(f"{mutation.id}: {mutation.test}")
    assert not missing, "\n".join(missing)
