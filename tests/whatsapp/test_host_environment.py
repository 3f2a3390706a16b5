"""What a pairing host gets of the environment: what it needs, whatever else there is."""

from __future__ import annotations

import pytest

from wa_worker.whatsapp.host_environment import PASSED_ON, host_environment

SECRET = [
    "WORKER_SECRET",
    "WORKER_SECRET_FILE",
    "ADMIN_TOKEN",
    "EDGE_BASE_URL",
    "PGPASSWORD",
    "PYTHON_TOKEN",
    "GO_SECRET",
    "MY_PROXY_PASSWORD",
    "my_proxy",
    "SOME_PROXY",
    "XLC_ALL",
]
NEEDED = ["PATH", "HTTPS_PROXY", "https_proxy", "no_proxy", "LC_ALL", "SSL_CERT_FILE", "TZ", "NEONIZE_BOT_TAG"]


@pytest.mark.parametrize("name", SECRET)
def test_what_it_does_not_get(name: str) -> None:
    assert host_environment({name: "x"}) == {}


@pytest.mark.parametrize("name", NEEDED)
def test_what_it_gets(name: str) -> None:
    assert host_environment({name: "x"}) == {name: "x"}


def test_no_name_on_the_list_is_that_of_a_secret() -> None:
    assert not [
        name for name in PASSED_ON if any(word in name for word in ("SECRET", "TOKEN", "PASSWORD", "KEY", "EDGE"))
    ]
