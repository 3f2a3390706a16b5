"""docs/scaling.md and what it names in deploy/: a shard and a volume for each worker, and no shard left out."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.schema import complaints
from tests.docs.test_dashboards import rules
from wa_worker.models import Shard

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scaling.md").read_text("utf-8")
SHARDS = ROOT / "deploy" / "kubernetes" / "wa-worker-shards.yaml"
FILES = (SHARDS.name, "wa-worker.yaml")
COMPOSE = ROOT / "deploy" / "compose" / "shards.yaml"


def _stateful(name: str) -> dict[str, Any]:
    parts = yaml.safe_load_all((SHARDS.parent / name).read_text("utf-8"))
    (found,) = [part for part in parts if part["kind"] == "StatefulSet"]
    stateful: dict[str, Any] = found
    return stateful


def _container(stateful: dict[str, Any]) -> dict[str, Any]:
    (container,) = stateful["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container
    return found


def _shards(stateful: dict[str, Any]) -> list[str]:
    """What each pod would run as, by the file's own line of shell."""
    container = _container(stateful)
    shell, option, line = container["command"]
    assert line in PAGE
    (workers,) = [each["value"] for each in container["env"] if each["name"] == "WORKERS"]
    script = line.replace("exec wa-worker run", "sh -c 'echo $WORKER_SHARD'")
    assert script != line
    return [
        subprocess.check_output(
            [shell, option, script],
            env={"HOSTNAME": f"wa-worker-{n}", "WORKERS": workers, "PATH": "/usr/bin:/bin"},
            text=True,
        ).strip()
        for n in range(stateful["spec"]["replicas"])
    ]


def test_each_pod_has_a_shard_and_no_shard_is_left_out() -> None:
    found = [Shard.from_text(text) for text in _shards(_stateful(SHARDS.name))]
    assert found == [Shard(number, len(found)) for number in range(1, len(found) + 1)]
    assert len(found) > 1


def test_it_is_the_file_of_one_worker_but_for_that() -> None:
    ours, one = _stateful(SHARDS.name), _stateful("wa-worker.yaml")
    assert (ours["spec"].pop("replicas"), one["spec"].pop("replicas")) == (3, 1)
    assert ours["spec"].pop("podManagementPolicy") == "Parallel"
    assert ours["spec"]["volumeClaimTemplates"], "a volume for each"
    for name in ("command", "env"):
        del _container(ours)[name]
    assert ours == one
    services = [next(yaml.safe_load_all((SHARDS.parent / name).read_text("utf-8"))) for name in FILES]
    assert services[0] == services[1]


def test_compose_gives_each_service_a_shard_and_a_volume() -> None:
    compose = yaml.safe_load(COMPOSE.read_text("utf-8"))
    services = list(compose["services"].values())
    shards = [Shard.from_text(service["environment"]["WORKER_SHARD"]) for service in services]
    assert shards == [Shard(number, len(services)) for number in range(1, len(services) + 1)]
    volumes = [service["volumes"] for service in services]
    assert volumes == [[f"{name}:/data"] for name in compose["volumes"]]
    assert len(set(compose["volumes"])) == len(services) > 1
    assert len({service["ports"][0] for service in services}) == len(services)
    one = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["worker"]
    for service in services:
        for name in (
            "restart",
            "init",
            "read_only",
            "tmpfs",
            "cap_drop",
            "security_opt",
            "stop_grace_period",
            "logging",
        ):
            assert service[name] == one[name], name


def test_compose_knows_its_form() -> None:
    assert complaints("compose-spec", COMPOSE) == ""


def test_the_folders_go_where_their_worker_is(tmp_path: Path) -> None:
    """As the page says: from two volumes to three, and what is not a session stays where it is."""
    (script,) = [code for code in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "mv -n" in code]
    ids = [f"loja-{number}" for number in range(30)]
    for number in (1, 2, 3):
        (tmp_path / str(number) / "@worker").mkdir(parents=True)
        (tmp_path / str(number) / "@worker" / "journal.db").write_text(str(number))
    for id_ in ids:
        folder = tmp_path / ("1" if Shard(1, 2).has(id_) else "2") / id_
        folder.mkdir()
        (folder / "session.db").write_text(id_)
    for _ in range(2):  # a second run changes nothing
        subprocess.run(["sh", "-euc", script.replace("/volumes", shlex.quote(str(tmp_path)))], check=True)
        for number in (1, 2, 3):
            volume = tmp_path / str(number)
            assert {path.name for path in volume.iterdir()} - {"@worker"} == {
                id_ for id_ in ids if Shard(number, 3).has(id_)
            }
            assert (volume / "@worker" / "journal.db").read_text() == str(number)
            assert all((path / "session.db").read_text() == path.name for path in volume.iterdir() if path.name in ids)


@pytest.mark.parametrize("name", ["wa_worker_other_shard_sessions", "WaWorkerOtherShard", "/ready"])
def test_it_names_what_tells_of_it(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_the_alert_is_on_the_metric() -> None:
    (rule,) = [rule for rule in rules() if rule["alert"] == "WaWorkerOtherShard"]
    assert rule["expr"] == "wa_worker_other_shard_sessions > 0"
