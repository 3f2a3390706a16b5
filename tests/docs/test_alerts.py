"""docs/alerts.yaml in nights that happen: which alerts fire when, and that a quiet night is quiet.

Played by `promtool test rules`, with the metrics of a worker in minutes. A night names what differs from zero.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml

from tests.docs.test_dashboards import ALERTS, DOCS, rules
from wa_worker.metrics import ATTENTION
from wa_worker.states import State

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")

FIRING = 'count by (alertname, severity) (ALERTS{alertstate="firing"})'
SEVERITIES = {rule["alert"]: rule["labels"]["severity"] for rule in rules()}


def always(value: int, minutes: int = 1500) -> str:
    """A value for so long, in promtool's words."""
    return f"{value}+0x{minutes}"


@attrs.frozen
class Night:
    """What the worker's metrics say, by the minute, and which alerts fire when.

    states, attention: values of the two gauges, by label. others: further series.
    """

    name: str
    fires: Mapping[str, str]
    states: Mapping[str, str] = attrs.Factory(dict)
    attention: Mapping[str, str] = attrs.Factory(dict)
    others: Mapping[str, str] = attrs.Factory(dict)
    job: str = "wa-worker"

    def series(self) -> dict[str, str]:
        here = f'job="{self.job}",instance="w:3000"'
        found = {name.replace("{", f"{{{here},"): values for name, values in self.others.items()}
        if self.states:
            for state in State:
                label = state.name.lower()
                name = f'wa_worker_instances{{{here},state="{label}"}}'
                found[name] = self.states.get(label, always(0))
            for event in ATTENTION:
                label = event.name.lower()
                name = f'wa_worker_instances_attention{{{here},because="{label}"}}'
                found[name] = self.attention.get(label, always(0))
        return found


INFO = 'wa_worker_info{version="0.1.0"}'
UP = "up{}"
DEAD = 'wa_worker_takeovers_total{because="dead"}'
FENCED, LEFT = "wa_worker_fenced_total{}", "wa_worker_lease_seconds_left{}"
PACED = "wa_worker_paced_messages{reason="

