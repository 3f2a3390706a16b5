"""What is unwise about the settings: said once, with the remedy, and never of what is wise."""

from __future__ import annotations

import attrs
import pytest

from wa_worker.advice import advice_on
from wa_worker.config import Settings
from wa_worker.models import Secret


def advice(url: str = "https://proxy.example", secret: str = "a-secret-of-the-tests", **environ: str) -> list[str]:
    return [one.found for one in advice_on(environ, url, Secret(secret))]


@pytest.mark.parametrize(
    "host",
    ["proxy.example", "8.8.8.8", "[2606:4700::1]", "[::ffff:8.8.8.8]", "proxy.example.", "notlocal", "local.example"],
)
def test_plain_http_over_the_internet_is_unwise(host: str) -> None:
    expected = host != "notlocal"
    assert bool(advice(f"http://{host}/worker-proxy")) is expected
    assert advice(f"https://{host}/worker-proxy") == []


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "proxy", "127.0.0.1", "[::1]", "10.0.0.7", "100.64.1.2", "[fd00::1]", "[::ffff:10.0.0.7]"),
        *("host.docker.internal", "proxy.local.", "proxy.shop.svc", "proxy.shop.svc.cluster.local"),
    ],
)
def test_plain_http_to_a_host_nearby_is_not(host: str) -> None:
    assert advice(f"http://{host}:8787/worker-proxy") == []


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("MSG_POL_MS", "MSG_POLL_MS"),
        ("MSG_POLL", "MSG_POLL_MS"),
        ("MESSAGE_POLL_MS", "MSG_POLL_MS"),
        ("MSG_POLLMAX_MS", "MSG_POLL_MAX_MS"),
        ("msg_poll_ms", "MSG_POLL_MS"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("INSTANCES_POLL_MS", "INSTANCE_POLL_MS"),
        ("AUTHDIR", "AUTH_DIR"),
        ("WORKER_SECRETFILE", "WORKER_SECRET_FILE"),
        ("WORKER_SECRETS", "WORKER_SECRET"),
        ("ON_UNCERTAIN_SENDS", "ON_UNCERTAIN_SEND"),
        ("ADMIN_TOKN", "ADMIN_TOKEN"),
    ],
)
def test_a_misspelt_setting_is_named_with_the_right_one(given: str, meant: str) -> None:
    assert advice(**{given: "x-value"}) == [f"{given} is no setting; {meant} is one"]


OTHERS = """
PATH HOME LANG LC_ALL TERM SHELL USER LOGNAME HOSTNAME PWD OLDPWD TMPDIR TZ EDITOR MAIL COLORTERM NO_COLOR
PORT_3000_TCP PORTS PORT0 PORT_HTTP WA_WORKER_PORT WA_WORKER_SERVICE_HOST WA_WORKER_PORT_3000_TCP_ADDR
KUBERNETES_PORT KUBERNETES_SERVICE_PORT REDIS_PORT POSTGRES_HOST DATABASE_URL BASE_URL PUBLIC_URL
SERVICE_NAME HOST LOG_DIR LOG_FILE DATA_DIR CACHE_DIR AUTH_TOKEN SECRET_KEY API_TOKEN POLL_MS HTTPS_PROXY
NEONIZE_BOT_TAG SSL_CERT_FILE SSL_CERT_DIR PYTHONUNBUFFERED PIP_DISABLE_PIP_VERSION_CHECK GOMEMLIMIT DEVICE
SUPABASE_URL SUPABASE_SERVICE_ROLE_KEY EDGE_FUNCTION_URL INSTANCE_ID INSTANCE_NAME WORKER_ID WORKER_NAME
"""
"""What else stands in the environment of containers."""


def test_no_other_variable_is_taken_for_one() -> None:
    assert advice(**dict.fromkeys(OTHERS.split(), "x-value")) == []
    assert advice(MSG_POL_MS="") == [], "an empty one counts as not given"


def test_all_settings_and_their_files_are_known() -> None:
    names = [field.metadata["name"] for field in attrs.fields(Settings)]
    assert advice(**{name + end: "x-value" for name in names for end in ("", "_FILE")}) == []


def test_a_short_admin_token_is_unwise() -> None:
    def found(token: str) -> list[str]:
        given = advice_on({}, "https://proxy.example", Secret("a-secret-of-the-tests"), Secret(token))
        return [one.found for one in given]

    assert [each.partition(":")[0] for each in found("x" * 15)] == ["ADMIN_TOKEN has fewer than 16 characters"]
    assert found("x" * 16) == []
