"""How long an Ogg Opus stream is, and how loud it is over time. Reads page headers only (RFC 3533, RFC 7845).

The loudness is guessed: Opus spends more bytes on what is loud than on silence, so a packet's size stands for it. That
is what a small picture of a voice note needs, and no decoder.
"""

from __future__ import annotations

from typing import BinaryIO

import attrs

BARS = 64
"""Values of a waveform, 0 to 100 each, as phones make it."""

RATE = 48_000
"""Granules a second, whatever rate the stream was recorded at (RFC 7845, section 4)."""

LONGEST = 24 * 3600
"""Seconds: a longer one within the bounds on its size is no recording."""

MOST_PACKETS = 2_000_000


@attrs.frozen
class Stream:
    """Describes an Opus stream. `duration`: seconds."""

    duration: int
    waveform: bytes


def read(file: BinaryIO) -> Stream | None:
    """Returns what the first stream of a file is; None if that is not Opus. Any bytes will do: it raises nothing."""
    serial: bytes | None = None
    skip, last, sizes, packet = 0, 0, list[int](), 0
    while True:
        head = file.read(27)
        if len(head) < 27 or head[:4] != b"OggS" or len(sizes) > MOST_PACKETS:
            break
        table = file.read(head[26])
        length = sum(table)
        if serial is None:
            start = file.read(length)
            if len(start) < 19 or not start.startswith(b"OpusHead"):
                return None
            serial, skip = head[14:18], int.from_bytes(start[10:12], "little")
            continue
        file.seek(length, 1)
        if head[14:18] != serial:
            continue
        for lacing in table:
            packet += lacing
            if lacing < 255:
                sizes.append(packet)
                packet = 0
        granule = int.from_bytes(head[6:14], "little", signed=True)
        if granule != -1:  # no packet ends in that page
            last = max(last, granule)
    if serial is None:
        return None
    seconds = -(-max(last - skip, 0) // RATE)  # a note of half a second is one of 1
    return Stream(min(seconds, LONGEST), _waveform(sizes[1:]))  # the first packet has the stream's tags


def _waveform(sizes: list[int]) -> bytes:
    if not sizes:
        return bytes(BARS)
    bars = [_mean(sizes, bar * len(sizes) // BARS, (bar + 1) * len(sizes) // BARS) for bar in range(BARS)]
    quiet, loud = min(bars), max(bars)
    return bytes(round(100 * (bar - quiet) / (loud - quiet)) if loud > quiet else 50 for bar in bars)


def _mean(sizes: list[int], start: int, end: int) -> float:
    part = sizes[start : max(end, start + 1)]
    return sum(part) / len(part)