NIGHTS = [
    Night(
        "one of thirty is banned for a day and tried again each hour",
        {"0m": "", "5m": "WaWorkerBanned", "2h": "WaWorkerBanned", "23h": "WaWorkerBanned", "24h30m": ""},
        {
            "connected": "29+0x1440 30+0x60",
            "held": "1+0x58 0 " * 24 + "0+0x60",
            "opening": "0+0x58 1 " * 24 + "0+0x60",
        },
        {"banned": "1+0x1440 0+0x60"},
    ),
    Night(
        "the only number is banned",
        {"5m": "WaWorkerBanned", "15m": "WaWorkerBanned WaWorkerManyAway", "20h": "WaWorkerBanned WaWorkerManyAway"},
        {"held": always(1)},
        {"banned": always(1)},
    ),
    Night(
        "all thirty phones are logged out",
        {"5m": "", "12m": "WaWorkerManyAway", "10h": "WaWorkerManyAway WaWorkerLoggedOut"},
        {"pairing": always(30)},
        {"logged_out": always(30)},
    ),
    Night(
        "a third is down for four hours and tries again",
        {"5m": "", "12m": "WaWorkerManyAway", "4h": "WaWorkerManyAway WaWorkerInstancesDown"},
        {"connected": always(20), "opening": always(3), "retrying": always(5), "reconnecting": always(2)},
    ),
    Night(
        "the only number is down, now opening and now retrying",
        {"5m": "", "12m": "WaWorkerManyAway", "2h": "WaWorkerManyAway WaWorkerInstancesDown"},
        {"opening": "1 0 " * 120, "retrying": "0 1 " * 120},
    ),
    Night(
        "one of a hundred does not come back",
        {"12m": "", "20m": "WaWorkerInstancesDown"},
        {"connected": always(99), "retrying": always(1)},
    ),
    Night(
        "nobody scans the first code",
        {"1h50m": "", "3h": "WaWorkerNotScanned"},
        {"pairing": always(1)},
        {"unpaired": always(1)},
    ),
    Night(
        "the only paired number is down among many that wait for a scan",
        {"12m": "WaWorkerManyAway"},
        {"pairing": always(9), "retrying": always(1)},
        {"unpaired": always(9)},
    ),
    Night(
        "a second worker takes a session, and WhatsApp refuses the version",
        {"0m": "", "5m": "WaWorkerReplaced WaWorkerOutdated"},
        {"connected": always(8), "held": always(2)},
        {"replaced": always(1), "outdated": always(1)},
    ),
    Night(
        "WhatsApp asks for a passkey when the only number is linked",
        {"0m": "", "5m": "WaWorkerPasskey", "20m": "WaWorkerPasskey WaWorkerManyAway"},
        {"held": always(1)},
        {"passkey": always(1)},
    ),
    Night(
        "a login is refused, and a hold is from before the start",
        {"10m": "", "20m": "WaWorkerLoginRefused"},
        {"connected": always(8), "held": always(2)},
        {"refused": always(1), "still_held": always(1)},
    ),
    Night(
        "quiet: a deploy, a short flap of a third, a customer who takes his time to scan",
        dict.fromkeys(("61m", "62m", "90m", "121m", "125m", "130m", "4h"), ""),
        {
            "connected": "30+0x59 0 30+0x59 20+0x5 30+0x200",
            "opening": "0+0x59 30 0+0x300",
            "reconnecting": "0+0x119 10+0x5 0+0x200",
            "pairing": "0+0x30 1+0x100 0+0x200",
        },
        {"unpaired": "0+0x30 1+0x100 0+0x200"},
        {UP: "1+0x59 0 1+0x200", INFO: "1+0x59 stale 1+0x200"},
    ),
    *(
        Night(
            f"the worker is down, and its job is called {job}",
            {"15m": "", "22m": "", "30m": "WaWorkerDown"},
            others={UP: "1+0x20 0+0x60", INFO: "1+0x20 stale"},
            job=job,
        )
        for job in ("wa-worker", "messages")
    ),
    Night(
        "the worker is gone, and its target with it",
        {"15m": "", "30m": "WaWorkerDown"},
        others={UP: "1+0x20 stale", INFO: "1+0x20 stale"},
        job="messages",
    ),
    Night(
        "another program of the same Prometheus is down",
        {"30m": ""},
        others={UP: "1+0x20 0+0x60"},
    ),
    Night(
        "the worker starts again and again",
        {"10m": "", "50m": "WaWorkerRestarts"},
        others={
            "process_start_time_seconds{}": "1+0x9 2+0x9 3+0x9 4+0x9 5+0x9 6+0x9",
            INFO: always(1),
            UP: always(1),
        },
        job="messages",
    ),
    Night(
        "PACE: first messages are refused for an hour",
        {"10m": "", "20m": "WaWorkerPaceRestricted", "65m": "WaWorkerPaceRestricted", "80m": ""},
        others={PACED + '"restricted"}': "0+0x9 12+0x59 0+0x60", PACED + '"rate"}': always(0)},
    ),
    Night(
        "PACE: a campaign is larger than what a day lets go, over a restart",
        {"22h": "", "24h": "WaWorkerPaceBehind"},
        others={PACED + '"first_per_day"}': "40+0x600 0+0x10 40+0x1000", PACED + '"rate"}': always(0)},
    ),
    Night(
        "quiet: PACE spreads a campaign over twenty hours, and some messages by the minute",
        {"20h": "", "24h": "", "48h": ""},
        others={PACED + '"first_per_day"}': "40+0x1200 0+0x1800", PACED + '"rate"}': "3 0 " * 1500},
    ),
    Night(
        "a worker dies, and two others take what it had",
        {"15m": "", "25m": "WaWorkerTakenOver", "45m": ""},
        others={DEAD: "0+0x19 7+0x60", FENCED: always(0)},
    ),
    Night(
        "a worker that was fenced is scraped before it is gone",
        {"5m": "", "15m": "WaWorkerTakenOver", "40m": ""},
        others={FENCED: "0+0x10 1 0+0x60", DEAD: always(0)},
    ),
    Night(
        "PostgreSQL is slow: leases are renewed late for minutes",
        {"11m": "", "15m": "WaWorkerLeaseShort", "30m": ""},
        others={LEFT: "9+0x9 5+0x9 9+0x30"},
    ),
    Night(
        "quiet: a deploy hands instances over, new ones come, and one renewal is late",
        dict.fromkeys(("11m", "12m", "13m", "20m", "30m"), ""),
        others={
            'wa_worker_takeovers_total{because="free"}': "0+0x9 20+0x60",
            'wa_worker_takeovers_total{because="new"}': "0+0x9 5+0x60",
            LEFT: "9+0x9 3+0x1 8+0x60",
            DEAD: always(0),
            FENCED: always(0),
        },
    ),
    Night(
        "descriptors run short",
        {"10m": "", "20m": "WaWorkerDescriptorsShort"},
        others={"process_open_fds{}": always(900), "process_max_fds{}": always(1000), INFO: always(1), UP: always(1)},
        job="messages",
    ),
    Night(
        "descriptors of another program run short",
        {"20m": ""},
        others={"process_open_fds{}": always(900), "process_max_fds{}": always(1000)},
    ),
]


def as_promtool_reads_it(night: Night) -> dict[str, Any]:
    samples = {
        time: [
            {"labels": f'{{alertname="{name}",severity="{SEVERITIES[name]}"}}', "value": 1} for name in names.split()
        ]
        for time, names in night.fires.items()
    }
    return {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in night.series().items()],
                "promql_expr_test": [
                    {"expr": FIRING, "eval_time": time, "exp_samples": expected} for time, expected in samples.items()
                ],
            }
        ],
    }


@needs_promtool
@pytest.mark.parametrize("night", NIGHTS, ids=lambda night: night.name)
def test_a_night(night: Night, tmp_path: Path) -> None:
    file = tmp_path / "night.yaml"
    file.write_text(yaml.safe_dump(as_promtool_reads_it(night)), "utf-8")
    played = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=60)
    assert played.returncode == 0, played.stdout + played.stderr


@needs_promtool
def test_a_night_that_goes_otherwise_is_noticed(tmp_path: Path) -> None:
    night = attrs.evolve(NIGHTS[0], fires={"2h": ""})
    file = tmp_path / "night.yaml"
    file.write_text(yaml.safe_dump(as_promtool_reads_it(night)), "utf-8")
    played = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=60)
    assert played.returncode == 1
    assert "WaWorkerBanned" in played.stdout + played.stderr


def test_each_alert_is_in_the_manual_with_what_to_do() -> None:
    manual = (DOCS / "operations.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(WaWorker\w+)` \| (?:page|ticket) \| [^|]+ \| ([^|]+) \|$", manual, re.MULTILINE))
    assert sorted(rows) == sorted(SEVERITIES)
    for name, severity in SEVERITIES.items():
        assert f"| `{name}` | {severity} |" in manual, name


def test_no_rule_names_a_job() -> None:
    assert not [rule["alert"] for rule in rules() if re.search(r'job\s*(=|=~)\s*"', rule["expr"])]
