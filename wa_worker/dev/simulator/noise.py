"""The server's half of the Noise handshake, and the ciphers that come out of it. No I/O.

Plays Noise_XX_25519_AESGCM_SHA256 with WhatsApp's certificate chain (root -> intermediate -> leaf, where the leaf
is the server's static key). The counterpart is `doHandshake` and `verifyServerCert` in whatsmeow handshake.go.
Does not play edge routing or the IK resumption of other clients.
"""

import hashlib
import struct
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wa_worker.dev.simulator.curve import KeyPair, SigningKeyPair, hkdf
from wa_worker.dev.simulator.protobufs import CertChain, HandshakeMessage

_PATTERN = b"Noise_XX_25519_AESGCM_SHA256\0\0\0\0"
_CERTIFICATE_LIFE = 365 * 86400
_CLOCK_SLACK = 3600


class ProtocolViolation(Exception):
    """The client sent what no WhatsApp client sends. The connection is of no further use: close it."""


class Cipher:
    """AES-GCM with a counter for its nonce: one direction of a connection."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self._count = 0

    def _nonce(self) -> bytes:
        nonce = struct.pack(">8xI", self._count)
        self._count += 1
        return nonce

    def encrypt(self, plaintext: bytes, associated: bytes | None = None) -> bytes:
        return self._aead.encrypt(self._nonce(), plaintext, associated)

    def decrypt(self, ciphertext: bytes, associated: bytes | None = None) -> bytes:
        try:
            return self._aead.decrypt(self._nonce(), ciphertext, associated)
        except InvalidTag:
            raise ProtocolViolation("a frame does not decrypt") from None


class NoiseRoot:
    """The keys a WhatsApp server owns: root and intermediate sign, static shakes hands."""

    def __init__(self) -> None:
        self._root = SigningKeyPair.new()
        self._intermediate = SigningKeyPair.new()
        self.static = KeyPair.new()

    @property
    def public(self) -> bytes:
        """Says what a client must hold in place of the key compiled into it (trust.py)."""
        return self._root.public

    def certificates(self) -> bytes:
        now = int(time.time())
        validity = {"notBefore": now - _CLOCK_SLACK, "notAfter": now + _CERTIFICATE_LIFE}
        details = CertChain.NoiseCertificate.Details
        intermediate = details(serial=1, issuerSerial=0, key=self._intermediate.public, **validity)
        leaf = details(serial=2, issuerSerial=1, key=self.static.public, **validity)
        chain = CertChain()
        chain.intermediate.details = intermediate.SerializeToString()
        chain.intermediate.signature = self._root.sign(chain.intermediate.details)
        chain.leaf.details = leaf.SerializeToString()
        chain.leaf.signature = self._intermediate.sign(chain.leaf.details)
        return bytes(chain.SerializeToString())


class Handshake:
    """`answer(hello)` then `finish(final)`; each raises ProtocolViolation on nonsense.

    `header` is what the client has sent before: it goes into the hash.
    """

    def __init__(self, root: NoiseRoot, header: bytes) -> None:
        self._root = root
        self._ephemeral = KeyPair.new()
        self._hash = self._salt = _PATTERN
        self._cipher = Cipher(_PATTERN)
        self._authenticate(header)

    def answer(self, hello: bytes) -> bytes:
        """Returns the server hello for a client hello."""
        theirs = _parse(hello).clientHello.ephemeral
        if len(theirs) != 32:
            raise ProtocolViolation("no ephemeral key in the client hello")
        self._authenticate(theirs)
        self._authenticate(self._ephemeral.public)
        self._mix(self._ephemeral, theirs)
        reply = HandshakeMessage()
        reply.serverHello.ephemeral = self._ephemeral.public
        reply.serverHello.static = self._encrypt(self._root.static.public)
        self._mix(self._root.static, theirs)
        reply.serverHello.payload = self._encrypt(self._root.certificates())
        return bytes(reply.SerializeToString())

    def finish(self, final: bytes) -> tuple[bytes, bytes]:
        """Returns the client's static (noise) key and its payload, a serialised ClientPayload."""
        message = _parse(final).clientFinish
        static = self._decrypt(message.static)
        if len(static) != 32:
            raise ProtocolViolation("no static key in the client finish")
        self._mix(self._ephemeral, static)
        return static, self._decrypt(message.payload)

    def split(self) -> tuple[Cipher, Cipher]:
        """Returns the ciphers (receiving, sending) of the connection."""
        keys = hkdf(b"", 64, self._salt, b"")
        return Cipher(keys[:32]), Cipher(keys[32:])

    def _authenticate(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()

    def _encrypt(self, plaintext: bytes) -> bytes:
        ciphertext = self._cipher.encrypt(plaintext, self._hash)
        self._authenticate(ciphertext)
        return ciphertext

    def _decrypt(self, ciphertext: bytes) -> bytes:
        plaintext = self._cipher.decrypt(ciphertext, self._hash)
        self._authenticate(ciphertext)
        return plaintext

    def _mix(self, ours: KeyPair, theirs: bytes) -> None:
        keys = hkdf(ours.agree(theirs), 64, self._salt, b"")
        self._salt = keys[:32]
        self._cipher = Cipher(keys[32:])


def _parse(data: bytes) -> HandshakeMessage:
    try:
        return HandshakeMessage.FromString(data)
    except Exception as error:  # noqa: BLE001  protobuf's DecodeError has no stable home across its backends
        raise ProtocolViolation(f"not a handshake message: {error}") from None
