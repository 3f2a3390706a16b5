"""What a package page shows and where its links lead; the release; what people find at the repository."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docs.schema import complaints
from wa_worker import __version__

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
HOME = PROJECT["urls"]["Repository"]
WORKFLOW = ROOT / ".github" / "workflows" / "release.yaml"
ZIZMOR = Path(sys.executable).with_name("zizmor")
FORMS = ROOT / ".github" / "ISSUE_TEMPLATE"
SKIPPED = {".git", ".venv", "dist", "build", "node_modules", "mutants"}


def _texts() -> dict[str, str]:
    """All text files of the tree by path, without what is not ours."""
    found = {}
    for file in ROOT.rglob("*"):
        inside = file.relative_to(ROOT)
        if SKIPPED.isdisjoint(inside.parts) and file.is_file() and file.suffix not in (".png", ".pyc", ".lock"):
            try:
                found[str(inside)] = file.read_text("utf-8")
            except UnicodeDecodeError:
                continue
    return found


def package_readme() -> str:
    """README.md as the package page gets it."""
    text = (ROOT / "README.md").read_text("utf-8")
    for rule in PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    return text


def test_where_the_project_lives_is_said_in_one_place() -> None:
    """Each address of the repository, in whatever file, begins with pyproject.toml's."""
    owner = HOME.rsplit("/", 1)[0]
    pattern = re.compile(rf"{re.escape(owner)}[\w/.#-]*")
    elsewhere = {
        (path, address)
        for path, text in _texts().items()
        for address in pattern.findall(text)
        if not re.match(rf"{re.escape(HOME)}(\.git)?([/#]|$)", address) and address != owner
    }
    assert elsewhere == set()
    assert all(url.startswith(HOME) for url in PROJECT["urls"].values())


def test_each_link_of_the_package_page_is_absolute_and_leads_to_a_file() -> None:
    links = re.findall(r"(!?)\[(?:[^\]]*)\]\(([^)\s]+)\)", package_readme())
    assert len(links) > 20
    for picture, link in links:
        assert re.match(r"https?://|#", link), link
        kind = "raw" if picture else "blob"
        if link.startswith(f"{HOME}/{kind}/HEAD/"):
            path = link.removeprefix(f"{HOME}/{kind}/HEAD/").partition("#")[0]
            assert (ROOT / path).exists(), link
        else:
            assert not link.startswith(f"{HOME}/{'blob' if picture else 'raw'}/"), link
    assert "<!--" not in package_readme()


def test_links_within_the_page_stay_there() -> None:
    inside = set(re.findall(r"\]\(#([^)\s]+)\)", package_readme()))
    headings = {
        re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-")
        for line in re.findall(r"^#+ (.*)$", package_readme(), re.MULTILINE)
    }
    assert inside <= headings


def test_the_metadata_says_what_a_page_shows() -> None:
    assert PROJECT["urls"].keys() >= {"Repository", "Documentation", "Changelog", "Issues"}
    assert PROJECT["authors"]
    classifiers = PROJECT["classifiers"]
    lowest = PROJECT["requires-python"].removeprefix(">=")
    assert f"Programming Language :: Python :: {lowest}" in classifiers
    assert not any(classifier.startswith("License ::") for classifier in classifiers)  # PEP 639: `license` says it


def test_what_is_imported_is_asked_for() -> None:
    """Nothing is there only because another package brings it, maybe not for long."""
    extras = [each for lines in PROJECT["optional-dependencies"].values() for each in lines]
    asked = {canonicalize_name(Requirement(line).name) for line in [*PROJECT["dependencies"], *extras]}
    brought_by = packages_distributions()
    for file in (ROOT / "wa_worker").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_bytes())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"wa_worker"}:
                found = {canonicalize_name(each) for each in brought_by.get(name, [name])}
                assert found & asked, f"{file} imports {name}"


def test_what_builds_the_package_is_what_builds_it_in_the_image() -> None:
    lines = (ROOT / "container" / "build.in").read_text("utf-8").splitlines()
    ours = {str(Requirement(line)) for line in lines if not line.startswith("#")}
    assert ours == {str(Requirement(line)) for line in PYPROJECT["build-system"]["requires"]}


