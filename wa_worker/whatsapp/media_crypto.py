"""Decrypts a received file piece by piece, and knows at its end whether it is what the message says. Pure.

The format (whatsmeow download.go): HKDF-SHA256 of the media key, with a text for each kind, gives an initial vector, an
AES-256 key and a key for an HMAC. The file is AES-CBC with PKCS #7 padding, followed by ten bytes of the HMAC of vector
and ciphertext. AES, HKDF and padding are those of `cryptography`.

No byte may be used before `finish()` has returned: until then anybody may have written them.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wa_worker.messages import MediaKind, MediaReference

_APPLICATION = {
    MediaKind.IMAGE: b"WhatsApp Image Keys",
    MediaKind.STICKER: b"WhatsApp Image Keys",
    MediaKind.VIDEO: b"WhatsApp Video Keys",
    MediaKind.AUDIO: b"WhatsApp Audio Keys",
    MediaKind.DOCUMENT: b"WhatsApp Document Keys",
}

MAC = 10
"""Bytes of the HMAC behind the ciphertext."""

BLOCK = 16
"""Bytes of a block of AES: there is one more than the file fills, or the last one is filled up."""

OVERHEAD = BLOCK + MAC
"""Bytes by which an encrypted file is longer at the most."""


class DamagedMedia(Exception):
    """A file is not what its message says."""


class Decryptor:
    """Decrypts one file. Holds back the last bytes only, whatever the size of the pieces."""

    def __init__(self, reference: MediaReference) -> None:
        info = _APPLICATION[reference.kind]
        derived = HKDF(hashes.SHA256(), 112, None, info).derive(reference.media_key)
        vector, key, mac_key = derived[:16], derived[16:48], derived[48:80]
        self._reference = reference
        self._aes = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
        self._unpadder = padding.PKCS7(8 * BLOCK).unpadder()
        self._mac = hmac.new(mac_key, vector, hashlib.sha256)
        self._encrypted = hashlib.sha256()
        self._plain = hashlib.sha256()
        self._tail = b""
        self.size = 0
        """Bytes that were given out."""

    def feed(self, piece: bytes) -> bytes:
        """Takes the next bytes of the encrypted file; returns what can be told of the file by them."""
        self._encrypted.update(piece)
        data = self._tail + piece
        data, self._tail = data[:-MAC], data[-MAC:]
        self._mac.update(data)
        return self._given(self._unpadder.update(self._aes.update(data)))

    def finish(self) -> bytes:
        """Returns the last bytes of the file. Raises DamagedMedia if any of it is not what the message says."""
        if self._encrypted.digest() != self._reference.enc_sha256:
            raise DamagedMedia("the encrypted file has another hash")
        if not hmac.compare_digest(self._mac.digest()[:MAC], self._tail):
            raise DamagedMedia("the file was not encrypted with the key of the message")
        try:
            last = self._unpadder.update(self._aes.finalize()) + self._unpadder.finalize()
        except ValueError as error:
            raise DamagedMedia(f"the file ends in no padding: {error}") from None
        last = self._given(last)
        if self._plain.digest() != self._reference.sha256:
            raise DamagedMedia("the file has another hash")
        return last

    def _given(self, data: bytes) -> bytes:
        self._plain.update(data)
        self.size += len(data)
        return data
