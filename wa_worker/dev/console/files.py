"""Files from outside, as a page may have them: what can be shown is told by its bytes, never by what it is called.

A picture is one only if it begins as one of a few formats do that hold no script; HTML or SVG that calls itself a
picture is a file to be saved, and is sent so. The same with sounds and films. The built-in samples are ours.
"""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath
from urllib.parse import quote

import attrs

from wa_worker.dev.proxy import Storage
from wa_worker.dev.samples import SAMPLES

HEAD = 64
"""Bytes of a file that tell its format."""

LONGEST_NAME = 120
"""Characters of a file's name on the reader's disk."""

REMEMBERED = 1_000
"""Files whose format is remembered: more than a page shows."""

BYTES = "application/octet-stream"

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf1", "audio/aac"),
    (0, b"#!AMR", "audio/amr"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
)
"""Where in a file, which bytes, and what it then is."""

_AS_AUDIO = {"video/mp4": "audio/mp4", "video/webm": "audio/webm"}
"""Boxes that hold sounds as well as films: the message says which."""


@attrs.frozen
class Served:
    """Describes a file as it is sent to a browser. `inline`: the page shows it; else the browser is to save it."""

    data: bytes
    content_type: str
    name: str
    inline: bool

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Content-Disposition": f"{'inline' if self.inline else 'attachment'}; filename*=UTF-8''{quote(self.name)}",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
            "Cache-Control": "private, max-age=3600",
        }


class Files:
    """Reads the files of a proxy by the `url` that their messages name, and the samples by their names."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._formats: dict[str, str] = {}

    def content_type(self, url: str) -> str | None:
        """Says what the file may be shown as, BYTES if it may not be, None if it is not here."""
        row = self._storage.file(url)
        if row is None:
            return None
        if row.name not in self._formats:
            head = self._storage.read(url, HEAD)
            if head is None:
                return None
            while len(self._formats) >= REMEMBERED:
                del self._formats[next(iter(self._formats))]
            self._formats[row.name] = shown_as(head, row.message_type)
        return self._formats[row.name]

    def served(self, url: str) -> Served | None:
        """Returns the file itself; None if it is not here."""
        row, kind, data = self._storage.file(url), self.content_type(url), self._storage.read(url)
        if row is None or kind is None or data is None:
            return None
        return Served(data, kind, file_name(row.filename, row.name), inline=kind != BYTES)


def sample(name: str) -> Served | None:
    """Returns a sample; None if there is none of this name."""
    found = SAMPLES.get(name)
    if found is None:
        return None
    return Served(found.data, found.mime_type, found.name, inline=shown_as(found.data, found.type) != BYTES)


def shown_as(head: bytes, message_type: str) -> str:
    """Returns the media type of a file by its first bytes; BYTES if it is none of those that are shown, or if its
    message says that it is something else."""
    for at, signature, kind in _SIGNATURES:
        if head[at : at + len(signature)] == signature:
            found = _AS_AUDIO.get(kind, kind) if message_type == "audio" else kind
            return found if found.partition("/")[0] == _SHOWN_AS.get(message_type) else BYTES
    return BYTES


_SHOWN_AS = {"image": "image", "sticker": "image", "video": "video", "audio": "audio"}
"""Message types whose files are shown, and the family of media types that they have to be of."""


def file_name(given: str | None, kept: str) -> str:
    """Returns what to call a file on the reader's disk: the name that came with it, if it is one, without what leads
    into other folders or makes it look like another. `kept`: what the proxy calls it."""
    name = PurePosixPath((given or "").replace("\\", "/")).name
    shown = "".join(char if char.isprintable() and unicodedata.category(char) != "Cf" else "_" for char in name)
    shown = shown.strip(". ")
    if not shown:
        return kept.rpartition("/")[2]
    stem, dot, extension = shown.rpartition(".")
    return shown if len(shown) <= LONGEST_NAME else f"{stem[: LONGEST_NAME - 20]}{dot}{extension[:19]}"
