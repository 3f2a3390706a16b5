"""docs/scaling.md, level 2, and what it names in deploy/: workers without a volume of their own, and one database."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import trio
import yaml

from tests.docs.schema import complaints
from tests.docs.test_deploy import IMAGE
from tests.docs.test_scaling import COMPOSE as SHARDS
from tests.postgres_server import Postgres, program
from tests.state_fixture import SUPERUSER
from tests.state_fixture import state_server as state_server
from wa_worker.app.stop import HAND_OVER, LAST_RESORT
from wa_worker.check.result import Grade
from wa_worker.check.state import NAMES, check_state
from wa_worker.config import Settings
from wa_worker.ownership import lease
from wa_worker.postgres.url import StateUrl

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scaling.md").read_text("utf-8")
LEVEL_2 = PAGE.partition("## Level 2")[2]
KUBERNETES = ROOT / "deploy" / "kubernetes" / "wa-worker-shared.yaml"
COMPOSE = ROOT / "deploy" / "compose" / "shared.yaml"
SQL = ROOT / "deploy" / "compose" / "state.sql"


def _kinds(file: Path) -> dict[str, dict[str, Any]]:
    return {part["kind"]: part for part in yaml.safe_load_all(file.read_text("utf-8"))}


def _pod(deployment: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return pod, container


def _grace(drain: str) -> float:
    """Seconds after the signal at which the process ends itself, whatever hangs."""
    return int(drain) / 1000 + HAND_OVER + LAST_RESORT


def test_kubernetes_has_several_workers_without_a_claim() -> None:
    kinds = _kinds(KUBERNETES)
    assert kinds.keys() == {"Service", "Deployment", "PodDisruptionBudget"}
    deployment = kinds["Deployment"]["spec"]
    pod, container = _pod(kinds["Deployment"])
    assert deployment["replicas"] == 3
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert all("emptyDir" in volume for volume in pod["volumes"])
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {*IMAGE.volumes, "/tmp"}
    labels = deployment["template"]["metadata"]["labels"]
    for found in (
        deployment["selector"]["matchLabels"],
        kinds["Service"]["spec"]["selector"],
        kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ):
        assert found == labels


def test_kubernetes_waits_until_a_worker_has_handed_over() -> None:
    pod, container = _pod(_kinds(KUBERNETES)["Deployment"])
    (drain,) = [each["value"] for each in container["env"] if each["name"] == "DRAIN_MS"]
    assert pod["terminationGracePeriodSeconds"] >= _grace(drain)


def test_otherwise_the_pod_is_that_of_one_worker() -> None:
    one = _kinds(KUBERNETES.parent / "wa-worker.yaml")
    ours = _kinds(KUBERNETES)
    assert ours["Service"] == one["Service"]
    pod, container = _pod(ours["Deployment"])
    other_pod, other = _pod(one["StatefulSet"])
    del container["env"]
    assert container == other
    for name in ("topologySpreadConstraints", "volumes"):
        pod.pop(name, None)
        other_pod.pop(name, None)
    del other_pod["securityContext"]["fsGroupChangePolicy"]
    assert pod == other_pod


def test_the_address_of_the_state_is_in_the_secret_that_the_file_does_not_hold() -> None:
    text = KUBERNETES.read_text("utf-8")
    (url,) = re.findall(r"--from-literal='STATE_URL=([^']+)'", text)
    assert not StateUrl.of(url).is_plain
    assert {"EDGE_BASE_URL", "WORKER_SECRET"} == set(re.findall(r"--from-literal=([A-Z_]+)=", text))


def _compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))
    return found


def test_compose_has_three_workers_and_a_database_they_wait_for() -> None:
    compose = _compose()
    workers = [service for name, service in compose["services"].items() if name.startswith("worker-")]
    database = compose["services"]["db"]
    assert len(workers) == 3
    assert len({service["ports"][0] for service in workers}) == 3
    assert "pg_isready" in database["healthcheck"]["test"]
    for service in workers:
        assert service["depends_on"] == {"db": {"condition": "service_healthy"}}
        assert service["volumes"] == IMAGE.volumes, "a nameless one each: nothing in it must last"
        settings = service["environment"]
        assert int(service["stop_grace_period"].removesuffix("s")) >= _grace(settings["DRAIN_MS"])
        url = re.sub(r"\$\{STATE_PASSWORD[^}]*\}", "secret", settings["STATE_URL"])
        found = Settings.from_environ(
            {**settings, "STATE_URL": url, "EDGE_BASE_URL": "https://x.example", "WORKER_SECRET": "s"}
        )
        assert found.state_url is not None
        assert (found.state_url.user, found.state_url.database) == ("wa_worker", "wa_state")
    sources = [mount.partition(":")[0] for mount in database["volumes"]]
    assert sources == [*compose["volumes"], f"./{SQL.relative_to(ROOT)}"]


def test_compose_is_as_careful_as_for_one_worker() -> None:
    theirs = yaml.safe_load(SHARDS.read_text("utf-8"))["services"]["worker-1"]
    for name in ("restart", "init", "read_only", "tmpfs", "cap_drop", "security_opt", "logging", "image", "env_file"):
        assert _compose()["services"]["worker-1"][name] == theirs[name], name


def test_compose_knows_its_form() -> None:
    assert complaints("compose-spec", COMPOSE) == ""


def test_the_role_and_the_database_are_as_check_wants_them(state_server: Postgres) -> None:
    """The file's SQL and the page's are the same, and make what a worker needs and no more."""
    statements = re.findall(r"^(?:CREATE|REVOKE) .*;$", SQL.read_text("utf-8"), re.MULTILINE)
    assert len(statements) == 3
    for statement in statements:
        assert statement.replace(":'password'", "'PASSWORD'") in LEVEL_2
    psql = program("psql")
    assert psql is not None
    try:
        subprocess.run(
            [psql, "-X", "-q", "-d", state_server.dsn(SUPERUSER), "-f", SQL],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "STATE_PASSWORD": "se'cret"},
        )
        results = trio.run(
            check_state, StateUrl.of(f"postgres://wa_worker:se'cret@127.0.0.1:{state_server.port}/wa_state")
        )
    finally:
        with psycopg.connect(state_server.dsn(SUPERUSER), autocommit=True) as admin:
            admin.execute("DROP DATABASE IF EXISTS wa_state WITH (FORCE)")
            admin.execute("DROP ROLE IF EXISTS wa_worker")
    found = {result.name: result.grade for result in results}
    assert {name: grade for name, grade in found.items() if name != "state durability"} == dict.fromkeys(
        set(NAMES) - {"state durability"}, Grade.OK
    )


@pytest.mark.parametrize("name", ["TTL", "SAFE", "RENEW", "CLAIM", "CUT_OFF", "HAND_OVER"])
def test_the_page_has_the_constants(name: str) -> None:
    value = getattr(lease, name)
    assert re.search(rf"^\| {value:.0f} s \| ", LEVEL_2, re.MULTILINE), (name, value)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_each_line_of_check(name: str) -> None:
    assert f"`{name}`" in LEVEL_2