@pytest.mark.parametrize("extra", ["", ".ci/package", ".ci/site", "container/build", "container/try"])
def test_each_lock_has_hashes_and_no_addresses(extra: str) -> None:
    text = (ROOT / f"{extra or 'requirements'}.lock").read_text("utf-8")
    packages = re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==.*\\\n +--hash=sha256:", text, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 4
    assert "://" not in text


@pytest.mark.parametrize("package", ["coverage[toml]", "hypercorn[trio]", "psycopg[binary]"])
def test_what_is_wanted_with_an_extra_is_locked_with_it(package: str) -> None:
    """Else pip takes the newest release of it for another package, and refuses that since its hash is not there."""
    assert f"\n{package}==" in (ROOT / "requirements-dev.lock").read_text("utf-8")


def test_it_is_of_the_form_that_workflows_have() -> None:
    assert complaints("github-workflows", WORKFLOW) == ""


@pytest.mark.skipif(not ZIZMOR.exists(), reason="needs zizmor beside the interpreter")
def test_an_auditor_finds_nothing() -> None:
    command = [str(ZIZMOR), "--offline", "--no-progress", "--persona", "regular", str(WORKFLOW)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_for_tags_only_and_publishes_after_the_tests() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    (event,) = workflow[True].items()  # YAML 1.1 reads `on` as true
    assert event[0] == "push"
    assert event[1].keys() == {"tags"}
    jobs = workflow["jobs"]
    assert {name: job.get("needs") for name, job in jobs.items()} == {
        "check": None,
        "package": "check",
        "image": "check",
        "publish": ["package", "image"],
        "notes": "publish",
    }
    assert all(job["timeout-minutes"] <= 120 for job in jobs.values())
    assert workflow["permissions"] == {}


def test_both_platforms_are_built() -> None:
    steps = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]["image"]["steps"]
    (push,) = [step for step in steps if "build-push-action" in step.get("uses", "")]
    assert push["with"]["platforms"] == "linux/amd64,linux/arm64"
    assert (ROOT / push["with"]["file"]).is_file()


def test_what_it_runs_is_there() -> None:
    scripts = set(re.findall(r"\.ci/[\w-]+", WORKFLOW.read_text("utf-8")))
    assert scripts == {".ci/release-check", ".ci/run", ".ci/package"}
    assert all((ROOT / script).is_file() for script in scripts)


def test_a_tag_that_is_no_version_is_stopped() -> None:
    assert _check(f"v{__version__}", HOME) == ""
    assert "the tag is v9.9.9" in _check("v9.9.9", HOME)
    assert "CHANGELOG.md has nothing about 9.9.9" in _check("v9.9.9", HOME)


def test_a_release_from_another_repository_is_stopped() -> None:
    said = _check(f"v{__version__}", "https://example.org/somebody/else")
    assert (
        said
        == f"error: pyproject.toml says that the project lives at {HOME}, and this is https://example.org/somebody/else\n"
    )


def test_the_notes_are_those_of_the_version() -> None:
    command = [sys.executable, str(ROOT / ".ci" / "release-check"), "--notes", f"v{__version__}"]
    notes = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert notes.strip()
    assert "\n## " not in f"\n{notes}"


def _check(tag: str, repository: str) -> str:
    command = [sys.executable, str(ROOT / ".ci" / "release-check"), tag, repository]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode == 0) == (done.stderr == "")
    return str(done.stderr)


@pytest.mark.parametrize("name", ["problem", "problema", "idea", "ideia"])
def test_each_is_of_the_form_that_forms_have(name: str) -> None:
    assert complaints("github-issue-forms", FORMS / f"{name}.yml") == ""


def test_the_chooser_is_of_the_form_that_choosers_have() -> None:
    assert complaints("github-issue-config", FORMS / "config.yml") == ""


@pytest.mark.parametrize(("english", "portuguese"), [("problem", "problema"), ("idea", "ideia")])
def test_both_languages_ask_the_same(english: str, portuguese: str) -> None:
    asked = []
    for name in (english, portuguese):
        form = yaml.safe_load((FORMS / f"{name}.yml").read_text("utf-8"))
        asked.append(
            [
                (part["type"], part.get("id"), part.get("validations"), len(part["attributes"].get("options", [])))
                for part in form["body"]
            ]
        )
    assert asked[0] == asked[1]
