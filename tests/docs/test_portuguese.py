"""The Portuguese pages say what the English ones do: the same sections, code, tables, lists, identifiers and links."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PORTUGUESE = DOCS / "pt"
PAGES = ["contract.md", "easypanel.md", "troubleshooting.md", "worker-proxy/README.md"]
BACK_AND_FORTH = re.compile(r"^\*(?:In English|Em português): \[[^]]*\]\(([^)]+)\)\..*\n\n", re.MULTILINE)


@attrs.frozen
class Section:
    """What one section holds that does not depend on the language."""

    level: int
    code: list[str]
    rows: list[int]
    """How many cells each row of its tables has."""
    items: int
    """Of its lists."""
    paragraphs: int
    identifiers: frozenset[str]
    links: list[str]
    """From the root; without what is after a #, which is a heading's words."""


def sections(page: Path, text: str) -> list[Section]:
    found = []
    code = re.findall(r"```.*?```", text, re.DOTALL)
    marked = re.sub(r"```.*?```", "\0", text, flags=re.DOTALL)
    for part in re.split(r"^(?=#)", marked, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        lines = body.splitlines()
        blocks, code = code[: body.count("\0")], code[body.count("\0") :]
        found.append(
            Section(
                level=len(heading.split()[0]),
                code=blocks,
                rows=[len(re.sub(r"`[^`]*`", "", line).split("|")) - 2 for line in lines if line.startswith("|")],
                items=sum(line.startswith("* ") for line in lines),
                paragraphs=len(re.split(r"\n\s*\n", body.strip())),
                identifiers=frozenset(re.findall(r"`([^`]+)`", re.sub(r"\s+", " ", part))),
                links=sorted(links(page, part)),
            )
        )
    return found


def links(page: Path, text: str) -> list[str]:
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    return [target if "://" in target else english(page, target) for target in targets if target]


def english(page: Path, target: str) -> str:
    """Returns the English page behind a link to a Portuguese one, and to any other what it is: from the root."""
    path = (page.parent / target).resolve()
    if path.is_relative_to(PORTUGUESE):
        path = DOCS / path.relative_to(PORTUGUESE)
    elif path == DOCS / "leia-me.md":
        path = ROOT / "README.md"
    return path.relative_to(ROOT).as_posix()


def both(name: str) -> tuple[list[Section], list[Section]]:
    first, second = (
        sections(page, BACK_AND_FORTH.sub("", page.read_text())) for page in (DOCS / name, PORTUGUESE / name)
    )
    return first, second


def test_which_pages_there_are() -> None:
    assert sorted(page.relative_to(PORTUGUESE).as_posix() for page in PORTUGUESE.rglob("*.md")) == PAGES


@pytest.mark.parametrize("name", PAGES)
def test_each_section_has_what_the_english_one_has(name: str) -> None:
    ours, theirs = both(name)
    assert [section.level for section in theirs] == [section.level for section in ours]
    for number, (section, translated) in enumerate(zip(ours, theirs, strict=True)):
        assert translated == section, f"section {number}"


@pytest.mark.parametrize("name", PAGES)
def test_each_page_leads_to_the_other(name: str) -> None:
    for page, other in ((DOCS / name, PORTUGUESE / name), (PORTUGUESE / name, DOCS / name)):
        (link,) = BACK_AND_FORTH.findall(page.read_text())
        assert (page.parent / link).resolve() == other


def test_the_site_and_the_portuguese_readme_lead_to_each() -> None:
    (nav,) = (entry["Em português"] for entry in _navigation() if "Em português" in entry)
    assert nav == ["docs/leia-me.md", *(f"docs/pt/{name}" for name in PAGES)]
    readme = (DOCS / "leia-me.md").read_text()
    assert [name for name in PAGES if f"](pt/{name}" not in readme] == []


def _navigation() -> list[dict[str, list[str]]]:
    text = (ROOT / "mkdocs.yaml").read_text().partition("\nnav:\n")[2].partition("\nvalidation:")[0]
    entries: list[dict[str, list[str]]] = yaml.safe_load(text)
    return entries


ENGLISH = "# Title\n\nSome `word`.\n\n## Part\n\n| a | b |\n|---|---|\n| 1 | `2` |\n\n* one\n\n```\ncode\n```\n"
GAINS = {
    "a section": ("* one\n", "* one\n\n## More\n"),
    "a smaller section": ("## Part", "### Part"),
    "a code block": ("* one\n", "* one\n\n```\nmore\n```\n"),
    "a line of code": ("code\n", "code\nmore\n"),
    "a row": ("| 1 | `2` |\n", "| 1 | `2` |\n| 3 | 4 |\n"),
    "a column": ("| a | b |", "| a | b | c |"),
    "an item": ("* one\n", "* one\n* two\n"),
    "a paragraph": ("Some", "More.\n\nSome"),
    "an identifier": ("Some", "Some `other` and"),
    "another identifier": ("`2`", "`3`"),
    "a link": ("Some", "[Some](contract.md)"),
    "a link elsewhere": ("Some", "[Some](https://example.org)"),
}


@pytest.mark.parametrize("gain", GAINS)
def test_what_the_english_page_gains_is_noticed(gain: str) -> None:
    before, after = GAINS[gain]
    assert ENGLISH.count(before) == 1
    page = DOCS / "page.md"
    assert sections(page, ENGLISH.replace(before, after)) != sections(page, ENGLISH)


def test_a_translation_is_no_difference() -> None:
    translated = ENGLISH.replace("Some", "Alguma").replace("one", "um").replace("Part", "Parte")
    assert sections(PORTUGUESE / "page.md", translated) == sections(DOCS / "page.md", ENGLISH)
    assert links(PORTUGUESE / "page.md", "[x](contract.md#a) [y](../states.md)") == [
        "docs/contract.md",
        "docs/states.md",
    ]
    assert links(PORTUGUESE / "page.md", "[z](../leia-me.md)") == links(DOCS / "page.md", "[z](../README.md)")
