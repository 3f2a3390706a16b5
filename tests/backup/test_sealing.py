"""What whoever lacks the key can do to a sealed stream: nothing that is not noticed."""

from __future__ import annotations

import io
import os

import pytest

from wa_worker.backup.sealing import CHUNK, MAGIC, SealedReader, SealedWriter
from wa_worker.errors import BackupError
from wa_worker.models import Secret

KEY = Secret("correct horse battery staple")
HEADER = len(MAGIC) + 16
SEALED = CHUNK + 16


def sealed(data: bytes, key: Secret = KEY) -> bytes:
    out = io.BytesIO()
    writer = SealedWriter(out, key)
    for at in range(0, len(data), 10_000):
        writer.write(data[at : at + 10_000])
    writer.close()
    return out.getvalue()


def opened(raw: bytes, key: Secret = KEY) -> bytes:
    reader = SealedReader(io.BytesIO(raw), key)
    data = reader.read(1) + reader.read(2**30)
    reader.finish()
    return data


@pytest.fixture(scope="module")
def three() -> tuple[bytes, bytes]:
    data = os.urandom(2 * CHUNK + 100)
    return data, sealed(data)


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1])
def test_what_was_sealed_is_opened(size: int) -> None:
    data = os.urandom(size)
    assert opened(sealed(data)) == data


def test_nothing_of_it_is_in_the_clear_and_no_two_files_are_alike(three: tuple[bytes, bytes]) -> None:
    data, raw = three
    again = sealed(data)
    assert data[:32] not in raw
    assert again[HEADER : HEADER + 64] != raw[HEADER : HEADER + 64]


def test_what_is_altered_anywhere_is_refused(three: tuple[bytes, bytes]) -> None:
    _, raw = three
    for at in (HEADER, HEADER + SEALED - 1, HEADER + SEALED, HEADER + 2 * SEALED, len(raw) - 1):
        bent = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with pytest.raises(BackupError):
            opened(bent)


def test_an_altered_head_is_refused(three: tuple[bytes, bytes]) -> None:
    _, raw = three
    with pytest.raises(BackupError, match="newer"):
        opened(raw.replace(b"backup 1", b"backup 2", 1))
    with pytest.raises(BackupError, match="no backup"):
        opened(b"PK" + raw)
    with pytest.raises(BackupError, match="BACKUP_KEY"):
        opened(raw[: len(MAGIC)] + bytes(16) + raw[HEADER:])


def test_what_is_cut_off_anywhere_is_refused(three: tuple[bytes, bytes]) -> None:
    _, raw = three
    for end in (0, 10, HEADER - 1, HEADER, HEADER + 5, HEADER + SEALED, HEADER + 2 * SEALED, len(raw) - 1):
        with pytest.raises(BackupError):
            opened(raw[:end])


def test_what_is_reordered_repeated_or_added_is_refused(three: tuple[bytes, bytes]) -> None:
    _, raw = three
    head, first, second, last = raw[:HEADER], *(raw[HEADER + n * SEALED : HEADER + (n + 1) * SEALED] for n in range(3))
    for order in (second + first + last, first + last, first + first + second + last, first + second + last + b"x"):
        with pytest.raises(BackupError):
            opened(head + order)


def test_a_chunk_of_another_file_with_the_same_key_is_refused(three: tuple[bytes, bytes]) -> None:
    data, raw = three
    other = sealed(data)
    with pytest.raises(BackupError):
        opened(raw[: HEADER + SEALED] + other[HEADER + SEALED :])


def test_another_key_is_refused(three: tuple[bytes, bytes]) -> None:
    with pytest.raises(BackupError, match="BACKUP_KEY is not the one"):
        opened(three[1], Secret("another horse battery staple"))
