"""The QR code that the proxy shows is one that a camera reads."""

from __future__ import annotations

import base64
import struct

import pytest

from wa_worker.dev.world.qr import read_png_data_url
from wa_worker.edge.qr import png_data_url

KEY = base64.b64encode(bytes(range(32))).decode()
CODE = f"https://wa.me/settings/linked_devices#2@{'aB3-_' * 20},{KEY},{KEY},{KEY},1"


@pytest.mark.parametrize("code", [CODE, f"2@{KEY},{KEY},{KEY},{KEY},1", "x"], ids=["today's", "yesterday's", "short"])
def test_it_reads_back(code: str) -> None:
    url = png_data_url(code)
    assert url.startswith("data:image/png;base64,")
    assert read_png_data_url(url) == code


def test_it_is_large_enough_for_a_camera_and_small_enough_for_a_row() -> None:
    url = png_data_url(CODE)
    header = base64.b64decode(url.partition(",")[2])[:24]
    assert header.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", header[16:])
    assert width == height >= 400
    assert len(url) < 20_000
