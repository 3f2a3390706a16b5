"""The runner of the mutations, with a program of three lines."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from tests.mutations.__main__ import main
from tests.mutations.mutation import Mutation

PROGRAM = """\
def double(number):
    return number + number
"""
TESTS = """\
import pytest
from wa_worker.calculator import double

def test_two():
    assert double(2) == 4

def test_that_sees_nothing():
    double(2)

def test_that_fails_anyway():
    raise AssertionError

@pytest.mark.skip
def test_that_needs_another_machine():
    pass
"""

SQUARE = Mutation("square", "calculator.py", "number + number", "number ** number", "P0", "test_it.py::test_two")
TRIPLE = attrs.evolve(SQUARE, id="triple", after="3 * number")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree like this one."""
    for folder in ("wa_worker", "tests"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "wa_worker" / "calculator.py").write_text(PROGRAM)
    (tmp_path / "tests" / "test_it.py").write_text(TESTS)
    return tmp_path


def test_what_a_test_notices_is_well(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], [TRIPLE], root) == 0
    said = capsys.readouterr().out
    assert "[1/1] noticed   triple  (test_it.py::test_two)" in said
    assert said.endswith("1 mutations, 0 survived\n")
    assert (root / "wa_worker" / "calculator.py").read_text() == PROGRAM, "it was put into a copy"


def test_a_survivor_ends_it_with_1_after_the_others(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two to the power of two is four: the test is not good enough."""
    assert main(["--jobs", "1"], [SQUARE, TRIPLE], root) == 1
    said = capsys.readouterr().out
    assert "SURVIVED  square: wa_worker/calculator.py, P0" in said
    assert "noticed   triple" in said, "and the one before it was taken out again"


@attrs.frozen
class Mistake:
    mutation: Mutation
    says: str


MISTAKES = [
    Mistake(
        attrs.evolve(TRIPLE, before="number - number"), "triple: its text stands 0 times in wa_worker/calculator.py"
    ),
    Mistake(
        attrs.evolve(TRIPLE, before="number", after="n"), "triple: its text stands 3 times in wa_worker/calculator.py"
    ),
    Mistake(attrs.evolve(TRIPLE, after="number + number"), "triple: it changes nothing"),
    Mistake(attrs.evolve(TRIPLE, after="number +"), "triple: what comes of it is no Python"),
    Mistake(attrs.evolve(TRIPLE, test="test_it.py::test_that_fails_anyway"), "fails without a mutation"),
    Mistake(attrs.evolve(TRIPLE, test="test_it.py::test_nowhere"), "fails without a mutation"),
    Mistake(attrs.evolve(TRIPLE, before="def double", after="def treble"), "triple: pytest ended with"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.says)
def test_what_says_nothing_of_a_test_ends_it_with_2(
    root: Path, capsys: pytest.CaptureFixture[str], mistake: Mistake
) -> None:
    assert main([], [mistake.mutation], root) == 2
    assert mistake.says in capsys.readouterr().out


def test_a_test_that_is_skipped_is_no_verdict(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], [attrs.evolve(TRIPLE, test="test_it.py::test_that_needs_another_machine")], root) == 0
    assert "1 mutations, 0 survived, 1 skipped" in capsys.readouterr().out


def test_one_that_makes_a_test_hang_is_noticed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    endless = attrs.evolve(TRIPLE, before="return number", after="while True: pass\n    return number")
    assert main(["--longest", "4"], [endless], root) == 0
    assert "noticed   triple" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ([], ["square", "triple"]),
        (["--only", "tri*"], ["triple"]),
        (["--only", "square", "other"], ["square"]),
        (["--file", "calc"], ["square", "triple"]),
        (["--file", "journal/"], []),
        (["--sample", "1", "--seed", "4"], ["square"]),
    ],
)
def test_which_are_put_in(capsys: pytest.CaptureFixture[str], arguments: list[str], chosen: list[str]) -> None:
    assert main([*arguments, "--list"], [SQUARE, TRIPLE]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said if "calculator.py" in line] == chosen


def test_nothing_to_put_in_is_a_wrong_call() -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nothing"], [SQUARE])
