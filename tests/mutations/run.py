"""Puts mutations into a copy of the program one by one, and runs the test that must notice each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mutations.mutation import Mutation

ROOT = Path(__file__).parents[2]
LONGEST = 300
"""Seconds for one test: a mutation that makes it hang is noticed, too."""

PASSED, FAILED = 0, 1
"""How pytest ends when all tests passed, and when one failed; anything else is a mistake in the table."""


class TableError(Exception):
    """A mutation that cannot be put in, or whose test is not there."""


def mutated(text: str, mutation: Mutation) -> str:
    """Gives the text of the file with the mutation in it. Raises TableError unless its place is there exactly once."""
    found = text.count(mutation.before)
    if found != 1:
        raise TableError(f"{mutation.id}: its text stands {found} times in wa_worker/{mutation.file}, not once")
    return text.replace(mutation.before, mutation.after)


@contextmanager
def copy_of_the_tree() -> Iterator[Path]:
    """Gives a folder with the program and the tests as they are now: the tree itself is never touched."""
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        copy = Path(folder) / "tree"
        unwanted = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "*.egg-info")
        shutil.copytree(ROOT, copy, ignore=unwanted, symlinks=True)
        yield copy


def _pytest(tree: Path, test: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", f"tests/{test}"]
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
    )


def survives(mutation: Mutation, tree: Path) -> bool:
    """Tells whether the test passes in spite of the mutation. Raises TableError if it cannot be told."""
    path = tree / "wa_worker" / mutation.file
    original = path.read_text()
    path.write_text(mutated(original, mutation))
    try:
        result = _pytest(tree, mutation.test)
    except subprocess.TimeoutExpired:
        return False
    finally:
        path.write_text(original)
    if result.returncode not in (PASSED, FAILED):
        raise TableError(
            f"{mutation.id}: pytest ended with {result.returncode}:\n{result.stdout[-2000:]}{result.stderr[-2000:]}"
        )
    return result.returncode == PASSED


def run(mutations: Iterable[Mutation]) -> tuple[list[Mutation], list[str]]:
    """Runs them all, a line each. Returns those that survived, and what is wrong with the table."""
    survivors: list[Mutation] = []
    mistakes: list[str] = []
    with copy_of_the_tree() as tree:
        for mutation in mutations:
            try:
                survived = survives(mutation, tree)
            except TableError as error:
                mistakes.append(str(error))
                print(f"MISTAKE   {error}", flush=True)
                continue
            if survived:
                survivors.append(mutation)
            print(f"{'SURVIVED' if survived else 'noticed '}  {mutation.id}  ({mutation.test})", flush=True)
    return survivors, mistakes
