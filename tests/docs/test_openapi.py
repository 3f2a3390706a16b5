"""docs/openapi.yaml: a schema says nothing that OpenAPI does not know, and Redocly accepts the whole."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "docs" / "openapi.yaml"

KEYWORDS = {
    *("$ref", "type", "const", "enum", "description", "required", "properties", "items", "additionalProperties"),
    *("minLength", "maxLength", "pattern", "format", "minimum", "maximum", "minItems", "maxItems", "allOf", "oneOf"),
}
"""Those of JSON Schema that are of use here."""


def schemas(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All schema objects of the document, with where they are."""
    if isinstance(node, list):
        for number, item in enumerate(node):
            yield from schemas(item, f"{path}/{number}")
    elif isinstance(node, dict):
        for name, value in node.items():
            here = f"{path}/{name}"
            if name == "schema" or path.endswith(("/schemas", "/properties")) or name == "items":
                yield here, value
            if name not in ("example", "examples"):
                yield from schemas(value, here)


def test_a_schema_says_only_what_is_known() -> None:
    found = list(schemas(yaml.safe_load(SPEC.read_text("utf-8"))))
    assert len(found) > 30
    assert {path: unknown for path, schema in found if (unknown := set(schema) - KEYWORDS)} == {}


@pytest.mark.skipif(shutil.which("redocly") is None, reason="needs redocly (npm: @redocly/cli)")
def test_redocly_accepts_it() -> None:
    command = ["redocly", "lint", str(SPEC), "--config", str(ROOT / ".ci" / "redocly.yaml")]
    linted = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert linted.returncode == 0, linted.stdout + linted.stderr
