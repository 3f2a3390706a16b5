"""One logging set-up for all of us: our events, the libraries' lines and the Go core's, in one format, to stderr.

An event name plus fields; JSON lines when not on a terminal. P8 is kept here: addresses are masked in every
field of every line, wherever it comes from; bodies, QR codes and the secret are never given to a logger at all (the
types that hold them do not show them, and edge.py takes them out of what a proxy answers).

Tracebacks that Python would print by itself (a crash, a thread's, one lost in a native callback) come here, too. What
the native library prints is the business of prints.py: standard output is read and logged, standard error is not
touched, because a Go runtime that aborts must get its last words out.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from wa_worker.config import LogFormat
from wa_worker.jid import masked, masked_address
from wa_worker.jid.numbering import DEFAULT_REGION

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

REPEAT_WINDOW = 60.0
"""Seconds in which the same warning of the same instance is logged once; the next one carries the count."""

_UNMASKED = frozenset({"instance", "timestamp", "level", "logger"})
_ADDRESSES = frozenset(
    {
        "account",
        "chat",
        "chats",
        "from",
        "jid",
        "lid",
        "me",
        "number",
        "participant",
        "phone",
        "pn",
        "recipient",
        "sender",
    }
    | {"to", "chat_id", "sender_id", "sender_lid", "recipient_id", "wa_from", "wa_to"}
)
"""Fields that hold addresses, whatever they look like."""
_QUIET = {
    "httpx": logging.WARNING,  # one INFO line per request
    "httpcore": logging.WARNING,
    "hypercorn": logging.WARNING,
    "hypercorn.error": logging.WARNING,
    "neonize": logging.WARNING,
    "neonize.utils.ffmpeg": logging.ERROR,  # media is not what we send
    "neonize.utils.log": logging.WARNING,  # the level it hands to the Go core
    "whatsmeow": logging.WARNING,
    "whatsmeow.Client.Socket": logging.ERROR,  # a warning per close, always the same
    "Whatsmeow": logging.WARNING,
    "PIL": logging.WARNING,
}


def set_up_logs(level: str, form: LogFormat, region: str = DEFAULT_REGION) -> None:
    """Routes structlog and the standard library's logging to stderr. Call once, before neonize is imported.

    `region`: where the phone numbers are dialled that have no country code, and that are masked all the same.

    neonize calls `logging.basicConfig` on import: since the root logger has a handler by then, that does nothing.
    """
    mask_all = partial(mask, region=region)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        mask_all,
    ]
    console = form is LogFormat.CONSOLE or (form is LogFormat.AUTO and sys.stderr.isatty())
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if console
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name, at_least in _QUIET.items():
        logging.getLogger(name).setLevel(max(at_least, logging.getLevelName(level.upper())))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:-1],
            *([RepeatFilter()] if level != "debug" else []),  # who debugs wants every line
            mask_all,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    _take_tracebacks()


def log_crash(error: BaseException) -> None:
    """The last line of a process that ends because of an error nobody expected."""
    structlog.get_logger(__name__).critical("crashed", exc_info=error)


def _take_tracebacks() -> None:
    """Python prints these to stderr as they are: unmasked, and a line for each line of them."""
    log = structlog.get_logger(__name__)
    logging.captureWarnings(capture=True)
    sys.excepthook = lambda _kind, error, _traceback: log_crash(error)
    threading.excepthook = lambda args: log.error("a thread crashed", exc_info=args.exc_value)
    sys.unraisablehook = lambda args: log.error("an error was lost", where=args.err_msg, exc_info=args.exc_value)


def mask(_logger: WrappedLogger, _method: str, event: EventDict, region: str = DEFAULT_REGION) -> EventDict:
    """Masks addresses in every text of the event, by its field or else by their shape: a structlog processor."""
    for key, value in event.items():
        if key in _UNMASKED or isinstance(value, bool | float | None):
            continue
        if key in _ADDRESSES:
            text = masked_address(str(value))
            event[key] = value if text == str(value) and isinstance(value, int) else text
        elif not isinstance(value, int):
            event[key] = masked(value if isinstance(value, str) else str(value), region)
    return event


class RepeatFilter:
    """Lets the same warning or error of an instance through once a minute, with a count: a structlog processor."""

    MOST = 1024  # kinds remembered at once

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[Any, ...], tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if method not in ("warning", "error", "exception"):
            return event
        with self._lock:  # native threads log too
            return self._once(event)

    def _once(self, event: EventDict) -> EventDict:
        key = (event.get("event"), event.get("instance"), event.get("endpoint"), event.get("reason"))
        now = time.monotonic()
        since, dropped = self._seen.get(key, (0.0, 0))
        if since and now - since < REPEAT_WINDOW:
            self._seen[key] = (since, dropped + 1)
            raise structlog.DropEvent
        self._seen[key] = (now, 0)
        self._seen.move_to_end(key)
        while len(self._seen) > self.MOST:
            self._seen.popitem(last=False)
        if dropped:
            event["repeated"] = dropped
        return event
