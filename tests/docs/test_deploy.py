"""deploy/: the files for Kubernetes and Easypanel are about this image, these settings and these paths."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.container.steps import parse
from tests.docs.settings_text import settings
from wa_worker import __version__
from wa_worker.config import Settings

ROOT = Path(__file__).parents[2]
IMAGE = parse((ROOT / "Containerfile").read_text("utf-8"))[-1]
PUBLISHED = f"wa-worker/wa-worker:{__version__}"
EASYPANEL = ROOT / "deploy" / "easypanel"
REQUIRED = {"EDGE_BASE_URL", "WORKER_SECRET"}


def _kubernetes() -> dict[str, dict[str, Any]]:
    text = (ROOT / "deploy" / "kubernetes" / "wa-worker.yaml").read_text("utf-8")
    return {part["kind"]: part for part in yaml.safe_load_all(text)}


def _pod() -> dict[str, Any]:
    pod: dict[str, Any] = _kubernetes()["StatefulSet"]["spec"]["template"]["spec"]
    return pod


def _container() -> dict[str, Any]:
    (container,) = _pod()["containers"]
    found: dict[str, Any] = container
    return found


@pytest.mark.parametrize(
    "path",
    [
        "deploy/kubernetes/wa-worker.yaml",
        "deploy/kubernetes/wa-worker-shards.yaml",
        "deploy/kubernetes/wa-worker-shared.yaml",
        "deploy/easypanel/meta.yaml",
        "deploy/easypanel/schema.json",
    ],
)
def test_each_names_the_published_image_of_this_version(path: str) -> None:
    named = re.findall(r"wa-worker/wa-worker:[\w.]+", (ROOT / path).read_text("utf-8"))
    assert set(named) == {PUBLISHED}


def test_one_worker_at_a_time_has_the_volume() -> None:
    stateful = _kubernetes()["StatefulSet"]["spec"]
    assert stateful["replicas"] == 1
    (claim,) = stateful["volumeClaimTemplates"]
    mounts = {mount["name"]: mount["mountPath"] for mount in _container()["volumeMounts"]}
    assert [mounts[claim["metadata"]["name"]]] == IMAGE.volumes
    assert mounts["tmp"] == "/tmp"
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_it_is_restarted_for_its_health_and_never_for_its_readiness() -> None:
    container = _container()
    probed = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}
    assert probed == {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}
    assert {container[name]["httpGet"]["port"] for name in probed} == {"health"}


def test_the_port_is_the_settings() -> None:
    (port,) = _container()["ports"]
    (service,) = _kubernetes()["Service"]["spec"]["ports"]
    annotations = _kubernetes()["StatefulSet"]["spec"]["template"]["metadata"]["annotations"]
    found = {str(port["containerPort"]), str(service["port"]), annotations["prometheus.io/port"]}
    assert found == {settings()["PORT"]}
    assert port["name"] == service["name"] == "health"


def test_it_runs_as_the_image_does() -> None:
    security = _pod()["securityContext"]
    assert f"{security['runAsUser']}:{security['runAsGroup']}" == IMAGE.user
    assert security["fsGroup"] == security["runAsGroup"]
    assert _container()["securityContext"]["readOnlyRootFilesystem"] is True
    assert _pod()["terminationGracePeriodSeconds"] > 10


def test_the_settings_come_from_a_secret_that_the_file_does_not_hold() -> None:
    text = (ROOT / "deploy" / "kubernetes" / "wa-worker.yaml").read_text("utf-8")
    assert set(re.findall(r"--from-literal=([A-Z_]+)=", text)) == REQUIRED
    assert "Secret" not in _kubernetes()
    (source,) = _container()["envFrom"]
    assert f"create secret generic {source['secretRef']['name']} " in text


def test_the_service_and_the_pod_belong_together() -> None:
    found = _kubernetes()
    stateful = found["StatefulSet"]["spec"]
    labels = stateful["template"]["metadata"]["labels"]
    assert stateful["selector"]["matchLabels"] == labels == found["Service"]["spec"]["selector"]
    assert stateful["serviceName"] == found["Service"]["metadata"]["name"]


def test_its_form_has_what_the_template_uses() -> None:
    meta = yaml.safe_load((EASYPANEL / "meta.yaml").read_text("utf-8"))
    used = re.findall(r"input\.(\w+)", (EASYPANEL / "index.ts").read_text("utf-8"))
    assert set(used) == set(meta["schema"]["required"]) == meta["schema"]["properties"].keys()


def test_it_has_a_logo_and_a_screenshot() -> None:
    assert {file.name for file in (EASYPANEL / "assets").iterdir()} == {"logo.svg", "screenshot.png"}


def test_it_sets_what_is_required_and_mounts_the_volume() -> None:
    (service,) = json.loads((EASYPANEL / "schema.json").read_text("utf-8"))["services"]
    app = service["data"]
    environment = dict(line.split("=", 1) for line in app["env"].splitlines())
    assert environment.keys() == REQUIRED
    assert Settings.from_environ({**environment, "WORKER_SECRET": "s"})
    assert [mount["mountPath"] for mount in app["mounts"]] == IMAGE.volumes
    assert [mount["type"] for mount in app["mounts"]] == ["volume"]
    assert app["deploy"]["replicas"] == 1


def test_what_one_pastes_is_what_the_template_makes() -> None:
    """The template's values, read off its source: of the same names and of the same texts."""
    source = (EASYPANEL / "index.ts").read_text("utf-8")
    (service,) = json.loads((EASYPANEL / "schema.json").read_text("utf-8"))["services"]
    names = set(re.findall(r"^ +(\w+):", source, re.MULTILINE)) - {"services"}
    assert names == _names(service)
    for text in ("/data", "volume", "image", "app"):
        assert f'"{text}"' in source
    assert re.findall(r"`([A-Z_]+)=", source) == [line.split("=")[0] for line in service["data"]["env"].splitlines()]


def _names(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for inner in value.values() for name in _names(inner)}
    return {name for inner in value for name in _names(inner)} if isinstance(value, list) else set()
