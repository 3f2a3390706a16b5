"""Messages with a file, as a phone writes them: encrypted and put at the media host, and referred to by the protobuf.

Written from the format (whatsmeow upload.go and download.go), apart from the worker's own reading of it. HKDF-SHA256
of a random key gives the initial vector, the key of AES-256-CBC and that of the HMAC; ten bytes of the HMAC follow the
ciphertext.
"""

from __future__ import annotations

import hashlib
import hmac
from secrets import token_bytes
from typing import Any

import attrs
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wa_worker.dev.simulator.media_host import MEDIA_HOST, MediaHost
from wa_worker.dev.simulator.protobufs import Message

_APPLICATIONS = {
    "imageMessage": b"WhatsApp Image Keys",
    "stickerMessage": b"WhatsApp Image Keys",
    "videoMessage": b"WhatsApp Video Keys",
    "ptvMessage": b"WhatsApp Video Keys",
    "audioMessage": b"WhatsApp Audio Keys",
    "documentMessage": b"WhatsApp Document Keys",
}
_HISTORY = {"historySyncNotification": b"WhatsApp History Keys"}
_MAC = 10  # bytes


def has_file(message: Any) -> bool:
    return any(message.HasField(field) for field in (*_APPLICATIONS, "documentWithCaptionMessage"))


class Damaged(Exception):
    """A file is not what its message says."""


@attrs.frozen
class EncryptedFile:
    """Describes a file as it goes to the media host, and what a message must say of it."""

    data: bytes = attrs.field(repr=False)
    media_key: bytes = attrs.field(repr=False)
    enc_sha256: bytes
    sha256: bytes
    size: int

    @classmethod
    def of(cls, field: str, data: bytes) -> EncryptedFile:
        """Encrypt a file for a message's field, such as `imageMessage`."""
        media_key = token_bytes(32)
        iv, key, mac_key = _keys(field, media_key)
        padder, encryptor = padding.PKCS7(128).padder(), Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
        ciphertext = encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()
        encrypted = ciphertext + hmac.digest(mac_key, iv + ciphertext, "sha256")[:_MAC]
        enc_sha256, sha256 = hashlib.sha256(encrypted).digest(), hashlib.sha256(data).digest()
        return cls(encrypted, media_key, enc_sha256, sha256, len(data))

    def decrypted(self, field: str) -> bytes:
        """Return the file. Raises Damaged."""
        iv, key, mac_key = _keys(field, self.media_key)
        ciphertext, mac = self.data[:-_MAC], self.data[-_MAC:]
        if hashlib.sha256(self.data).digest() != self.enc_sha256:
            raise Damaged("the hash of the encrypted file")
        if hmac.digest(mac_key, iv + ciphertext, "sha256")[:_MAC] != mac:
            raise Damaged("the MAC")
        decryptor, unpadder = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor(), padding.PKCS7(128).unpadder()
        data = unpadder.update(decryptor.update(ciphertext) + decryptor.finalize()) + unpadder.finalize()
        if hashlib.sha256(data).digest() != self.sha256 or len(data) != self.size:
            raise Damaged("the hash of the file, or its size")
        return data


class MediaMessages:
    """Writes and reads messages with files at this host. Get it as `Contact.files`.

    `more` are fields of the protobuf, and go before those that are made up here.
    """

    def __init__(self, host: MediaHost) -> None:
        self._host = host

    def image(self, data: bytes, caption: str = "", **more: Any) -> Any:
        defaults = {"mimetype": "image/jpeg", "caption": caption, "width": 640, "height": 480}
        return self.message("imageMessage", data, {**defaults, **more})

    def video(self, data: bytes, caption: str = "", **more: Any) -> Any:
        defaults = {"mimetype": "video/mp4", "caption": caption, "seconds": 3, "width": 640, "height": 480}
        return self.message("videoMessage", data, {**defaults, **more})

    def audio(self, data: bytes, **more: Any) -> Any:
        return self.message("audioMessage", data, {"mimetype": "audio/mp4", "seconds": 3, **more})

    def voice(self, data: bytes, **more: Any) -> Any:
        defaults = {"mimetype": "audio/ogg; codecs=opus", "seconds": 3, "PTT": True, "waveform": bytes(64)}
        return self.message("audioMessage", data, {**defaults, **more})

    def document(self, data: bytes, filename: str = "document.pdf", caption: str = "", **more: Any) -> Any:
        """With a caption it is in the wrapper that phones put it into."""
        defaults = {"mimetype": "application/pdf", "fileName": filename, "title": filename, "caption": caption}
        message = self.message("documentMessage", data, {**defaults, **more})
        return Message(documentWithCaptionMessage={"message": message}) if caption else message

    def sticker(self, data: bytes, **more: Any) -> Any:
        defaults = {"mimetype": "image/webp", "width": 512, "height": 512, "isAnimated": False}
        return self.message("stickerMessage", data, {**defaults, **more})

    def message(self, field: str, data: bytes, more: dict[str, Any]) -> Any:
        """Encrypt a file, keep it at the host, and return the Message that refers to it."""
        file = EncryptedFile.of(field, data)
        direct_path = self._host.put(file.data, field)
        reference = {
            "URL": f"https://{MEDIA_HOST}{direct_path}&mms3=true",
            "directPath": direct_path,
            "mediaKey": file.media_key,
            "fileEncSHA256": file.enc_sha256,
            "fileSHA256": file.sha256,
            "fileLength": file.size,
        }
        return Message(**{field: {**reference, **more}})

    def open(self, message: Any) -> bytes:
        """Return the file of a message that came, as a phone gets it. Raises KeyError if it is not at the host,
        Damaged if it is not what the message says, ValueError if the message has none."""
        while message.HasField("documentWithCaptionMessage"):
            message = message.documentWithCaptionMessage.message
        for field in _APPLICATIONS:
            if message.HasField(field):
                content = getattr(message, field)
                data = self._host.file(content.directPath)
                hashes_ = content.fileEncSHA256, content.fileSHA256
                return EncryptedFile(data, content.mediaKey, *hashes_, content.fileLength).decrypted(field)
        raise ValueError("a message without a file")


def _keys(field: str, media_key: bytes) -> tuple[bytes, bytes, bytes]:
    """The initial vector, the AES key and the HMAC key."""
    derived = HKDF(hashes.SHA256(), 112, None, (_APPLICATIONS | _HISTORY)[field]).derive(media_key)
    return derived[:16], derived[16:48], derived[48:80]
