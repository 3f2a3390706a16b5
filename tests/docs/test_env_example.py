"""`.env.example` has every setting, in the order of the code, with its help and its default.

A new setting makes the test fail; `python -m tests.docs.test_env_example` then writes the file anew.
"""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from tests.docs.settings_text import as_text
from wa_worker.config import Settings
from wa_worker.errors import ConfigError

FILE = Path(__file__).parents[2] / ".env.example"

HEAD = """\
# The settings of wa-worker: `cp .env.example .env`, fill in the two at the top, and `docker compose up -d`.
# No quotation marks. Each may be given as NAME_FILE, the path of a file that holds the value. What stands behind a # is
# the default. The README says more:
# https://github.com/wa-worker/wa-worker#settings
"""

EXAMPLES = {"EDGE_BASE_URL": "https://YOUR-PROJECT.supabase.co/functions/v1/worker-proxy", "WORKER_SECRET": ""}
"""What stands in the place of what has no default."""

MORE = {
    "EDGE_BASE_URL": "with the profile `local` of compose.yaml put a # before it",
    "WORKER_SECRET": "make one: openssl rand -hex 32",
    "AUTH_DIR": "in a container leave it, the volume is there",
}


def expected() -> str:
    parts = [HEAD]
    for field in attrs.fields(Settings):
        name, default = field.metadata["name"], as_text(field)
        comment = "; ".join(filter(None, [field.metadata["help"], MORE.get(name)]))
        value = f"{name}={EXAMPLES[name]}" if name in EXAMPLES else f"# {name}={default or ''}"
        parts.append(f"# {comment}\n{value}\n")
    return "\n".join(parts)


def test_it_is_what_the_code_says() -> None:
    assert FILE.read_text("utf-8") == expected()


def test_no_setting_without_a_default_is_left_out() -> None:
    required = {field.metadata["name"] for field in attrs.fields(Settings) if field.default is attrs.NOTHING}
    assert set(EXAMPLES) == required


def read(text: str) -> dict[str, str]:
    """As Docker reads a file of variables."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_with_a_secret_it_is_a_set_up_and_without_it_only_the_secret_is_missed() -> None:
    given = read(FILE.read_text("utf-8"))
    with pytest.raises(ConfigError) as refused:
        Settings.from_environ(given)
    assert [fault.split()[0] for fault in refused.value.faults] == ["WORKER_SECRET"]
    assert Settings.from_environ({**given, "WORKER_SECRET": "s" * 64}).port == 3000


def test_the_defaults_are_accepted_as_they_stand() -> None:
    text = FILE.read_text("utf-8")
    given = read(text) | {"WORKER_SECRET": "s" * 64}
    defaults = dict(re.findall(r"^# ([A-Z_]+)=(.+)$", text, re.MULTILINE))
    assert len(defaults) > 10
    assert Settings.from_environ({**given, **defaults}) == Settings.from_environ(given)


if __name__ == "__main__":
    FILE.write_text(expected(), "utf-8")
