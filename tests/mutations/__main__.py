"""The command line of the mutations: `python -m tests.mutations`."""

from __future__ import annotations

import argparse
import random
import sys

from tests.mutations.run import run
from tests.mutations.tables import all_mutations


def main() -> int:
    """Returns 1 if a mutation survived, 2 if the table is wrong, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--sample", type=int, metavar="N", help="only N of them, drawn by the seed")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="which ones are drawn (default: 0)")
    parser.add_argument("--only", metavar="ID", nargs="+", help="only these; a `*` at the end stands for any rest")
    parser.add_argument("--list", action="store_true", help="show them and put none in")
    options = parser.parse_args()
    chosen = list(all_mutations())
    if options.only:
        chosen = [each for each in chosen if any(_means(pattern, each.id) for pattern in options.only)]
    if options.sample is not None:
        chosen = random.Random(options.seed).sample(chosen, min(options.sample, len(chosen)))
    if options.list:
        for mutation in chosen:
            print(f"{mutation.id:32}  {mutation.file:28}  {mutation.promise}")
        return 0
    survivors, mistakes = run(chosen)
    print(f"{len(chosen)} mutations, {len(survivors)} survived" + (f", {len(mistakes)} mistakes" if mistakes else ""))
    return 2 if mistakes else 1 if survivors else 0


def _means(pattern: str, mutation_id: str) -> bool:
    return mutation_id.startswith(pattern[:-1]) if pattern.endswith("*") else mutation_id == pattern


if __name__ == "__main__":
    sys.exit(main())
