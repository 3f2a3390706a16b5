"""What the native library prints to standard output, as lines of our log.

The Go core prints to file descriptor 1 and 2 as it likes. Descriptor 1 is taken over by a pipe and a thread that
reads it: what a process leaves in that pipe when it dies is chatter. Descriptor 2 is left alone: a Go runtime that
aborts (`fatal error: concurrent map writes`) writes its last words there and is gone in the same moment, so a pipe
read in this process would lose them, and so would one read by another: in a container this process is number 1, and
the kernel kills the others with it. The price is one line that is not JSON for each session that opens, "Press Ctrl+C
to exit". In a pairing host both descriptors are a pipe to us: there the parent outlives the one that aborts.
"""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

log = structlog.get_logger(__name__)

_CHATTER = ("Press Ctrl+C to exit", "Login event:", "SendMessage: ")
"""Said by our own lines, too, where it matters: in the session's states and in what became of a message."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z? *")
"""The library's own timestamp in a line: ours is enough, and without it repeats can be told."""

_LONGEST = 500
"""Characters of a line that are logged."""

_ENDS_WITHOUT_NEWLINE = 65_536
"""Bytes after which a line is taken to be one though it does not end."""

LAST_WORDS = 0.5
"""Seconds at the end for what is still in the pipe."""


def log_printed(line: bytes, event: str, **fields: Any) -> None:
    """Logs a line that the library printed: what it always prints at debug, anything else as a warning."""
    text = _TIME.sub("", line.decode("utf-8", "replace")).strip()
    if not text:
        return
    chatter = text.startswith(_CHATTER) or text.isdigit()  # neonize prints the bare exit status of a child
    (log.debug if chatter else log.warning)(event, reason=text[:_LONGEST], **fields)


@contextmanager
def standard_output_logged() -> Iterator[None]:
    """Logs what this process prints to standard output, Python's prints too, until the end of the block."""
    sys.stdout.flush()
    by_line = bool(sys.stdout.line_buffering)
    _buffer_by_line(True)  # into a pipe Python would hold its lines back until there are 8 KB of them
    reading, writing = os.pipe()
    kept = os.dup(1)
    os.dup2(writing, 1)
    os.close(writing)
    reader = threading.Thread(target=_read, args=(reading,), name="printed", daemon=True)
    reader.start()
    try:
        yield
    finally:
        sys.stdout.flush()
        _buffer_by_line(by_line)
        os.dup2(kept, 1)  # the pipe's last end of ours: the reader comes to its end
        os.close(kept)
        reader.join(LAST_WORDS)


def _buffer_by_line(on: bool) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=on)


def _read(descriptor: int) -> None:
    rest = b""
    with open(descriptor, "rb", buffering=0) as pipe:
        while chunk := pipe.read(65_536):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _ENDS_WITHOUT_NEWLINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                log_printed(line, "the native library printed")
    log_printed(rest, "the native library printed")
