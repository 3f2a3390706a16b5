"""Puts mutations in one by one, and runs the test that must notice each."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs

from tests.mutations.mutation import Mutation
from tests.mutations.tree import FAILED, PASSED, TableError, Tree, copies

ROOT = Path(__file__).parents[2]

LONGEST = 90.0
"""Seconds for one test: a mutation that makes it hang is noticed, too."""


@attrs.define
class Result:
    """Says what became of the mutations. `mistakes`: what is wrong with the table, in words."""

    survivors: list[Mutation] = attrs.Factory(list)
    skipped: list[Mutation] = attrs.Factory(list)
    """Those whose test is not run on this machine."""
    mistakes: list[str] = attrs.Factory(list)

    @property
    def exit_code(self) -> int:
        return 2 if self.mistakes else 1 if self.survivors else 0


class _Run:
    def __init__(self, trees: Sequence[Tree], many: int, longest: float) -> None:
        self.result = Result()
        self._many = many
        self._longest = longest
        self._done = 0
        self._lock = threading.Lock()
        self._trees: queue.SimpleQueue[Tree] = queue.SimpleQueue()
        for tree in trees:
            self._trees.put(tree)

    def one(self, mutation: Mutation) -> None:
        tree = self._trees.get()
        began = time.monotonic()
        try:
            said = self._judge(mutation, tree)
        except TableError as error:
            self.result.mistakes.append(str(error))
            said = f"MISTAKE   {error}"
        finally:
            self._trees.put(tree)
        with self._lock:
            self._done += 1
            width = len(str(self._many))
            print(f"[{self._done:{width}}/{self._many}] {said}  {time.monotonic() - began:.1f} s", flush=True)

    def _judge(self, mutation: Mutation, tree: Tree) -> str:
        outcome = tree.test_mutated(mutation, self._longest)
        about = f"{mutation.id}  ({mutation.test})"
        if outcome.skipped:
            self.result.skipped.append(mutation)
            return f"skipped   {about}"
        if outcome.code == PASSED:
            self.result.survivors.append(mutation)
            return f"SURVIVED  {about}"
        if outcome.code in (FAILED, None):
            return f"noticed   {about}"
        raise TableError(f"{mutation.id}: pytest ended with {outcome.code}:\n{outcome.output[-2000:]}")


def _failing(tests: Sequence[str], trees: Sequence[Tree], longest: float) -> set[str]:
    """Returns those of the tests that fail without any mutation: they would notice whatever one does."""
    failing: set[str] = set()

    def look(tree: Tree, mine: Sequence[str]) -> None:
        first = tree.test(mine, longest * len(mine))
        if first.code != PASSED:
            suspects = [test for test in mine if any(failed.startswith(test) for failed in first.failed_tests)]
            # once more, each alone: the machine may have been busy
            failing.update(test for test in suspects or mine if tree.test([test], longest).code != PASSED)

    shares = [tests[number :: len(trees)] for number in range(len(trees))]
    with ThreadPoolExecutor(len(trees)) as threads:
        list(
            threads.map(
                look, *zip(*((tree, mine) for tree, mine in zip(trees, shares, strict=True) if mine), strict=True)
            )
        )
    return failing


def run(mutations: Sequence[Mutation], *, root: Path = ROOT, jobs: int = 1, longest: float = LONGEST) -> Result:
    """Runs them all, `jobs` at a time, a line each. Says first which tests fail without a mutation."""
    with copies(root, jobs) as trees:
        failing = _failing(sorted({mutation.test for mutation in mutations}), trees, longest)
        this = _Run(trees, sum(mutation.test not in failing for mutation in mutations), longest)
        for test in sorted(failing):
            this.result.mistakes.append(f"{test} fails without a mutation")
            print(f"MISTAKE   {test} fails without a mutation", flush=True)
        with ThreadPoolExecutor(jobs) as threads:
            list(threads.map(this.one, [mutation for mutation in mutations if mutation.test not in failing]))
        return this.result
