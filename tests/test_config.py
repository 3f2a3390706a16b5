"""Settings: all faults at once, each with its remedy; secrets never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from wa_worker.config import LogFormat, OnUncertain, Settings
from wa_worker.errors import ConfigError
from wa_worker.messages import Wanted
from wa_worker.models import Secret, Shard

REQUIRED = {"EDGE_BASE_URL": "https://x.supabase.co/functions/v1/worker-proxy", "WORKER_SECRET": "hush-hush-42"}


def faults(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        Settings.from_environ(environ)
    return error.value.faults


def test_defaults_are_the_contracts() -> None:
    settings = Settings.from_environ({**REQUIRED, "HOME": "/root"})
    assert settings == Settings(
        edge_base_url="https://x.supabase.co/functions/v1/worker-proxy",
        worker_secret=Secret("hush-hush-42"),
        port=3000,
        auth_dir=Path("/data/auth"),
        instance_poll=10.0,
        message_poll=2.0,
        default_region="BR",
        on_uncertain_send=OnUncertain.RESEND,
        log_format=LogFormat.AUTO,
    )


@attrs.frozen
class Good:
    name: str
    value: str
    field: str
    means: object


GOOD = [
    Good("EDGE_BASE_URL", "http://localhost:8000/", "edge_base_url", "http://localhost:8000"),
    Good("EDGE_BASE_URL", " https://a.b/c// ", "edge_base_url", "https://a.b/c"),
    Good("EDGE_BASE_URL", "http://[::1]:8000", "edge_base_url", "http://[::1]:8000"),
    Good("WORKER_SECRET", " padded\n", "worker_secret", Secret("padded")),
    Good("PORT", "0", "port", 0),
    Good("PORT", "65535", "port", 65535),
    Good("BIND_HOST", "127.0.0.1", "bind_host", "127.0.0.1"),
    Good("AUTH_DIR", "/a b", "auth_dir", Path("/a b")),
    Good("INSTANCE_POLL_MS", "2500", "instance_poll", 2.5),
    Good("MSG_POLL_MS", "50", "message_poll", 0.05),
    Good("MSG_POLL_MS", "", "message_poll", 2.0),
    Good("DEVICE_NAME", "Loja São Paulo", "device_name", "Loja São Paulo"),
    Good("DEFAULT_REGION", "pt", "default_region", "PT"),
    Good("ON_UNCERTAIN_SEND", "HOLD", "on_uncertain_send", OnUncertain.HOLD),
    Good("FORWARD_KINDS", "", "forward_kinds", None),
    Good("FORWARD_KINDS", " Edit, from_me,", "forward_kinds", frozenset({Wanted.EDIT, Wanted.FROM_ME})),
    Good("FORWARD_KINDS", "all", "forward_kinds", frozenset(Wanted)),
    Good("DEAD_MESSAGE_DAYS", "7", "dead_kept", 604_800.0),
    Good("WORKER_SHARD", "2/3", "worker_shard", Shard(2, 3)),
    Good("WORKER_SHARD", "", "worker_shard", None),
    Good("LOG_LEVEL", "Debug", "log_level", "debug"),
    Good("LOG_FORMAT", "json", "log_format", LogFormat.JSON),
]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: f"{case.name}={case.value}")
@pytest.mark.parametrize("from_file", [False, True])
def test_a_setting(case: Good, from_file: bool, tmp_path: Path) -> None:
    given = {case.name: case.value}
    if from_file and case.value:
        file = tmp_path / "setting"
        file.write_text(case.value + "\n", "utf-8")
        given = {f"{case.name}_FILE": str(file), case.name: ""}
    environ = {name: text for name, text in REQUIRED.items() if name != case.name} | given
    assert getattr(Settings.from_environ(environ), case.field) == case.means


@attrs.frozen
class Bad:
    name: str
    value: str
    says: str


BAD = [
    Bad("EDGE_BASE_URL", "", "is not set"),
    Bad("EDGE_BASE_URL", "x.supabase.co", "http(s) URL"),
    Bad("EDGE_BASE_URL", "ftp://x", "http(s) URL"),
    Bad("EDGE_BASE_URL", "https://", "http(s) URL"),
    Bad("EDGE_BASE_URL", "http://[::1", "IPv6"),
    Bad("EDGE_BASE_URL", "https://x/?key=1", "query"),
    Bad("EDGE_BASE_URL", "https://x/#top", "fragment"),
    Bad("EDGE_BASE_URL", "https://x:port/", "port"),
    Bad("EDGE_BASE_URL", "https://x:99999/", "port"),
    Bad("EDGE_BASE_URL", "https://ana:pass@x/", "user"),
    Bad("WORKER_SECRET", "", "is not set"),
    Bad("WORKER_SECRET", "  ", "empty"),
    Bad("WORKER_SECRET", "two words", "HTTP header"),
    Bad("WORKER_SECRET", "line\nbreak", "HTTP header"),
    Bad("WORKER_SECRET", "ção", "HTTP header"),
    Bad("PORT", "http", "whole number from 0 to 65535"),
    Bad("PORT", "65536", "whole number"),
    Bad("PORT", "-1", "whole number"),
    Bad("PORT", "--1", "whole number"),
    Bad("PORT", "80.0", "whole number"),
    Bad("PORT", "8_000", "whole number"),
    Bad("PORT", "+80", "whole number"),
    Bad("PORT", "\u0663\u0660\u0660\u0660", "whole number"),
    Bad("PORT", "9" * 5000, "PORT"),
    Bad("INSTANCE_POLL_MS", "99", "from 100"),
    Bad("DEAD_MESSAGE_DAYS", "0", "from 1"),
    Bad("INSTANCE_POLL_MS", "10s", "whole number"),
    Bad("MSG_POLL_MS", "49", "from 50"),
    Bad("MSG_POLL_MS", "0", "from 50"),
    Bad("AUTH_DIR", " ", "empty"),
    Bad("DEFAULT_REGION", "55", "two letters of ISO 3166"),
    Bad("DEFAULT_REGION", "+55", "two letters of ISO 3166"),
    Bad("DEFAULT_REGION", "BRA", "two letters of ISO 3166"),
    Bad("DEFAULT_REGION", "Brasil", "two letters of ISO 3166"),
    Bad("DEFAULT_REGION", "ZZ", "two letters of ISO 3166"),
    Bad("DEFAULT_REGION", "001", "two letters of ISO 3166"),
    Bad("ON_UNCERTAIN_SEND", "retry", "resend, hold"),
    Bad(
        "FORWARD_KINDS",
        "edit,delete",
        "'delete', which is none of: edit, revoke, reaction, call, view_once, from_me, all",
    ),
    Bad("WORKER_SHARD", "3", "WORKER_SHARD is not a shard such as 1/3"),
    Bad("WORKER_SHARD", "0/3", "WORKER_SHARD counts from 1"),
    Bad("LOG_LEVEL", "loud", "debug, info, warning, error"),
    Bad("LOG_FORMAT", "xml", "auto, json, console"),
]


@pytest.mark.parametrize(
    "case",
    BAD,
    ids=lambda case: f"{case.name}={case.value[:20]}",
)
def test_a_fault(case: Bad) -> None:
    (fault,) = faults({**REQUIRED, case.name: case.value})
    assert fault.startswith(case.name)
    assert case.says in fault


def test_all_faults_at_once() -> None:
    found = faults({"PORT": "x", "MSG_POLL_MS": "y", "LOG_LEVEL": "z"})
    assert [fault.split()[0] for fault in found] == [
        "EDGE_BASE_URL",
        "WORKER_SECRET",
        "PORT",
        "MSG_POLL_MS",
        "LOG_LEVEL",
    ]


def test_both_ways_at_once(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("1")
    (fault,) = faults({**REQUIRED, "PORT": "1", "PORT_FILE": str(tmp_path / "port")})
    assert "PORT_FILE are both set" in fault


def test_files_that_do_not_help(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe\x00")
    found = faults(
        {
            "EDGE_BASE_URL_FILE": str(tmp_path / "missing"),
            "WORKER_SECRET_FILE": str(empty),
            "PORT_FILE": str(binary),
            "AUTH_DIR_FILE": str(tmp_path),
        }
    )
    assert [fault.split()[0] for fault in found] == ["EDGE_BASE_URL", "WORKER_SECRET", "PORT", "AUTH_DIR"]
    for fault, path in zip(found, ("missing", "empty", "binary", str(tmp_path)), strict=True):
        assert path in fault
        assert "_FILE" in fault


def test_the_secret_is_not_shown() -> None:
    settings = Settings.from_environ(REQUIRED)
    assert settings.worker_secret.reveal() == "hush-hush-42"
    for text in (repr(settings), str(settings), f"{settings.worker_secret}", repr(attrs.asdict(settings))):
        assert "hush" not in text
    (fault,) = faults({**REQUIRED, "WORKER_SECRET": "hush hush"})
    assert "hush" not in fault


@pytest.mark.parametrize("field", attrs.fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_documented(field: Any) -> None:
    metadata = field.metadata
    assert metadata["name"].isupper()
    assert len(metadata["help"]) > 10
    assert not field.name.endswith("_ms")
    given = field.default is not attrs.NOTHING
    assert given == (metadata["name"] not in REQUIRED)


def test_names_are_unique() -> None:
    names = [field.metadata["name"] for field in attrs.fields(Settings)]
    assert len(set(names)) == len(names)
    assert not [name for name in names if name.endswith("_FILE")]
