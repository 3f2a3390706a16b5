"""Settings from the environment: the only reader of it, all faults at once.

Each setting may be given as `NAME`, or as `NAME_FILE`, the path of a file that holds the value (how container hosts
hand over secrets). A fault names the setting, what is wrong, and the remedy.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from wa_worker.config import converters as to
from wa_worker.errors import ConfigError
from wa_worker.jid import numbering
from wa_worker.messages.pacing import PaceLimits, pace_limits
from wa_worker.messages.wanted import Wanted
from wa_worker.models import Secret, Shard
from wa_worker.postgres.url import StateUrl


class OnUncertain(enum.Enum):
    """Says what to do with a message that may or may not have left (P2)."""

    RESEND = "resend"
    HOLD = "hold"


class History(enum.Enum):
    """Says what the phone is asked to send of its history when it links a device."""

    OFF = "off"
    RECENT = "recent"


class MediaIn(enum.Enum):
    """Says whether files of received messages are passed on."""

    ON = "on"
    OFF = "off"


class LogFormat(enum.Enum):
    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


def _setting(name: str, convert: Callable[[str], Any], help: str, *, default: Any = attrs.NOTHING) -> Any:  # noqa: A002
    return attrs.field(default=default, metadata={"name": name, "convert": convert, "help": help}, kw_only=True)


@attrs.frozen
class Settings:
    """Holds everything configurable. Durations are in seconds here, in milliseconds in the environment (`..._MS`)."""

    edge_base_url: str = _setting("EDGE_BASE_URL", to.url, "base URL of the worker-proxy")
    worker_secret: Secret = _setting("WORKER_SECRET", to.secret, "shared secret, sent as a bearer token")
    port: int = _setting("PORT", to.whole(0, 65535), "port of the health endpoint (0: any free one)", default=3000)
    bind_host: str = _setting("BIND_HOST", to.text, "address the health endpoint listens on", default="0.0.0.0")  # noqa: S104
    auth_dir: Path = _setting(
        "AUTH_DIR", lambda v: Path(to.text(v)), "folder of the sessions and the journal", default=Path("/data/auth")
    )
    state_url: StateUrl | None = _setting(
        "STATE_URL",
        StateUrl.of,
        "PostgreSQL that several workers share, with the sessions and the journal (else these are in AUTH_DIR)",
        default=None,
    )
    worker_capacity: int = _setting(
        "WORKER_CAPACITY",
        to.whole(0, 100_000),
        "with STATE_URL: how many instances this worker takes at the most (0: no limit)",
        default=0,
    )
    drain: float = _setting(
        "DRAIN_MS",
        to.seconds(0, 600_000),
        "with STATE_URL: how long a worker that is told to stop hands its instances to the others",
        default=4.0,
    )
    instance_poll: float = _setting(
        "INSTANCE_POLL_MS", to.seconds(100, 3_600_000), "how often to ask which instances to connect", default=10.0
    )
    message_poll: float = _setting(
        "MSG_POLL_MS", to.seconds(50, 3_600_000), "how often a connected instance asks for messages", default=2.0
    )
    message_poll_max: float = _setting(
        "MSG_POLL_MAX_MS",
        to.seconds(0, 3_600_000),
        "to what an idle instance's poll interval grows (0 or below MSG_POLL_MS: it does not)",
        default=0.0,
    )
    events_at_once: int = _setting(
        "EVENTS_AT_ONCE",
        to.whole(1, 64),
        "how many calls of /events are under way at the most (version 2 of the contract)",
        default=4,
    )
    worker_shard: Shard | None = _setting(
        "WORKER_SHARD", Shard.from_text, "which of all instances this worker runs: 1/3, 2/3 or 3/3, say", default=None
    )
    device_name: str = _setting(
        "DEVICE_NAME", to.text, "name shown on the phone under linked devices", default="wa-worker"
    )
    pairings_at_once: int = _setting(
        "PAIRINGS_AT_ONCE",
        to.whole(1, 1000),
        "how many instances show QR codes at the same time; the others wait their turn",
        default=64,
    )
    forward_kinds: frozenset[Wanted] | None = _setting(
        "FORWARD_KINDS",
        to.kinds,
        "what goes to the proxy only if wanted: a list of edit, revoke, reaction, call, view_once, from_me; or all",
        default=None,
    )
    default_region: str = _setting(
        "DEFAULT_REGION",
        to.region,
        "where a phone number without country code is dialled (two letters)",
        default=numbering.DEFAULT_REGION,
    )
    on_uncertain_send: OnUncertain = _setting(
        "ON_UNCERTAIN_SEND",
        to.choice(OnUncertain),
        "a message that may have left when the worker died: resend it, or hold it for a person",
        default=OnUncertain.RESEND,
    )
    pace: PaceLimits | None = _setting(
        "PACE",
        pace_limits,
        "how fast an instance writes, and to how many new people: off, on, or per_minute=12,first_per_day=30 and so on",
        default=None,
    )
    dead_kept: float = _setting(
        "DEAD_MESSAGE_DAYS",
        to.days(1, 3650),
        "how long a received message that the proxy refuses can be retried; then its content is discarded",
        default=30 * 86_400.0,
    )
    history: History = _setting(
        "HISTORY", to.choice(History), "what a phone that is linked is asked for of its history", default=History.OFF
    )
    send_read_receipts: bool = _setting(
        "SEND_READ_RECEIPTS", to.flag, "1: what the proxy has taken is marked as read at WhatsApp", default=False
    )
    media_in: MediaIn = _setting(
        "MEDIA_IN",
        to.choice(MediaIn),
        "on: files of received messages go to the proxy's storage, if it takes files; off: they do not",
        default=MediaIn.ON,
    )
    media_disk: int = _setting(
        "MEDIA_DISK_MB",
        to.whole(1, 1_000_000),
        "how many MB of received files may lie on the volume",
        default=512,
    )
    media_max: int = _setting(
        "MEDIA_MAX_MB", to.whole(1, 64), "the largest file that is received or sent, in MB", default=16
    )
    media_allow_private: bool = _setting(
        "MEDIA_ALLOW_PRIVATE",
        to.flag,
        "1: links of files to send may lead to private addresses and be plain http, for intranets and tests",
        default=False,
    )
    admin_token: Secret | None = _setting(
        "ADMIN_TOKEN", to.secret, "opens /admin and GET /instances on the health port", default=None
    )
    admin_show_qr: bool = _setting("ADMIN_SHOW_QR", to.flag, "1: the admin page shows QR codes", default=False)
    log_level: str = _setting(
        "LOG_LEVEL", lambda v: str(to.choice(_LogLevel)(v).value), "debug, info, warning or error", default="info"
    )
    log_format: LogFormat = _setting(
        "LOG_FORMAT", to.choice(LogFormat), "json, console, or auto (console on a terminal)", default=LogFormat.AUTO
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Reads all settings. Raises ConfigError with every fault. An empty value counts as not given."""
        values: dict[str, Any] = {}
        faults: list[str] = []
        for field in attrs.fields(cls):
            name, convert = field.metadata["name"], field.metadata["convert"]
            try:
                text = lookup(environ, name)
                if text is not None:
                    values[field.name] = convert(text)
                elif field.default is attrs.NOTHING:
                    faults.append(f"{name} is not set: {field.metadata['help']}. Set {name} or {name}_FILE.")
            except ValueError as error:
                faults.append(f"{name} {error}.")
        if faults:
            raise ConfigError(faults)
        return cls(**values)


def auth_dir_from(environ: Mapping[str, str]) -> Path:
    """AUTH_DIR by itself, for commands that need no proxy. Raises ConfigError."""
    field = attrs.fields(Settings).auth_dir
    name = field.metadata["name"]
    try:
        text = lookup(environ, name)
        path: Any = field.default if text is None else field.metadata["convert"](text)
    except ValueError as error:
        raise ConfigError([f"{name} {error}."]) from None
    return Path(path)


class _LogLevel(enum.Enum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def lookup(environ: Mapping[str, str], name: str) -> str | None:
    """The text of NAME or of the file NAME_FILE, None if neither is set. Raises ValueError."""
    direct, path = environ.get(name) or None, environ.get(f"{name}_FILE") or None
    if path is None:
        return direct.strip() if direct else None
    if direct is not None:
        raise ValueError(f"and {name}_FILE are both set; keep one")
    try:
        text = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read from {name}_FILE={path}: {error}") from None
    if not text:
        raise ValueError(f"is empty in {name}_FILE={path}")
    return text
