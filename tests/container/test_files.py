"""What can be said of the container files without building anything."""

from __future__ import annotations

from pathlib import Path

import attrs

from tests.container.steps import parse
from wa_worker.config import Settings
from wa_worker.process import NATIVE_ENVIRONMENT

ROOT = Path(__file__).parents[2]
STAGES = parse((ROOT / "Containerfile").read_text())
IMAGE = STAGES[-1]


def test_both_ignore_files_say_the_same() -> None:
    assert (ROOT / ".dockerignore").read_text() == (ROOT / ".containerignore").read_text()


def test_the_image_has_no_development_tools() -> None:
    builder = next(stage for stage in STAGES if stage.name == "builder")
    done = [rest for word, rest in builder.steps if word == "RUN"]
    removed = done.index("rm -r wa_worker/dev")
    assert removed < next(number for number, rest in enumerate(done) if "pip wheel" in rest)


def test_the_image_needs_no_second_start() -> None:
    assert NATIVE_ENVIRONMENT.items() <= IMAGE.env.items()


def test_the_image_has_the_defaults_of_the_settings() -> None:
    defaults = {f.metadata["name"]: f.default for f in attrs.fields(Settings)}
    assert IMAGE.env["AUTH_DIR"] == str(defaults["AUTH_DIR"])
    assert IMAGE.env["PORT"] == str(defaults["PORT"])


def test_the_image_stops_and_runs_as_it_should() -> None:
    assert (IMAGE.stopsignal, IMAGE.entrypoint) == ("SIGTERM", ["wa-worker", "run"])
    assert IMAGE.user == "10001:10001"
    assert IMAGE.volumes == ["/data"]
