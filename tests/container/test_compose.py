"""compose.yaml: of the form that Compose knows, and about the image, the settings and the files that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import attrs
import click
import pytest
import yaml

from tests.container.steps import parse
from tests.docs.schema import complaints
from tests.docs.settings_text import settings
from wa_worker.cli.commands import cli
from wa_worker.config import Settings
from wa_worker.dev.console.server import PORT as CONSOLE_PORT

ROOT = Path(__file__).parents[2]
FILE = ROOT / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
STAGES = {stage.name: stage for stage in parse((ROOT / "Containerfile").read_text("utf-8"))}


def test_compose_knows_its_form() -> None:
    assert complaints("compose-spec", FILE) == ""


def test_the_profiles_are_what_the_docs_name() -> None:
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}
    assert profiles == {"worker": [], "try": ["try"], "db": ["local"], "rest": ["local"], "functions": ["local"]}


@pytest.mark.parametrize("name", ["worker", "try"])
def test_what_is_built_is_there(name: str) -> None:
    build = SERVICES[name]["build"]
    assert (ROOT / build["context"] / build["dockerfile"]).is_file()
    assert build.get("target", "image") in STAGES


def test_the_image_has_the_name_of_the_docs() -> None:
    assert SERVICES["worker"]["image"] == "${WA_WORKER_IMAGE:-wa-worker}"
    for page in ("README.md", "docs/leia-me.md", "docs/installing.md"):
        assert "docker build -f Containerfile -t wa-worker ." in (ROOT / page).read_text("utf-8")


def test_the_worker_may_write_to_its_volume_and_to_tmp_and_nowhere_else() -> None:
    worker, image = SERVICES["worker"], STAGES["image"]
    assert worker["read_only"] is True
    assert [volume.split(":")[1] for volume in worker["volumes"]] == image.volumes
    assert worker["tmpfs"] == ["/tmp"]
    assert worker["cap_drop"] == ["ALL"]


def test_the_port_is_the_settings_and_nobody_elsewhere_reaches_it() -> None:
    port = settings()["PORT"]
    assert SERVICES["worker"]["ports"] == [f"127.0.0.1:${{PORT:-{port}}}:${{PORT:-{port}}}"]
    for name, service in SERVICES.items():
        assert all(mapping.startswith("127.0.0.1:") for mapping in service.get("ports", [])), name


def test_each_variable_is_a_setting() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", FILE.read_text("utf-8")))
    assert used - settings().keys() == {"WA_WORKER_IMAGE"}


def test_the_worker_gets_all_settings_from_the_file_and_has_the_local_proxy_without_one() -> None:
    worker, functions = SERVICES["worker"], SERVICES["functions"]
    assert worker["env_file"] == [{"path": ".env", "required": False}]
    assert worker["environment"].keys() == {"EDGE_BASE_URL"}
    (url,) = re.findall(r"\$\{EDGE_BASE_URL:-(.+)\}", worker["environment"]["EDGE_BASE_URL"])
    (port,) = {mapping.split(":")[2] for mapping in functions["ports"]}
    assert url == f"http://functions:{port}/functions/v1/worker-proxy"
    assert Settings.from_environ({"EDGE_BASE_URL": url, "WORKER_SECRET": "s"}).edge_base_url == url


def test_the_grace_is_longer_than_the_worker_takes() -> None:
    assert {SERVICES[name]["stop_grace_period"] for name in ("worker", "try")} == {"15s"}  # 10 and 13 seconds


def test_the_try_is_a_command_line_that_the_program_takes() -> None:
    program, name, *options = STAGES["try"].entrypoint
    command = cli.get_command(click.Context(cli), name)
    assert program == "wa-worker"
    assert command is not None
    given = command.make_context(name, options, resilient_parsing=False).params
    assert (given["simulate"], given["console_host"], given["once"]) == (True, "0.0.0.0", False)
    assert SERVICES["try"]["ports"] == [f"127.0.0.1:{CONSOLE_PORT}:{CONSOLE_PORT}"]
    assert SERVICES["try"]["tty"] is True


def test_what_is_mounted_is_there() -> None:
    found = [volume.split(":") for service in SERVICES.values() for volume in service.get("volumes", [])]
    files = [ROOT / source for source, *_ in found if source.startswith(".")]
    assert len(files) == 6
    assert [str(file) for file in files if not file.exists()] == []
    assert {source for source, *_ in found if not source.startswith(".")} == COMPOSE["volumes"].keys()


def test_the_function_is_run_from_where_it_is_mounted() -> None:
    functions = SERVICES["functions"]
    source, target, mode = functions["volumes"][0].split(":")
    assert mode == "ro"
    script = functions["command"][-1]
    assert (ROOT / source / Path(script).relative_to(target)).is_file()


def test_deno_is_the_one_of_the_tests() -> None:
    package = json.loads((ROOT / "tests" / "worker_proxy" / "package.json").read_text("utf-8"))
    assert SERVICES["functions"]["image"] == f"denoland/deno:{package['dependencies']['deno']}"


def test_the_console_of_a_try_listens_on_this_machine_unless_told_otherwise() -> None:
    command = cli.get_command(click.Context(cli), "dev")
    assert command is not None
    assert command.make_context("dev", ["--simulate"]).params["console_host"] == "127.0.0.1"


@pytest.mark.skipif(shutil.which("podman-compose") is None, reason="needs podman-compose")
def test_podman_compose_reads_it(tmp_path: Path) -> None:
    command = ["podman-compose", "-f", str(FILE), "--profile", "local", "config"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_settings_that_a_container_has_are_defaults() -> None:
    defaults = {field.metadata["name"] for field in attrs.fields(Settings) if field.default is not attrs.NOTHING}
    assert {"PORT", "AUTH_DIR"} <= defaults & STAGES["image"].env.keys()
