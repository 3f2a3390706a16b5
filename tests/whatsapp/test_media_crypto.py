"""Decryption piece by piece, against an encryption that is not ours: the simulated phone's."""

from __future__ import annotations

import hashlib
import hmac
import random
import tracemalloc

import attrs
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from wa_worker.dev.simulator.media_messages import EncryptedFile, _keys
from wa_worker.messages import MediaKind, MediaReference
from wa_worker.whatsapp.media_crypto import OVERHEAD, DamagedMedia, Decryptor

FIELDS = {
    MediaKind.IMAGE: "imageMessage",
    MediaKind.STICKER: "stickerMessage",
    MediaKind.VIDEO: "videoMessage",
    MediaKind.AUDIO: "audioMessage",
    MediaKind.DOCUMENT: "documentMessage",
}
SIZES = (0, 1, 15, 16, 17, 1000, 65_535, 65_536, 65_537, 300_000)


def reference(file: EncryptedFile, kind: MediaKind = MediaKind.VIDEO) -> MediaReference:
    return MediaReference(kind, "/v/x", file.media_key, file.enc_sha256, file.sha256, file.size)


def decrypted(data: bytes, of: MediaReference, step: int = 65_536) -> bytes:
    decryptor = Decryptor(of)
    pieces = [decryptor.feed(data[at : at + step]) for at in range(0, len(data), step)]
    whole = b"".join([*pieces, decryptor.finish()])
    assert decryptor.size == len(whole)
    return whole


@pytest.mark.parametrize("kind", FIELDS)
def test_each_kind_of_file(kind: MediaKind) -> None:
    data = random.Random(1).randbytes(1000)
    file = EncryptedFile.of(FIELDS[kind], data)
    assert decrypted(file.data, reference(file, kind)) == data


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [1, 7, 16, 4097, 65_536, 1 << 20])
def test_any_size_in_any_pieces(size: int, step: int) -> None:
    step = max(step, size // 5000)
    data = random.Random(size).randbytes(size)
    file = EncryptedFile.of("videoMessage", data)
    assert 0 < len(file.data) - size <= OVERHEAD
    assert decrypted(file.data, reference(file), step) == data


@pytest.mark.parametrize("size", [0, 17, 65_537])
def test_what_is_not_what_the_message_says_is_refused(size: int) -> None:
    file = EncryptedFile.of("videoMessage", random.Random(size).randbytes(size))
    sound = reference(file)
    other = EncryptedFile.of("videoMessage", random.Random(size + 1).randbytes(size))
    for place in (0, len(file.data) // 2, len(file.data) - 11, len(file.data) - 1):
        flipped = file.data[:place] + bytes([file.data[place] ^ 1]) + file.data[place + 1 :]
        with pytest.raises(DamagedMedia, match="encrypted file has another hash"):
            decrypted(flipped, sound)
    for data in (file.data[:-1], file.data[:-16], file.data + b"x", b"", other.data):
        with pytest.raises(DamagedMedia):
            decrypted(data, sound)
    with pytest.raises(DamagedMedia, match="key of the message"):
        decrypted(file.data, attrs.evolve(sound, media_key=other.media_key))
    with pytest.raises(DamagedMedia, match="key of the message"):
        decrypted(file.data, attrs.evolve(sound, kind=MediaKind.DOCUMENT))
    with pytest.raises(DamagedMedia, match="the file has another hash"):
        decrypted(file.data, attrs.evolve(sound, sha256=other.enc_sha256))


def test_a_file_without_padding_is_refused() -> None:
    """As a sender could make one: all hashes are right, and the last block is none that padding leaves."""
    media_key = bytes(32)
    vector, key, mac_key = _keys("videoMessage", media_key)
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    ciphertext = encryptor.update(b"\xff" * 32) + encryptor.finalize()
    data = ciphertext + hmac.digest(mac_key, vector + ciphertext, "sha256")[:10]
    hashes = hashlib.sha256(data).digest(), hashlib.sha256(b"\xff" * 32).digest()
    with pytest.raises(DamagedMedia, match="padding"):
        decrypted(data, MediaReference(MediaKind.VIDEO, "/v/x", media_key, *hashes, 32))


def test_only_a_piece_is_held_in_memory() -> None:
    file = EncryptedFile.of("videoMessage", bytes(4_000_000))
    decryptor = Decryptor(reference(file))
    tracemalloc.start()
    try:
        for at in range(0, len(file.data), 65_536):
            decryptor.feed(file.data[at : at + 65_536])
        decryptor.finish()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 600_000
