"""Encrypts a stream so that whoever lacks the key can neither read it nor change, shorten or reorder it.

    wa-worker backup 1\\n      the format and its version, 19 bytes
    salt                      16 bytes, random for each file
    chunk, chunk, ...         each up to 64 KiB, encrypted, and 16 bytes of its tag

The key of a file is scrypt(BACKUP_KEY, salt). A chunk is AES-256-GCM with that key; its nonce is the chunk's number
(11 bytes, big-endian) and a byte that is 1 for the last chunk and 0 for any other; its associated data is the first two
lines above. That is the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizar: "Online Authenticated-Encryption and
its Nonce-Reuse Misuse-Resistance", 2015), as age and Tink use it. A key never seals two files, for the salt is another.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from wa_worker.errors import BackupError
from wa_worker.models import Secret

MAGIC = b"wa-worker backup 1\n"

CHUNK = 65_536
"""Bytes of a chunk before it is encrypted."""

_SALT, _TAG = 16, 16

SCRYPT = {"n": 2**15, "r": 8, "p": 3}
"""32 MiB and a third of a second, one of the choices of OWASP's Password Storage Cheat Sheet."""


class SealedWriter:
    """Encrypts what is written. Call `close()` at the end, or it is no whole backup. Raises what `sink` raises."""

    def __init__(self, sink: BinaryIO, key: Secret) -> None:
        self._sink = sink
        salt = os.urandom(_SALT)
        self._header = MAGIC + salt
        self._cipher = _cipher(key, salt)
        self._number = 0
        self._rest = bytearray()
        self.written = 0
        """Bytes so far, before they are encrypted."""
        sink.write(self._header)

    def write(self, data: bytes) -> int:
        """Takes data, and passes whole chunks on. The last one is kept: only `close()` knows that it is."""
        self._rest += data
        self.written += len(data)
        while len(self._rest) > CHUNK:
            self._pass_on(bytes(self._rest[:CHUNK]), last=False)
            del self._rest[:CHUNK]
        return len(data)

    def close(self) -> None:
        """Writes the last chunk."""
        self._pass_on(bytes(self._rest), last=True)

    def _pass_on(self, data: bytes, *, last: bool) -> None:
        self._sink.write(self._cipher.encrypt(_nonce(self._number, last=last), data, self._header))
        self._number += 1


class SealedReader:
    """Decrypts what is read, and never hands out what was not sealed so. Every method raises BackupError."""

    def __init__(self, source: BinaryIO, key: Secret) -> None:
        self._source = source
        self._header = _exactly(source, len(MAGIC) + _SALT)
        if not self._header.startswith(MAGIC):
            if self._header.startswith(MAGIC[:17]):
                raise BackupError("it was made by a newer wa-worker: restore it with that version")
            raise BackupError("it is no backup of wa-worker")
        if len(self._header) < len(MAGIC) + _SALT:
            raise BackupError("it is cut off")
        self._cipher = _cipher(key, self._header[len(MAGIC) :])
        self._number = 0
        self._next = _exactly(source, CHUNK + _TAG)
        self._rest = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """Returns that many bytes, fewer only at the end."""
        found = bytearray()
        while len(found) < size:
            if not self._rest:
                if self._ended:
                    break
                self._rest = self._open()
            part = self._rest[: size - len(found)]
            self._rest = self._rest[len(part) :]
            found += part
        return bytes(found)

    def finish(self) -> None:
        """Reads to the end: what comes back from here without an error was a whole backup."""
        while not self._ended:
            self._open()
        self._rest = b""

    def _open(self) -> bytes:
        chunk, self._next = self._next, _exactly(self._source, CHUNK + _TAG)
        self._ended = not self._next
        try:
            data = self._cipher.decrypt(_nonce(self._number, last=self._ended), chunk, self._header)
        except (InvalidTag, ValueError):
            if self._number == 0:
                raise BackupError(
                    "BACKUP_KEY is not the one that it was made with, or its beginning is damaged"
                ) from None
            raise BackupError(
                f"it is damaged, cut off or was altered (after {self._number * CHUNK / 1e6:.1f} MB)"
            ) from None
        self._number += 1
        return data


@lru_cache(maxsize=2)
def _cipher(key: Secret, salt: bytes) -> AESGCM:
    """A restore reads a file twice, and derives its key once."""
    return AESGCM(Scrypt(salt=salt, length=32, **SCRYPT).derive(key.reveal().encode()))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _exactly(source: BinaryIO, size: int) -> bytes:
    """Reads that many bytes, fewer only at the end: a pipe gives what it has."""
    found = bytearray()
    try:
        while len(found) < size and (part := source.read(size - len(found))):
            found += part
    except OSError as error:
        raise BackupError(f"it cannot be read: {error.strerror or error}") from error
    return bytes(found)
