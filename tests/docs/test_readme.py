"""The README's settings are the program's settings; its links, anchors and one-line commands lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from tests.docs.settings_text import settings
from wa_worker.cli.commands import cli
from wa_worker.config import Settings

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
ROW = re.compile(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`|(required|obrigatória|not set|não definido)) \|", re.MULTILINE)


def _table(page: str) -> dict[str, str | None]:
    """Names and defaults in a page's table of settings; None where there is no default."""
    return {name: None if required else default for name, default, required in ROW.findall((ROOT / page).read_text())}


@pytest.mark.parametrize("page", ["README.md", "docs/leia-me.md"])
def test_the_table_has_every_setting_with_its_default(page: str) -> None:
    assert _table(page) == settings()


def test_the_defaults_in_the_table_are_accepted_as_they_stand() -> None:
    required = {"EDGE_BASE_URL": "https://proxy.test/x", "WORKER_SECRET": "s"}
    written = {name: default for name, default in _table("README.md").items() if default is not None}
    assert Settings.from_environ({**required, **written}) == Settings.from_environ(required)


def _prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """The headings as GitHub makes anchors of them: lower case, hyphens for spaces, no punctuation."""
    headings = re.findall(r"^#+ (.*)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not anchor or anchor in _anchors(there), target


@pytest.mark.parametrize("page", ["README.md", "docs/leia-me.md"])
def test_the_tools_are_the_commands_in_the_order_of_help(page: str) -> None:
    tools = re.findall(r"^\| `wa-worker (\w+)` \|", (ROOT / page).read_text(), re.MULTILINE)
    assert tools == cli.list_commands(click.Context(cli))


def _targets(page: Path) -> set[str]:
    """Where its links lead, and what its code blocks hold."""
    links = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)) if "://" not in target}
    blocks = re.findall(r"```.*?```", page.read_text(), flags=re.DOTALL)
    # A page in Portuguese stands for the English one: test_portuguese.py.
    return {str((page.parent / link).resolve()).replace("/docs/pt/", "/docs/") for link in links - {""}} | set(blocks)


def test_the_portuguese_page_keeps_up_with_the_readme() -> None:
    ours, theirs = _targets(ROOT / "README.md"), _targets(ROOT / "docs" / "leia-me.md")
    assert ours - theirs == {str(ROOT / "docs" / "leia-me.md")}
    english, portuguese = (ROOT / "README.md").read_text(), (ROOT / "docs" / "leia-me.md").read_text()
    commands = set(re.findall(r"`(?:wa-worker|docker) [^`]+`", english))
    assert {command for command in commands if command not in portuguese} == set()


@pytest.mark.parametrize("command", ["wa-worker dev --simulate", "python -m pytest"])
@pytest.mark.parametrize("page", ["README.md", "docs/leia-me.md"])
def test_the_commands_are_one_line_and_set_everything_up(page: str, command: str) -> None:
    (line,) = [line for line in (ROOT / page).read_text().splitlines() if line.endswith(f".venv/bin/{command}")]
    assert line.startswith(
        "python3 -m venv .venv && .venv/bin/pip install -q --require-hashes -r requirements-dev.lock && "
    )


def test_the_architecture_page_knows_every_package_and_ground_module() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    package = ROOT / "wa_worker"
    modules = [file.name for file in package.glob("*.py")]
    packages = [f"{file.parent.name}/" for file in package.glob("*/__init__.py")]
    assert [name for name in (*modules, *packages) if name != "__init__.py" and f"`{name}`" not in text] == []


def test_the_log_lines_in_the_docs_are_the_programs() -> None:
    source = "".join(file.read_text() for file in (ROOT / "wa_worker").rglob("*.py"))
    quoted: set[str] = set()
    for page in PAGES:
        text = page.read_text()
        quoted |= set(re.findall(r'"(?:event|because)": "([^"]+)"', text))
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    for row in rows:
        quoted |= {span for span in re.findall(r"`([^`]+)`", row) if not span.startswith(("error:", "journal ...:"))}
    missing = {line for line in quoted if f'"{line}' not in source}
    assert missing - {"no TCP connection to web.whatsapp.com:443", "endpoint", "inbound", "then"} == set()
