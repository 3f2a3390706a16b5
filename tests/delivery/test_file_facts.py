"""What a file tells of itself: formats by their first bytes, sizes, thumbnails within bounds."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import attrs
import pytest
from PIL import Image

from tests.media_files import document, picture, video, voice
from wa_worker.delivery.file_facts import THUMBNAIL, facts
from wa_worker.errors import Failure, RowError, SendDelayed
from wa_worker.messages import FileFacts, MediaKind, OutgoingMedia


def read(folder: Path, kind: MediaKind, data: bytes, content_type: str | None = None, **media: object) -> FileFacts:
    file = folder / "file"
    file.write_bytes(data)
    return facts(file, OutgoingMedia(kind, "https://x", **media), content_type)  # type: ignore[arg-type]


@attrs.frozen
class Format:
    name: str
    kind: MediaKind
    data: bytes
    mime_type: str | None
    """None: WhatsApp does not show it as that."""
    voice: bool = False


MP3, MP4 = b"ID3" + bytes(50), video()
FORMATS = [
    Format("JPEG", MediaKind.IMAGE, picture(), "image/jpeg"),
    Format("PNG", MediaKind.IMAGE, picture("PNG"), "image/png"),
    Format("WebP as an image", MediaKind.IMAGE, picture("WEBP"), None),
    Format("SVG as an image", MediaKind.IMAGE, b"<svg>", None),
    Format("nothing as an image", MediaKind.IMAGE, b"", None),
    Format("WebP", MediaKind.STICKER, picture("WEBP"), "image/webp"),
    Format("PNG as a sticker", MediaKind.STICKER, picture("PNG"), None),
    Format("Opus", MediaKind.AUDIO, voice(), "audio/ogg; codecs=opus"),
    Format("Opus, a voice note", MediaKind.AUDIO, voice(), "audio/ogg; codecs=opus", True),
    Format("other Ogg", MediaKind.AUDIO, b"OggS" + bytes(90), None),
    Format("MP3", MediaKind.AUDIO, MP3, "audio/mpeg"),
    Format("MP3 without a tag", MediaKind.AUDIO, b"\xff\xfb" + bytes(50), "audio/mpeg"),
    Format("AAC", MediaKind.AUDIO, b"\xff\xf1" + bytes(50), "audio/aac"),
    Format("AMR", MediaKind.AUDIO, b"#!AMR\n" + bytes(50), "audio/amr"),
    Format("M4A", MediaKind.AUDIO, MP4, "audio/mp4"),
    Format("MP3 as a voice note", MediaKind.AUDIO, MP3, None, True),
    Format("WAV", MediaKind.AUDIO, b"RIFF" + bytes(50), None),
    Format("MP4", MediaKind.VIDEO, MP4, "video/mp4"),
    Format("3GP", MediaKind.VIDEO, b"\x00\x00\x00\x18ftyp3gp4" + bytes(50), "video/3gpp"),
    Format("WebM", MediaKind.VIDEO, b"\x1a\x45\xdf\xa3" + bytes(50), None),
]


@pytest.mark.parametrize("case", FORMATS, ids=lambda case: case.name)
def test_the_format_is_that_of_the_bytes(tmp_path: Path, case: Format) -> None:
    if case.mime_type is None:
        with pytest.raises(RowError) as error:
            read(tmp_path, case.kind, case.data, "image/jpeg", voice=case.voice, mime_type="image/jpeg")
        assert error.value.failure is Failure.BAD_FILE
    else:
        found = read(tmp_path, case.kind, case.data, "text/plain", voice=case.voice, mime_type="text/plain")
        assert found.mime_type == case.mime_type


@pytest.mark.parametrize("kind", [MediaKind.IMAGE, MediaKind.STICKER, MediaKind.AUDIO, MediaKind.VIDEO])
@pytest.mark.parametrize("said", [b"\xef\xbb\xbf\n<!DOCTYPE html>", b"<HTML lang=x>", b'{"error": "quota"}'])
def test_what_a_host_says_in_place_of_a_file_may_pass(tmp_path: Path, kind: MediaKind, said: bytes) -> None:
    with pytest.raises(SendDelayed) as error:
        read(tmp_path, kind, said)
    assert error.value.failure is Failure.NO_FILE


def test_a_page_is_a_document_where_one_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(SendDelayed):
        read(tmp_path, MediaKind.DOCUMENT, b"<html>", filename="contract.pdf")
    assert read(tmp_path, MediaKind.DOCUMENT, b"<html>", filename="contract.html")
    assert read(tmp_path, MediaKind.DOCUMENT, b"{}", "application/json").mime_type == "application/json"


def test_a_document_is_what_it_is_called(tmp_path: Path) -> None:
    def called(content_type: str | None, mime_type: str | None = None) -> str:
        return read(tmp_path, MediaKind.DOCUMENT, document(), content_type, mime_type=mime_type).mime_type

    assert called("application/pdf; charset=x") == "application/pdf"
    assert called("application/pdf", "text/csv") == "text/csv"
    for junk in (None, "", "pdf", "a/b/c", "x/" + "y" * 300, "\u00e9/x"):
        assert called(junk) == "application/octet-stream"


def test_a_voice_note_has_a_duration_and_a_waveform(tmp_path: Path) -> None:
    note = read(tmp_path, MediaKind.AUDIO, voice(3.2), voice=True)
    assert (note.duration, len(note.waveform or b"")) == (4, 64)
    assert read(tmp_path, MediaKind.AUDIO, voice(3.2)).waveform is None


def shown(found: FileFacts) -> Image.Image:
    assert found.thumbnail is not None
    return Image.open(io.BytesIO(found.thumbnail))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "I;16", "1", "CMYK"])
def test_a_thumbnail_of_any_mode(tmp_path: Path, mode: str) -> None:
    out = io.BytesIO()
    Image.new(mode, (300, 200)).save(out, "JPEG" if mode == "CMYK" else "PNG")
    found = read(tmp_path, MediaKind.IMAGE, out.getvalue())
    assert (found.width, found.height) == (300, 200)
    small = shown(found)
    assert (small.format, small.mode, small.size) == ("JPEG", "RGB", (THUMBNAIL, THUMBNAIL * 2 // 3))


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (100, 100), (0, 0, 0, 0)).save(out, "PNG")
    assert shown(read(tmp_path, MediaKind.IMAGE, out.getvalue())).getpixel((5, 5)) == (255, 255, 255)


def test_a_picture_that_was_taken_on_its_side_stands(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    found = read(tmp_path, MediaKind.IMAGE, picture(size=(300, 200), exif=exif))
    assert (found.width, found.height) == (200, 300)
    assert shown(found).size == (THUMBNAIL * 2 // 3, THUMBNAIL)


@pytest.mark.parametrize(
    ("orientation", "size"), [(1, (300, 200)), (3, (300, 200)), (5, (200, 300)), (6, (200, 300)), (8, (200, 300))]
)
def test_a_photo_with_more_pictures_behind_it_is_shown_as_it_was_held(
    tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    """Phones write such files: a JPEG to whoever reads the first picture alone."""
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    first, behind = (Image.new("RGB", (300, 200), colour) for colour in ("red", "blue"))
    first.paste("white", (0, 0, 150, 200))  # its left half
    first.save(out, "MPO", save_all=True, append_images=[behind], exif=exif)
    found = read(tmp_path, MediaKind.IMAGE, out.getvalue())
    assert found.mime_type == "image/jpeg"
    assert (found.width, found.height) == size
    small = shown(found)
    assert (small.width > small.height) is (size[0] > size[1])
    white = {1: (5, 5), 3: (small.width - 5, 5), 5: (5, 5), 6: (5, 5), 8: (5, small.height - 5)}[orientation]
    pixel = small.getpixel(white)
    assert isinstance(pixel, tuple)
    assert min(pixel) > 200


def huge_png(side: int) -> bytes:
    """A small file that says it has that many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_a_bomb_is_sent_without_being_unpacked(tmp_path: Path) -> None:
    found = read(tmp_path, MediaKind.IMAGE, huge_png(9000))
    assert (found.width, found.thumbnail) == (9000, None)
    assert read(tmp_path, MediaKind.IMAGE, huge_png(60_000)) == FileFacts("image/png")


def test_a_large_jpeg_is_unpacked_small_and_a_progressive_one_not_at_all(tmp_path: Path) -> None:
    assert read(tmp_path, MediaKind.IMAGE, picture(size=(4000, 3000))).thumbnail
    assert read(tmp_path, MediaKind.IMAGE, picture(size=(4000, 3000), progressive=True)).thumbnail is None
    assert read(tmp_path, MediaKind.IMAGE, picture(size=(400, 300), progressive=True)).thumbnail


@pytest.mark.parametrize("cut", [3, 20, 200, 2000])
def test_a_damaged_picture_goes_as_it_is(tmp_path: Path, cut: int) -> None:
    found = read(tmp_path, MediaKind.IMAGE, picture()[:cut])
    assert (found.mime_type, found.thumbnail) == ("image/jpeg", None)
    assert read(tmp_path, MediaKind.STICKER, picture("WEBP")[: cut + 12]).mime_type == "image/webp"


def test_who_sends_no_picture_does_not_load_what_reads_them() -> None:
    code = "import sys, wa_worker.delivery.file_facts; print(any(name.startswith('PIL') for name in sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
