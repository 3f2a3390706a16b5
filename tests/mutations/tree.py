"""A copy of the program and its tests, into which mutations are put one after the other: the tree stays as it is."""

from __future__ import annotations

import compileall
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from py_compile import PycInvalidationMode

import attrs

from tests.mutations.mutation import Mutation

PASSED, FAILED = 0, 1
"""How pytest ends when all tests passed, and when one failed; anything else is a mistake in the table."""

PYTEST = ["-m", "pytest", "-q", "-p", "pytest_trio.plugin", "-p", "no:cacheprovider", "-o", "addopts=--strict-markers"]
"""One process and no plugin but the one that the tests need: to load the others takes longer than most of the tests."""


class TableError(Exception):
    """A mutation that cannot be put in, or whose test is not there."""


@attrs.frozen
class Outcome:
    """Describes what a run of tests came to. `code` is pytest's; None: it did not end in time."""

    code: int | None
    output: str

    @property
    def skipped(self) -> bool:
        """Says whether no test was run: one that is skipped here is no verdict."""
        return self.code == PASSED and re.search(r"\d+ passed", self.output) is None

    @property
    def failed_tests(self) -> frozenset[str]:
        """Returns the files and names of the tests that failed, as pytest calls them."""
        return frozenset(re.findall(r"^(?:FAILED|ERROR) tests/(\S+)", self.output, re.MULTILINE))


@attrs.frozen
class Tree:
    """A copy of the tree, for one test process at a time."""

    path: Path

    def test(self, tests: Sequence[str], longest: float) -> Outcome:
        """Runs tests, and ends all processes that they leave. `longest`: seconds after which it gives up."""
        environment = {"PYTHONPATH": str(self.path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        process = subprocess.Popen(
            [sys.executable, *PYTEST, "-rfE", *(f"tests/{test}" for test in tests)],
            cwd=self.path,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=longest)
        except subprocess.TimeoutExpired:
            return Outcome(None, "")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        return Outcome(process.returncode, output)

    def test_mutated(self, mutation: Mutation, longest: float) -> Outcome:
        """Runs the mutation's test with the mutation in its place. Raises TableError if it cannot be put in."""
        path = self.path / "wa_worker" / mutation.file
        original = path.read_text("utf-8")
        path.write_text(mutated(original, mutation), "utf-8")
        try:
            return self.test([mutation.test], longest)
        finally:
            path.write_text(original, "utf-8")


def mutated(text: str, mutation: Mutation) -> str:
    """Returns the text of the file with the mutation in it.

    Raises TableError unless its place is there exactly once, and what comes of it is still a program.
    """
    found = text.count(mutation.before)
    if found != 1:
        raise TableError(f"{mutation.id}: its text stands {found} times in wa_worker/{mutation.file}, not once")
    changed = text.replace(mutation.before, mutation.after)
    if changed == text:
        raise TableError(f"{mutation.id}: it changes nothing")
    if mutation.file.endswith(".py"):
        try:
            compile(changed, mutation.file, "exec")
        except SyntaxError as error:
            raise TableError(f"{mutation.id}: what comes of it is no Python: {error}") from error
    return changed


UNWANTED = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "mutants", "*.egg-info")


@contextmanager
def copies(root: Path, many: int) -> Iterator[Sequence[Tree]]:
    """Makes copies of the tree at `root`, and removes them at the end."""
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        trees = [Tree(Path(folder) / str(number)) for number in range(many)]
        for tree in trees:
            shutil.copytree(root, tree.path, ignore=UNWANTED, symlinks=True)
            # compared by content: a file that was changed and changed back within a second has the same time and size
            for package in ("wa_worker", "tests"):
                compileall.compile_dir(tree.path / package, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
        yield trees
