"""The command line of the mutations: `python -m tests.mutations`."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.mutations.mutation import Mutation
from tests.mutations.run import LONGEST, ROOT, run
from tests.mutations.tables import all_mutations


def main(arguments: Sequence[str], table: Sequence[Mutation], root: Path = ROOT) -> int:
    """Returns 1 if a mutation survived, 2 if the table is wrong, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--sample", type=int, metavar="N", help="only N of them, drawn by the seed")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="which ones are drawn (default: 0)")
    parser.add_argument("--only", metavar="ID", nargs="+", help="only these; a `*` at the end stands for any rest")
    parser.add_argument(
        "--file", metavar="PATH", nargs="+", help="only those of these files, or folders, of wa_worker/"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many at a time (default: 2)")
    parser.add_argument(
        "--longest", type=float, default=LONGEST, metavar="S", help="seconds for one test (default: 90)"
    )
    parser.add_argument("--list", action="store_true", help="show them and put none in")
    options = parser.parse_args(arguments)
    chosen = list(table)
    if options.only:
        chosen = [each for each in chosen if any(_means(pattern, each.id) for pattern in options.only)]
    if options.file:
        chosen = [each for each in chosen if each.file.startswith(tuple(options.file))]
    if options.sample is not None:
        chosen = random.Random(options.seed).sample(chosen, min(options.sample, len(chosen)))
        print(f"{len(chosen)} of {len(table)} mutations, drawn with --seed {options.seed}", flush=True)
    if options.list:
        for mutation in chosen:
            print(f"{mutation.id:32}  {mutation.file:28}  {mutation.promise}")
        return 0
    if not chosen:
        parser.error("no mutation is called so")
    result = run(chosen, root=root, jobs=options.jobs, longest=options.longest)
    for survivor in result.survivors:
        print(f"SURVIVED  {survivor.id}: wa_worker/{survivor.file}, {survivor.promise}")
    more: list[tuple[Sequence[object], str]] = [(result.skipped, "skipped"), (result.mistakes, "mistakes")]
    counts = [f"{len(found)} {what}" for found, what in more if found]
    print(", ".join([f"{len(chosen)} mutations", f"{len(result.survivors)} survived", *counts]))
    return result.exit_code


def _means(pattern: str, mutation_id: str) -> bool:
    return mutation_id.startswith(pattern[:-1]) if pattern.endswith("*") else mutation_id == pattern


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], all_mutations()))
