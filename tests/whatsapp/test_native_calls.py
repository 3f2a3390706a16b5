"""Who calls the native library, and that the start gate is passed: a call beside it can end the process (gate.py)."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import neonize.client
import pytest
import trio
from neonize._binder import gocode

import wa_worker
from tests.proxy_fixture import PATIENCE
from wa_worker.models import Secret
from wa_worker.whatsapp.client import NEEDS_GATE, GatedLibrary, QuietClient
from wa_worker.whatsapp.gate import StartGate

PACKAGE = Path(wa_worker.__file__).parent
FILES = [file for file in sorted(PACKAGE.rglob("*.py")) if "dev" not in file.relative_to(PACKAGE).parts]
CALLED = sorted(set(re.findall(r"self\.__client\.(\w+)\(", inspect.getsource(neonize.client))))
"""All functions of the library that some method of neonize's clients and stores calls."""

IMPORTS_THE_LIBRARY = {"neonize._binder", "neonize.client", "neonize.aioze"}
ALONE = {"exclusive", "_starts"}
"""What a start or stop is inside of: the gate, or in a pairing host the lock that stands for it."""


def modules(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def names(node: ast.AST) -> set[str]:
    return {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}


def test_one_module_touches_the_library() -> None:
    found = {file.name for file in FILES if modules(ast.parse(file.read_text("utf-8"))) & IMPORTS_THE_LIBRARY}
    assert found == {"client.py", "store_tables.py"}, "the latter in a process that ends with it"


@pytest.mark.parametrize("name", CALLED)
def test_each_function_of_it_passes_the_gate_or_needs_it_held(name: str) -> None:
    assert (getattr(GatedLibrary(StartGate()), name) is getattr(gocode, name)) is (name in NEEDS_GATE)


def test_a_client_has_no_way_around() -> None:
    client = QuietClient(Secret("nowhere"), "x", "the device", StartGate())
    parts = [client, client.contact, client.chat_settings]
    assert gocode not in [value for part in parts for value in vars(part).values()]
    assert [
        isinstance(vars(part)[f"_{kind}__client"], GatedLibrary)
        for part, kind in zip(parts, ("NewClient", "ContactStore", "ChatSettingsStore"), strict=True)
    ] == [True] * 3


async def test_a_call_waits_while_a_start_is_under_way() -> None:
    gate, done = StartGate(), trio.Event()
    client = QuietClient(Secret("nowhere"), "a session that is none", "the device", gate)

    async def call() -> None:
        await trio.to_thread.run_sync(client.disconnect, abandon_on_cancel=True)  # harmless without a session
        done.set()

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery, gate.exclusive():
            nursery.start_soon(call)
            await trio.sleep(0.1)
            assert not done.is_set()
        assert done.is_set()


async def test_the_cut_of_a_loop_that_has_ended_does_not_wait() -> None:
    gate = StartGate()
    client = QuietClient(Secret("nowhere"), "a session that is none", "the device", gate)
    with trio.fail_after(PATIENCE):
        async with gate.exclusive():
            await trio.to_thread.run_sync(client.cut, abandon_on_cancel=True)


@pytest.mark.parametrize("file", [file for file in FILES if file.parent.name == "whatsapp"], ids=lambda file: file.stem)
def test_starts_and_stops_are_alone(file: Path) -> None:
    """`client.stop` is named only inside of what keeps the others out."""
    tree = ast.parse(file.read_text("utf-8"))
    alone = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.With | ast.AsyncWith) and any(names(item.context_expr) & ALONE for item in node.items)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "stop" and ast.unparse(node.value).endswith("client"):
            assert id(node) in alone, f"{file.name}:{node.lineno}"
