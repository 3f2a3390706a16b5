"""Curve25519 key pairs as libsignal has them: they agree on secrets, and some sign. No I/O.

Owns agreement (X25519), signatures (XEdDSA) and HKDF. The mathematics is that of `cryptography`. A key pair that signs
is made from an Ed25519 seed: an X25519 key and an Ed25519 key are one scalar in two encodings (RFC 7748, 4.1), so the
seed gives both, and `cryptography` has no call that signs with a bare scalar.
"""

import hashlib
import secrets

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CURVE = b"\x05"
"""Type byte in front of Curve25519 public keys: `DjbType` in libsignal's ecc/Curve.go."""

SIGNATURE = 64
"""Bytes of a signature."""

_SIGN = 0x80  # the bit of the last byte that says which of the two points an x coordinate belongs to
_PRIME = 2**255 - 19
_ALGORITHM = SHA256()


@attrs.frozen(eq=False)
class KeyPair:
    """One key pair. `public` is 32 bytes, without the type byte."""

    _private: X25519PrivateKey = attrs.field(repr=False)
    public: bytes

    @classmethod
    def new(cls) -> "KeyPair":
        private = X25519PrivateKey.generate()
        return cls(private, private.public_key().public_bytes_raw())

    def agree(self, public: bytes) -> bytes:
        """Returns the 32 bytes that the owner of the other key comes to as well.

        Raises ValueError for what is no key: the wrong length, or a point of low order.
        """
        return self._private.exchange(X25519PublicKey.from_public_bytes(public))


@attrs.frozen(eq=False)
class SigningKeyPair(KeyPair):
    """A key pair that signs, too."""

    _signing: Ed25519PrivateKey = attrs.field(repr=False)
    _sign_bit: int = attrs.field(repr=False)

    @classmethod
    def new(cls) -> "SigningKeyPair":
        return cls.from_seed(secrets.token_bytes(32))

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKeyPair":
        """Returns the pair whose scalar is that of the Ed25519 key with this seed of 32 bytes (RFC 8032, 5.1.5)."""
        signing = Ed25519PrivateKey.from_private_bytes(seed)
        private = X25519PrivateKey.from_private_bytes(hashlib.sha512(seed).digest()[:32])
        point = signing.public_key().public_bytes_raw()
        return cls(private, private.public_key().public_bytes_raw(), signing, point[-1] & _SIGN)

    def sign(self, data: bytes) -> bytes:
        """Returns 64 bytes: an Ed25519 signature with the public key's sign bit in the last one's highest.

        That is where `sign` in libsignal's ecc/SignCurve25519.go puts it, for a Curve25519 public key has none.
        """
        signature = bytearray(self._signing.sign(data))
        signature[-1] |= self._sign_bit
        return bytes(signature)


def is_signed(public: bytes, data: bytes, signature: bytes) -> bool:
    """Says whether the owner of this key has signed this (`verify` in libsignal's ecc/SignCurve25519.go)."""
    if len(public) != 32 or len(signature) != SIGNATURE:
        return False
    u = int.from_bytes(public, "little") % 2**255
    sign = signature[-1] & _SIGN
    try:
        y = (u - 1) * pow(u + 1, -1, _PRIME) % _PRIME  # RFC 7748, 4.1
        Ed25519PublicKey.from_public_bytes((y | sign << 248).to_bytes(32, "little")).verify(
            signature[:-1] + bytes((signature[-1] ^ sign,)), data
        )
    except (InvalidSignature, ValueError):  # ValueError: it is no point of the curve
        return False
    return True


def hkdf(secret: bytes, length: int, salt: bytes, context: bytes) -> bytes:
    """Returns so many bytes (RFC 5869, with SHA-256). No salt is one of zeros."""
    return HKDF(_ALGORITHM, length, salt or None, context).derive(secret)
