"""docs/grafana-dashboard.json and docs/alerts.yaml: they parse, and name only metrics and labels that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from wa_worker.journal.backlog import Backlog, Queue
from wa_worker.metrics import Metrics, Snapshot
from wa_worker.ownership.lease_metrics import LeaseMetrics
from wa_worker.states import State

DOCS = Path(__file__).parents[2] / "docs"
GRAFANA = DOCS / "grafana-dashboard.json"
ALERTS = DOCS / "alerts.yaml"

OURS = re.compile(r"\b((?:wa_worker|process)_[a-z_]+)(?:\{([^}]*)\})?")
LABEL = re.compile(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
PROMETHEUS_ADDS = {"job", "instance"}


@attrs.frozen
class Use:
    """A metric in an expression, with the labels it is picked by: name, operator, value."""

    metric: str
    labels: tuple[tuple[str, str, str], ...]


def expressions() -> list[str]:
    """All of both files."""
    board = json.loads(GRAFANA.read_text("utf-8"))
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    return found + [rule["expr"] for rule in rules()]


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]


def uses() -> list[Use]:
    return [
        Use(name, tuple(LABEL.findall(labels)))
        for expression in expressions()
        for name, labels in OURS.findall(expression)
    ]


def samples(text: str) -> dict[str, list[dict[str, str]]]:
    """Of a scrape: the label sets of each name."""
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def of_leases(registry: CollectorRegistry) -> None:
    """Registers what only a worker with STATE_URL says."""
    LeaseMetrics(registry).watch(lambda: 1, lambda: 9.0, lambda: 0, lambda: 0)


def missing_in_a_box(text: str) -> list[Use]:
    """What missing() finds, but for what only a worker with STATE_URL says."""
    of_several = CollectorRegistry()
    of_leases(of_several)
    said = samples(generate_latest(of_several).decode())
    return [use for use in missing(text) if use.metric not in said]


def missing(text: str) -> list[Use]:
    """Uses in the files that pick nothing in a scrape. A '!=' picks whatever has the label."""
    said = samples(text)
    return [use for use in uses() if not any(_picks(use, labels) for labels in said.get(use.metric, []))]


def _picks(use: Use, labels: dict[str, str]) -> bool:
    return all(
        name in PROMETHEUS_ADDS
        or (name in labels and (operator.startswith("!") or re.fullmatch(value, labels[name]) is not None))
        for name, operator, value in use.labels
    )


def test_what_they_name_exists() -> None:
    metrics = Metrics()
    of_leases(metrics.registry)
    metrics.edge_request("disconnected-instances", "2xx", 0.1)
    backlog = Backlog(Queue(0, 0.0), Queue(0, 0.0), Queue(0, 0.0), 0, 0)
    now = Snapshot(dict.fromkeys(State, 0), backlog, True, True, {"disconnected-instances": 0.0}, threads=1)
    assert len(uses()) > 40
    assert missing(metrics.exposition(now).decode()) == []


def test_a_name_that_does_not_exist_is_found() -> None:
    assert missing("") == uses()
    assert not _picks(Use("x", (("state", "=", "conected"),)), {"state": "connected"})
    assert not _picks(Use("x", (("stat", "!=", "connected"),)), {"state": "connected"})


def test_the_dashboard_can_be_imported() -> None:
    board = json.loads(GRAFANA.read_text("utf-8"))
    assert board["uid"] == "wa-worker"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    places: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places, f"{panel['title']} overlaps another panel"
        places |= cells
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel.get("targets", []))
    assert {variable["name"] for variable in board["templating"]["list"]} == {"datasource", "job"}


def test_every_alert_says_how_bad_it_is_and_what_it_means() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules()) > 10
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]


def test_the_log_events_that_alerts_point_to_exist() -> None:
    source = "".join(file.read_text() for file in (DOCS.parent / "wa_worker").rglob("*.py"))
    events = re.findall(r'event "([^"]+)"', ALERTS.read_text("utf-8"))
    assert events
    assert [event for event in events if f'"{event}' not in source] == []


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")
def test_promtool_accepts_the_rules() -> None:
    checked = subprocess.run(["promtool", "check", "rules", str(ALERTS)], capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stdout + checked.stderr
