"""How long a voice note is, and its waveform, from page headers alone; any bytes will do."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.media_files import ogg_page, voice
from wa_worker.delivery.ogg import BARS, LONGEST, read


@pytest.mark.parametrize(("seconds", "shown"), [(0.5, 1), (1.0, 1), (3.0, 3), (3.2, 4), (61.0, 61)])
def test_the_duration_is_the_last_granule_less_the_skip(seconds: float, shown: int) -> None:
    stream = read(io.BytesIO(voice(seconds)))
    assert stream is not None
    assert stream.duration == shown


def test_the_waveform_is_low_where_packets_are_small() -> None:
    stream = read(io.BytesIO(voice(4.0)))
    assert stream is not None
    assert len(stream.waveform) == BARS
    assert set(stream.waveform[:31]) == {0}
    assert set(stream.waveform[33:]) == {100}
    steady = read(io.BytesIO(voice(4.0, loud=False)))
    assert steady is not None
    assert set(steady.waveform) == {50}


def test_pages_of_another_stream_do_not_count() -> None:
    other = ogg_page([b"x"], 48_000 * 1000, serial=9)
    stream = read(io.BytesIO(voice(2.0) + other + ogg_page([b"y"], -1)))
    assert stream is not None
    assert stream.duration == 2


def test_what_is_absurd_is_bounded() -> None:
    stream = read(io.BytesIO(voice(1.0) + ogg_page([b"y"], 2**62)))
    assert stream is not None
    assert stream.duration == LONGEST


def test_without_sound_it_is_silent() -> None:
    stream = read(io.BytesIO(ogg_page([b"OpusHead" + bytes(11)], 0, first=True)))
    assert stream is not None
    assert (stream.duration, stream.waveform) == (0, bytes(BARS))


@pytest.mark.parametrize(
    "data", [b"", b"OggS", b"RIFF" + bytes(100), ogg_page([b"\x01vorbis" + bytes(30)], 0), bytes(99)]
)
def test_what_is_not_opus(data: bytes) -> None:
    assert read(io.BytesIO(data)) is None


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_will_do(junk: bytes, cut: int) -> None:
    read(io.BytesIO(junk))
    whole = voice(1.0)
    read(io.BytesIO(whole[:cut] + junk + whole[cut:]))
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, 0, 0, 7, 0, 0, len(junk) % 256)
    read(io.BytesIO(whole + head + junk))
