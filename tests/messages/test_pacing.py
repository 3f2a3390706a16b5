"""PACE as somebody writes it: what is meant, and what is wrong with it in one sentence."""

from __future__ import annotations

import pytest

from wa_worker.config import Settings
from wa_worker.errors import ConfigError
from wa_worker.messages.pacing import HeldReason, PaceLimits, pace_limits

SET_UP = {"EDGE_BASE_URL": "http://127.0.0.1:1", "WORKER_SECRET": "s"}


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("off", None),
        ("OFF", None),
        ("on", PaceLimits()),
        ("On", PaceLimits()),
        ("per_minute=20", PaceLimits(per_minute=20)),
        (" first_per_day = 0 , Per_Minute=1, ", PaceLimits(first_per_day=0, per_minute=1)),
        ("unknown_per_minute=3,warm_up_days=0", PaceLimits(unknown_per_minute=3, warm_up_days=0)),
    ],
)
def test_what_is_meant(text: str, limits: PaceLimits | None) -> None:
    assert pace_limits(text) == limits
    assert Settings.from_environ({**SET_UP, "PACE": text}).pace == limits


def test_it_is_off_unless_it_is_set() -> None:
    assert Settings.from_environ(SET_UP).pace is None
    assert Settings.from_environ({**SET_UP, "PACE": ""}).pace is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "yes",
            "has 'yes', which is no part of it: per_minute, unknown_per_minute, first_per_day, warm_up_days. PACE is",
        ),
        ("12", "has '12', which is no part"),
        ("on,per_minute=3", "has 'on', which is no part"),
        ("per_hour=3", "has 'per_hour=3', which is no part"),
        ("per_minute", "has 'per_minute', which is no part"),
        ("per_minute=", "whose value is not a whole number from 1 to 600"),
        ("per_minute=0", "has 'per_minute=0', whose value is not a whole number from 1 to 600"),
        ("per_minute=601", "from 1 to 600"),
        ("per_minute=-1", "from 1 to 600"),
        ("per_minute=1.5", "from 1 to 600"),
        ("per_minute=٣", "from 1 to 600"),
        ("first_per_day=10001", "from 0 to 10000"),
        ("first_per_day=" + "9" * 5000, "from 0 to 10000"),
        ("per_minute=3,per_minute=4", "has per_minute twice; keep one"),
        (",", "has no part. PACE is off, on, or a list"),
    ],
)
def test_what_is_wrong_is_said_once_and_by_name(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Settings.from_environ({**SET_UP, "PACE": text})
    (fault,) = refused.value.faults
    assert fault.startswith("PACE has ")
    assert says in fault


def test_a_reason_is_called_as_its_setting_is() -> None:
    """A word that was released is not changed: proxies compare it, and dashboards."""
    assert [reason.value for reason in HeldReason] == ["rate", "unknown_rate", "first_per_day", "restricted"]
