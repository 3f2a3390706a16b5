"""All mutations, by the part of the program that they are put into."""

from __future__ import annotations

import importlib
import pkgutil

import tests.mutations.table
from tests.mutations.mutation import Mutation


def all_mutations() -> tuple[Mutation, ...]:
    """Gives the mutations of each module in `table/`, in the order of their names."""
    modules = sorted(module.name for module in pkgutil.iter_modules(tests.mutations.table.__path__))
    found = [importlib.import_module(f"tests.mutations.table.{name}").MUTATIONS for name in modules]
    return tuple(mutation for table in found for mutation in table)
