"""One logging set-up for all of us: our events, the libraries' lines and the Go core's, in one format, to stderr.

An event name plus fields; JSON lines when not on a terminal. P8 is kept here: addresses are masked in every
field of every line, wherever it comes from; bodies, QR codes and the secret are never given to a logger at all (the
types that hold them do not show them, and edge.py takes them out of what a proxy answers).

Tracebacks that Python would print by itself (a crash, a thread's, one lost in a native callback) come here, too. What
the native library prints is the business of prints.py: standard output is read and logged, standard error is not
touched, because a Go runtime that aborts must get its last words out.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import unicodedata
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

MOST_OF_A_KIND = 30
"""Lines that differ only in their reason, or that come from the same library, in a REPEAT_WINDOW: the first dozen tells
what goes on, and a line every two seconds is some 20 MB a day."""

_UNMASKED = frozenset({"instance", "timestamp", "level", "logger", "trace"})
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
    renderers: list[Processor] = (
        [escape_texts, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if console
        else [in_order, structlog.processors.JSONRenderer(serializer=_json_line)]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, _add_held_back, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    repeats = None if level == "debug" else RepeatFilter()  # who debugs wants every line
    handler.addFilter(_ForeignLines(repeats))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name, at_least in _QUIET.items():
        logging.getLogger(name).setLevel(max(at_least, logging.getLevelName(level.upper())))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:-1],
            *([repeats] if repeats else []),
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


_FIRST = ("timestamp", "event", "level", "instance")


def in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Puts first what one looks for first in each line: a structlog processor for JSON."""
    first = {key: event[key] for key in _FIRST if key in event}
    return first | {key: value for key, value in event.items() if key not in first}


def escape_texts(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Returns a structlog processor for the console, which shows many texts as they are. Only tracebacks have lines."""
    for key in tuple(event):
        value = event.pop(key)
        if isinstance(value, str):
            value = escaped(value, spare="\n\t" if key in ("exception", "stack") else "")
        event[escaped(key)] = value
    return event


def escaped(text: str, spare: str = "") -> str:
    """Spells, as JSON does, what a terminal or an editor would obey and not show: control characters, marks of the
    direction of writing, separators of lines and paragraphs, half of a surrogate pair. Those in `spare` stay."""
    if text.isprintable():
        return text
    return "".join(
        _spelt(char) if unicodedata.category(char) in _OBEYED and char not in spare else char for char in text
    )


_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def _spelt(char: str) -> str:
    return json.dumps(char)[1:-1] if ord(char) != 0x7F else "\\u007f"


def _json_line(event: EventDict, **options: Any) -> str:
    return escaped(json.dumps(event, ensure_ascii=False, **options))


class _Counts:
    """Lets so many through for each key in a REPEAT_WINDOW, and counts the others. For one thread at a time."""

    MOST = 1024  # keys remembered at once

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._seen: OrderedDict[tuple[Any, ...], tuple[float, int]] = OrderedDict()

    def held_back(self, key: tuple[Any, ...]) -> int | None:
        """Returns how many were held back since the last one that went through, or None: this one is, too."""
        now = time.monotonic()
        since, count = self._seen.get(key, (None, 0))
        if since is not None and now - since < REPEAT_WINDOW:
            self._seen[key] = (since, count + 1)
            return None if count >= self._allowed else 0
        self._seen[key] = (now, 1)
        self._seen.move_to_end(key)
        while len(self._seen) > self.MOST:
            self._seen.popitem(last=False)
        return max(count - self._allowed, 0)


class RepeatFilter:
    """Holds back what a log need not say again: a structlog processor for our lines; `allow()` is for any.

    The same warning or error of an instance goes through once a minute, with a count; of those that differ only in
    their reason, MOST_OF_A_KIND do.
    """

    MOST = _Counts.MOST

    def __init__(self) -> None:
        self._same = _Counts(1)
        self._kinds = _Counts(MOST_OF_A_KIND)
        self._lock = threading.Lock()

    def __call__(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if method not in ("warning", "error", "exception"):
            return event
        kind = (event.get("event"), event.get("instance"))
        counts = self.allow((*kind, event.get("endpoint"), event.get("reason")), kind)
        if counts is None:
            raise structlog.DropEvent
        event.update(counts)
        return event

    def allow(self, line: tuple[Any, ...], kind: tuple[Any, ...]) -> dict[str, int] | None:
        """Decides on a line by what makes it the same and what makes it one of a kind. Any thread.

        Returns the fields that say how many were held back before it, or None: it is held back.
        """
        with self._lock:  # native threads log too
            if (repeated := self._same.held_back(line)) is None or (more := self._kinds.held_back(kind)) is None:
                return None
        counts = {"repeated": repeated, "held_back": more}
        return {name: count for name, count in counts.items() if count}


class _ForeignLines(logging.Filter):
    """Puts the libraries' lines through the repeat filter, whatever their level; ours have passed it.

    They are prose, with whatever varies in the middle: all of a logger are one kind.
    """

    def __init__(self, repeats: RepeatFilter | None) -> None:
        super().__init__()
        self._repeats = repeats

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, dict):
            return True
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - else logging prints a traceback of its own, past all of this
            record.msg, record.args = f"{record.msg} % {record.args}", ()
            text = record.msg
        if self._repeats is None:
            return True
        counts = self._repeats.allow((record.name, text), (record.name,))
        record.held_back = counts or {}
        return counts is not None


def _add_held_back(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event.update(getattr(event.get("_record"), "held_back", {}))
    return event
