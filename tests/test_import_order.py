"""Imports go one way (design section 5), and what must stay in one place stays there.

A module may import only modules before it in LAYERS. Imports inside functions count; those for type checkers do not.
`dev/` may import everything and is imported by nothing but, inside a function, the command line.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

import wa_worker

PACKAGE = Path(wa_worker.__file__).parent

LAYERS = """
    __init__
    models errors config jid prints logs backoff connection wire wakeup pace
    journal.database journal.holds journal.inbox journal.outbox journal.items journal.decisions journal.review
    journal.backlog journal
    metrics connections edge qr volume serving
    whatsapp.libmagic whatsapp.gate whatsapp.reach whatsapp.scouts whatsapp.client whatsapp.lifecycle whatsapp.store
    whatsapp.translate whatsapp.receiving whatsapp.session whatsapp.pairing whatsapp.pairing_host whatsapp.bridge
    whatsapp
    registry status lanes inbox telling outbox life instance discovery fleet vitals health upkeep app
    check.result check.clock check.configuration check.volume check.loading check.libraries check.route check.calling
    check.proxy check.writing check
    journal_text journal_cli cli __main__
"""
ORDER = LAYERS.split()
RANK = {name: rank for rank, name in enumerate(ORDER)}

READS_ENVIRONMENT = {"config", "cli", "__main__"}
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
OURS = [name for name in FILES if name.split(".")[0] != "dev"]


def is_dev(name: str) -> bool:
    return name.split(".")[0] == "dev"


def short(name: str) -> str:
    """`wa_worker.journal` is `journal` here."""
    return name.removeprefix("wa_worker").removeprefix(".") or "__init__"


def imports_of(module: str) -> list[Import]:
    return list(_imports(module, ast.parse(FILES[module].read_text("utf-8")), nested=False))


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


def test_every_module_has_its_place() -> None:
    unknown, gone = sorted(set(OURS) - RANK.keys()), sorted(RANK.keys() - set(OURS))
    assert not unknown, (
        f"without a place: {unknown}. Put each in LAYERS, behind all that it imports and before all that import it."
    )
    assert not gone, f"in LAYERS, but not in the package: {gone}. Remove them."
    assert len(RANK) == len(ORDER), "a module is in LAYERS twice"


@pytest.mark.parametrize("module", OURS)
def test_imports_go_up_only(module: str) -> None:
    ours = [found for found in imports_of(module) if found.name.split(".")[0] == "wa_worker"]
    wrong = [
        f"{FILES[module].relative_to(PACKAGE)}:{found.line} imports {short(found.name)}, which stands behind it"
        for found in ours
        if not is_dev(short(found.name)) and RANK.get(short(found.name), -1) >= RANK.get(module, len(RANK))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", OURS)
def test_development_code_is_not_imported_by_what_runs(module: str) -> None:
    dev = [found for found in imports_of(module) if found.name.startswith("wa_worker.dev")]
    wrong = [found for found in dev if module != "cli" or not found.nested]
    assert not wrong, f"{module}: only cli.py may import wa_worker.dev, and only inside a function: {wrong}"


@pytest.mark.parametrize("module", [name for name in OURS if name.split(".")[0] != "whatsapp"])
def test_only_whatsapp_knows_neonize(module: str) -> None:
    wrong = [found for found in imports_of(module) if found.name.split(".")[0] == "neonize"]
    assert not wrong, f"{module}: go through wa_worker.whatsapp instead: {wrong}"


@pytest.mark.parametrize("module", [name for name in OURS if name not in READS_ENVIRONMENT])
def test_the_environment_is_read_in_one_place(module: str) -> None:
    tree = ast.parse(FILES[module].read_text("utf-8"))
    lines = [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT and isinstance(node.value, ast.Name))
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and {a.name for a in node.names} & ENVIRONMENT)
    ]
    assert not lines, f"{module} touches os.environ at lines {lines}: make it a setting (config.py) or an argument"


def test_the_package_itself_is_found() -> None:
    """Against a checker that passes because it sees nothing."""
    assert {"app", "journal.inbox", "whatsapp.session", "dev.proxy.server"} <= FILES.keys()
    assert Import("wa_worker.cli", 1, True) in [attrs.evolve(i, line=1) for i in imports_of("__main__")]
    assert "wa_worker.dev.proxy.store" in {found.name for found in imports_of("dev.proxy.server")}
    assert "neonize.client" in {found.name for found in imports_of("whatsapp.client")}
    assert not [found for found in imports_of("logs") if found.name.startswith("structlog.typing")]
