"""Files of each kind, made here: small, and real enough for whoever looks into them."""

from __future__ import annotations

import io
import struct

from PIL import Image


def picture(kind: str = "JPEG", size: tuple[int, int] = (640, 480), **options: object) -> bytes:
    image = Image.linear_gradient("L").resize(size).convert("RGB" if kind != "WEBP" else "RGBA")
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def ogg_page(body: list[bytes], granule: int, *, serial: int = 7, sequence: int = 0, first: bool = False) -> bytes:
    """One page; the packets are whole. Its checksum is left at 0: nobody here reads it."""
    table = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in body)
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, 2 if first else 0, granule, serial, sequence, 0, len(table))
    return head + table + b"".join(body)


def voice(seconds: float = 3.0, *, skip: int = 312, loud: bool = True) -> bytes:
    """An Opus stream of 20 ms packets, whose second half is loud."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, skip, 48000, 0, 0)
    pages = [ogg_page([head], 0, first=True), ogg_page([b"OpusTags" + bytes(16)], 0, sequence=1)]
    count = round(seconds * 50)
    for number in range(0, count, 50):
        packets = [bytes(120 if loud and n > count // 2 else 20) for n in range(number, min(number + 50, count))]
        granule = skip + min(number + 50, count) * 960
        pages.append(ogg_page(packets, granule, sequence=2 + number // 50))
    return b"".join(pages)


def video() -> bytes:
    return b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(2000)


def document(size: int = 5000) -> bytes:
    return b"%PDF-1.4\n" + bytes(i % 251 for i in range(size))
