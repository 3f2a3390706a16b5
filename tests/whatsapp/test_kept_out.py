"""What neonize imports and the worker does not use: it is not there, it is there when it is needed after all, and
neonize uses it only where we know of."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from wa_worker.whatsapp.kept_out import KEPT_OUT

BEHIND_THEM = {"urllib3", "bs4", "soupsieve"}
"""What only they import."""

USES = {
    ("client.py", "_generate_link_preview", "linkpreview"),
    ("download.py", "__download", "requests"),
    ("download.py", "__download", "tqdm"),
    ("events.py", "__onqr", "segno"),
    ("utils/iofile.py", "get_bytes_from_name_or_url", "requests"),
}
"""Where neonize calls them: file, function, library. The worker comes to none of these. `_generate_link_preview` is for
who asks for a preview, `__download` for who has neonize without its native library, `__onqr` for who gives it no
callback of his own."""


def python(program: str) -> str:
    """Runs it in a process of its own, in which nothing has been imported yet."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def library_sources() -> Iterator[tuple[str, ast.Module]]:
    spec = find_spec("neonize")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    root = Path(spec.submodule_search_locations[0])
    for file in sorted(root.rglob("*.py")):
        name = file.relative_to(root).as_posix()
        if not name.startswith(("aioze/", "proto/")):  # the one is never imported, the other is generated
            yield name, ast.parse(file.read_text())


def uses(tree: ast.AST, names: dict[str, str], within: str = "") -> Iterator[tuple[str, str]]:
    """Yields each use of one of these names: the function it is in, and the library. Fails if it takes anything else of
    the library than the function that was kept out."""
    for node in ast.iter_child_nodes(tree):
        inner, known = within, names
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = within or node.name
            parameters = {parameter.arg for parameter in (*node.args.args, *node.args.kwonlyargs)}
            known = {name: library for name, library in names.items() if name not in parameters}
        if isinstance(node, ast.Name) and node.id in names:
            library = names[node.id]
            is_module = node.id == library and isinstance(tree, ast.Attribute)
            assert (tree.attr if isinstance(tree, ast.Attribute) and is_module else node.id) == KEPT_OUT[library]
            yield inner, library
        yield from uses(node, known, inner)


@pytest.mark.parametrize("start", ["from wa_worker import whatsapp; whatsapp.load()", "import {host}"])
def test_the_worker_and_the_pairing_host_do_without_them(start: str) -> None:
    program = start.format(host="wa_worker.whatsapp.pairing_host")
    loaded = json.loads(python(f"{program}\nimport sys, json; print(json.dumps(list(sys.modules)))"))
    assert "neonize.client" in loaded
    assert not ({*KEPT_OUT} | BEHIND_THEM) & {*loaded}


def test_a_function_that_was_kept_out_is_called_all_the_same() -> None:
    program = """
from wa_worker import whatsapp
whatsapp.load()
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from neonize import events, download
from neonize.utils.iofile import get_bytes_from_name_or_url

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"bytes")
    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Answer)
Thread(target=server.handle_request, daemon=True).start()
assert get_bytes_from_name_or_url(f"http://127.0.0.1:{server.server_port}/") == b"bytes"
assert events.segno.make_qr("code").designator
assert list(download.tqdm([1, 2], disable=True)) == [1, 2]
import requests
assert requests.get is not None and issubclass(download.requests.Timeout, Exception)
"""
    python(program)


def test_what_is_imported_already_is_used() -> None:
    program = """
import requests
from wa_worker import whatsapp
whatsapp.load()
from neonize.utils import iofile
assert iofile.requests is requests
"""
    python(program)


def test_neonize_uses_them_only_where_we_know_of() -> None:
    found: set[tuple[str, str, str]] = set()
    for file, tree in library_sources():
        names: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert not [alias for alias in node.names if "." in alias.name and alias.name.split(".")[0] in KEPT_OUT]
                names |= {alias.asname or alias.name: alias.name for alias in node.names if alias.name in KEPT_OUT}
            elif isinstance(node, ast.ImportFrom) and node.module in KEPT_OUT and node.level == 0:
                library = str(node.module)
                assert [alias.name for alias in node.names] == [KEPT_OUT[library]], file
                names |= {alias.asname or alias.name: library for alias in node.names}
        found |= {(file, function, library) for function, library in uses(tree, names)}
    assert found == USES
