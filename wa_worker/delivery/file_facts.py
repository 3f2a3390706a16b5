"""What a file to send tells of itself: its format, its size in pixels, how long it is, and a small picture of it.

The format is read from the first bytes, never from what the row or a host calls it: a phone shows an image that is
none as a grey square. Pillow is imported when the first image comes; the pixels that it may unpack are bounded.
Blocking.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import structlog

from wa_worker.delivery import ogg
from wa_worker.errors import Failure, RowError, SendDelayed
from wa_worker.messages import FileFacts, MediaKind, OutgoingMedia

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

log = structlog.get_logger(__name__)

MOST_PIXELS = 8_000_000
"""Pixels that are unpacked for a thumbnail: 32 MB at the most. Of a JPEG an eighth of each side is enough."""

PAUSE = 10.0
"""Seconds before the next try of what was no file: as long as after one that could not be fetched."""

THUMBNAIL = 96
"""Pixels of a thumbnail's longer side. It travels inside of the message, so it has to be small."""

OPUS = "audio/ogg; codecs=opus"


def facts(file: Path, media: OutgoingMedia, content_type: str | None) -> FileFacts:
    """Reads what is needed to send it as `media`. Raises RowError if WhatsApp does not show such a file as that, and
    SendDelayed if it is what a host says in place of a file."""
    with file.open("rb") as opened:
        start = opened.read(64)
        opened.seek(0)
        if _is_answer(start.lstrip(_BLANK).lower(), media):
            raise SendDelayed("the link's host sends words in place of a file", pause=PAUSE, failure=Failure.NO_FILE)
        match media.kind:
            case MediaKind.IMAGE:
                return _image(opened, _of(start, _IMAGES))
            case MediaKind.STICKER:
                return _sticker(opened, _of(start, _STICKERS))
            case MediaKind.AUDIO:
                return _audio(opened, _of(start, _AUDIO), voice=media.voice)
            case MediaKind.VIDEO:
                return FileFacts(_of(start, _VIDEO))
            case MediaKind.DOCUMENT:
                return FileFacts(media.mime_type or _stated(content_type))


def wants_page(media: OutgoingMedia) -> bool:
    """Says whether a page is what is to be sent."""
    return media.kind is MediaKind.DOCUMENT and "html" in f"{media.mime_type} {media.filename}".lower()


def _is_answer(start: bytes, media: OutgoingMedia) -> bool:
    """Says whether a file is a login's page, or an error in JSON with the status of a success."""
    if start.startswith(_PAGE):
        return not wants_page(media)
    return media.kind is not MediaKind.DOCUMENT and start.startswith(b"{")


_PAGE = (b"<!doctype html", b"<html")
_BLANK = b"\xef\xbb\xbf \t\r\n"


def _stated(content_type: str | None) -> str:
    stated = (content_type or "").partition(";")[0].strip().lower()
    return stated if stated.count("/") == 1 and stated.isascii() and len(stated) < 200 else "application/octet-stream"


def _of(start: bytes, formats: dict[tuple[int, bytes], str]) -> str:
    for (offset, magic), mime_type in formats.items():
        if start[offset:].startswith(magic):
            return mime_type
    raise RowError(Failure.BAD_FILE)


_IMAGES = {(0, b"\xff\xd8\xff"): "image/jpeg", (0, b"\x89PNG\r\n\x1a\n"): "image/png"}
_STICKERS = {(8, b"WEBP"): "image/webp"}
_VIDEO = {(4, b"ftyp3g"): "video/3gpp", (4, b"ftyp"): "video/mp4"}
_AUDIO = {
    (0, b"OggS"): OPUS,
    (0, b"ID3"): "audio/mpeg",
    (0, b"\xff\xfb"): "audio/mpeg",
    (0, b"\xff\xf3"): "audio/mpeg",
    (0, b"\xff\xf2"): "audio/mpeg",
    (0, b"\xff\xf1"): "audio/aac",
    (0, b"\xff\xf9"): "audio/aac",
    (0, b"#!AMR"): "audio/amr",
    (4, b"ftyp"): "audio/mp4",
}
"""Formats that phones show, by their first bytes and where those stand."""


def _audio(file: BinaryIO, mime_type: str, *, voice: bool) -> FileFacts:
    stream = ogg.read(file) if mime_type == OPUS else None
    if stream is None:
        if voice or mime_type == OPUS:  # Vorbis, or what iPhones would play as silence
            raise RowError(Failure.BAD_FILE)
        return FileFacts(mime_type)
    return FileFacts(mime_type, duration=stream.duration, waveform=stream.waveform if voice else None)


def _sticker(file: BinaryIO, mime_type: str) -> FileFacts:
    try:
        with _opened(file) as image:
            return FileFacts(mime_type, *image.size)
    except Exception as error:  # noqa: BLE001 - as below
        log.info("the size of a sticker is not known", reason=type(error).__name__)
        return FileFacts(mime_type)


def _image(file: BinaryIO, mime_type: str) -> FileFacts:
    try:
        with _opened(file) as image:
            width, height = image.size
            # of a PNG it would be looked for behind all the pixels
            if image.format in _JPEG and image.getexif().get(_ORIENTATION, 1) >= _ON_ITS_SIDE:
                width, height = height, width
            return FileFacts(mime_type, width, height, thumbnail=_thumbnail(image))
    except Exception as error:  # noqa: BLE001 - Pillow raises what it likes at bytes that it does not like
        log.info("an image goes without a thumbnail", reason=type(error).__name__)
        return FileFacts(mime_type)


_JPEG = ("JPEG", "MPO")
"""What Pillow calls a JPEG, and one with more pictures behind the first: portraits and HDR of phones."""

_ORIENTATION, _ON_ITS_SIDE = 0x0112, 5
"""The EXIF tag that says how a picture was held, and from which value on width and height change places."""


def _opened(file: BinaryIO) -> Picture:
    from PIL import Image

    return Image.open(file, formats=("JPEG", "PNG", "WEBP"))


def _thumbnail(image: Picture) -> bytes | None:
    """Returns a JPEG of a few KB, None if there are too many pixels to unpack."""
    from PIL import Image, ImageOps

    # a progressive JPEG is unpacked as a whole before it is made smaller
    whole = image.width * image.height
    image.draft("RGB", (THUMBNAIL, THUMBNAIL))
    if (whole if "progressive" in image.info else image.width * image.height) > MOST_PIXELS:
        return None
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    small = ImageOps.exif_transpose(image)
    if small.mode in ("RGBA", "LA", "PA", "P"):
        small = small.convert("RGBA")
        white = Image.new("RGBA", small.size, "white")  # what shows through on a phone
        white.alpha_composite(small)
        small = white
    out = io.BytesIO()
    small.convert("RGB").save(out, "JPEG", quality=60)
    return out.getvalue()
