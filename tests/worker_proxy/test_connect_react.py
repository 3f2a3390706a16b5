"""Connect.tsx and the modules it shares with the page, as TypeScript sees them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.worker_proxy import tools

pytestmark = pytest.mark.worker_proxy

FILES = ("Connect.tsx", "numbers.js", "words.js")
OPTIONS = {
    "strict": True,
    "noEmit": True,
    "allowJs": True,
    "checkJs": True,
    "jsx": "react-jsx",
    "target": "es2022",
    "module": "esnext",
    "moduleResolution": "bundler",
    "lib": ["es2023", "dom", "dom.iterable"],
    "types": [],
    "skipLibCheck": True,
    "noUncheckedIndexedAccess": False,
}


@pytest.fixture
def project(installed: None, tmp_path: Path) -> Path:
    modules = tools.npm_tools() / "node_modules"
    if shutil.which("node") is None or not (modules / "typescript").exists():
        pytest.skip("needs node and TypeScript: .ci/worker-proxy-services")
    for name in FILES:
        shutil.copy(tools.SOURCE / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS, "files": FILES}))
    return tmp_path


def complaints(project: Path) -> str:
    command = ["node", "node_modules/typescript/bin/tsc", "-p", "."]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120).stdout


def test_the_component_and_what_it_shares_with_the_page_have_no_type_errors(project: Path) -> None:
    assert complaints(project) == ""
