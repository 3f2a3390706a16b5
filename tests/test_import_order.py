"""Imports go one way, and what must stay in one place stays there.

A package may import only what stands before it in LAYERS: ground modules and packages. Inside a package, and inside
`dev/`, the files may stand in any order that has no circle. Imports inside functions count; those for type checkers do
not.
`dev/` may import everything and is imported by nothing but, inside a function, the command line.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import attrs
import pytest

import wa_worker

PACKAGE = Path(wa_worker.__file__).parent

ORDER = """
    __init__ models durable messages errors backoff wakeup circuit_breaker jid postgres config advice logs states
    ownership volume journal metrics edge whatsapp delivery instances monitoring backup
    transfer admin app process check cli __main__
"""
LAYERS = ORDER.split()
RANK = {name: rank for rank, name in enumerate(LAYERS)}

MOST_GROUND_MODULES = 14
"""Modules directly in `wa_worker/`, besides `__init__` and `__main__`: more of them, and the folder says nothing."""

LONGEST = 300
"""Lines of a file: a longer one has a second idea in it."""

MOST_PARAMETERS = 7
"""Of a function: who needs more wants an object."""

READS_ENVIRONMENT = {"config", "process", "cli.commands"}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


@attrs.frozen
class Import:
    """An import statement's target: `name` as written in full, `line` where, `nested` if within a function."""

    name: str
    line: int
    nested: bool


def module_name(file: Path) -> str:
    """`journal/inbox.py` is `journal.inbox`, `journal/__init__.py` is `journal`, the package itself `__init__`."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    if len(parts) > 1 and parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(parts)


FILES = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(file.read_text("utf-8")) for name, file in FILES.items()}
OURS = [name for name in FILES if not name.startswith("dev")]


def layer(name: str) -> str:
    """`whatsapp.session` stands in the layer `whatsapp`."""
    return name.split(".")[0]


def short(name: str) -> str:
    """`wa_worker.journal` is `journal` here."""
    return name.removeprefix("wa_worker").removeprefix(".") or "__init__"


def imports_of(module: str) -> list[Import]:
    return list(_imports(module, TREES[module], nested=False))


def _imports(module: str, node: ast.AST, *, nested: bool) -> Iterator[Import]:
    match node:
        case ast.Import(names=names):
            yield from (Import(alias.name, node.lineno, nested) for alias in names)
        case ast.ImportFrom(names=names):
            source = _source(module, node)
            for alias in names:
                submodule = f"{source}.{alias.name}"
                yield Import(submodule if short(submodule) in FILES else source, node.lineno, nested)
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=orelse):
            for statement in orelse:
                yield from _imports(module, statement, nested=nested)
        case _:
            inner = nested or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from _imports(module, child, nested=inner)


def _source(module: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = ["wa_worker", *module.split(".")]
    if FILES[module].name != "__init__.py":
        package.pop()
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


def ours(module: str) -> list[Import]:
    """Its imports of this project's modules."""
    return [found for found in imports_of(module) if found.name.split(".")[0] == "wa_worker"]


def test_every_module_has_its_place() -> None:
    found = {layer(name) for name in OURS}
    assert not found - RANK.keys(), "put each in LAYERS, behind all that it imports and before all that import it"
    assert not RANK.keys() - found, "in LAYERS, but not in the package: remove them"
    assert len(RANK) == len(LAYERS), "a name is in LAYERS twice"


@pytest.mark.parametrize("module", OURS)
def test_imports_go_up_only(module: str) -> None:
    wrong = [
        f"{FILES[module].relative_to(PACKAGE)}:{found.line} imports {short(found.name)}, which stands behind it"
        for found in ours(module)
        if not short(found.name).startswith("dev")
        and layer(short(found.name)) != layer(module)
        and RANK[layer(short(found.name))] >= RANK[layer(module)]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports of a package's names count for its `__init__`, not for all that is in it."""
    graph = {name: {short(found.name) for found in ours(name)} - {name} for name in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(reversed(error.args[1]))}")


@pytest.mark.parametrize("module", OURS)
def test_development_code_is_not_imported_by_what_runs(module: str) -> None:
    dev = [found for found in imports_of(module) if found.name.startswith("wa_worker.dev")]
    wrong = [found for found in dev if module != "cli.commands" or not found.nested]
    assert not wrong, f"{module}: only the command line may import wa_worker.dev, and only inside a function: {wrong}"


@pytest.mark.parametrize("module", [name for name in OURS if layer(name) != "whatsapp"])
def test_only_whatsapp_knows_neonize(module: str) -> None:
    wrong = [found for found in imports_of(module) if found.name.split(".")[0] == "neonize"]
    assert not wrong, f"{module}: go through wa_worker.whatsapp instead: {wrong}"


@pytest.mark.parametrize("module", [name for name in OURS if name not in READS_ENVIRONMENT])
def test_the_environment_is_read_in_one_place(module: str) -> None:
    lines = [
        node.lineno
        for node in ast.walk(TREES[module])
        if (isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT and isinstance(node.value, ast.Name))
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and {a.name for a in node.names} & ENVIRONMENT)
    ]
    assert not lines, f"{module} touches os.environ at lines {lines}: make it a setting (config.py) or an argument"


def test_few_modules_lie_outside_the_packages() -> None:
    ground = {name for name in OURS if "." not in name and FILES[name].name != "__init__.py"} - {"__main__"}
    assert len(ground) <= MOST_GROUND_MODULES, sorted(ground)


@pytest.mark.parametrize("module", FILES)
def test_a_file_has_one_idea_and_a_function_few_parameters(module: str) -> None:
    assert len(FILES[module].read_text("utf-8").splitlines()) <= LONGEST
    many = [
        f"{node.name}:{node.lineno}"
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _parameters(node) > MOST_PARAMETERS
    ]
    assert not many, f"more than {MOST_PARAMETERS} parameters: {many}"


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = node.args
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def test_the_package_itself_is_found() -> None:
    """A checker that sees nothing would pass."""
    assert {"app", "journal.inbox", "whatsapp.session", "dev.proxy.server"} <= FILES.keys()
    assert Import("wa_worker.cli.commands", 1, True) in [attrs.evolve(i, line=1) for i in imports_of("__main__")]
    assert "wa_worker.dev.proxy.store" in {found.name for found in imports_of("dev.proxy.server")}
    assert "neonize.client" in {found.name for found in imports_of("whatsapp.client")}
    assert not [found for found in imports_of("logs") if found.name.startswith("structlog.typing")]
