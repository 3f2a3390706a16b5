"""What `wa-worker check` makes of the settings."""

from __future__ import annotations

import pytest

from wa_worker.check.configuration import read_configuration
from wa_worker.check.result import Grade
from wa_worker.check.version import Usage

GOOD = {"EDGE_BASE_URL": "https://proxy.example/worker-proxy", "WORKER_SECRET": "a-secret-of-the-tests"}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"EDGE_BASE_URL": "http://proxy.example"}, "plain http to proxy.example"),
        ({"WORKER_SECRET": '"a-secret-of-the-tests"'}, "quotation marks"),
        ({"WORKER_SECRET": "short"}, "fewer than 16"),
        ({"MSG_POL_MS": "500"}, "MSG_POL_MS is no setting; MSG_POLL_MS is one"),
    ],
)
def test_unwise_settings_are_warned_of(settings: dict[str, str], says: str) -> None:
    configuration = read_configuration({**GOOD, **settings})
    first, second = configuration.results
    assert configuration.usable
    assert (first.grade, second.grade) == (Grade.OK, Grade.WARN)
    assert says in second.found
    assert settings.get("WORKER_SECRET", "-") not in second.found.split()


@pytest.mark.parametrize("url", ["http://127.0.0.1:8787", "http://10.0.0.7", "http://proxy", "https://proxy.example"])
def test_an_address_that_nobody_can_listen_to_is_not_warned_of(url: str) -> None:
    assert len(read_configuration({**GOOD, "EDGE_BASE_URL": url}).results) == 1


def test_each_fault_of_the_settings_is_a_line_and_the_rest_is_used() -> None:
    configuration = read_configuration({"EDGE_BASE_URL": GOOD["EDGE_BASE_URL"], "PORT": "x"})
    assert not configuration.usable
    assert [result.grade for result in configuration.results] == [Grade.FAIL, Grade.FAIL]
    assert (configuration.base_url, configuration.secret) == (GOOD["EDGE_BASE_URL"], None)
    assert configuration.auth_dir is not None


def test_what_calls_cost_is_reckoned_with_the_settings_that_are_usable() -> None:
    environ = {"INSTANCE_POLL_MS": "60000", "MSG_POLL_MS": "soon", "MSG_POLL_MAX_MS": "30000"}
    assert read_configuration(environ).usage == Usage(instance_poll=60, message_poll=2, idle_poll=30)
    assert read_configuration({"MSG_POLL_MS": "5000"}).usage == Usage(message_poll=5, idle_poll=0)
