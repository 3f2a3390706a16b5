"""Chains of symmetric keys, as libsignal has them in sessions and in sender keys. No I/O.

Each step makes the key of one message and forgets the key before it. All values here are immutable: who has not read a
message after all keeps the chain that it had.
"""

import hmac
from collections.abc import Mapping
from types import MappingProxyType

import attrs
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

MOST_SKIPPED = 2000
"""How many messages may be missing before one: `maxFutureMessages` in libsignal's SessionCipher.go, and in groups."""

_BLOCK = 128  # bits, of AES
_NONE: Mapping[int, bytes] = MappingProxyType({})


class NoKey(Exception):
    """There is no key for this message: it was read before, its key never came, or it is too far ahead."""


@attrs.frozen
class Chain:
    """One place in a chain: `iteration` is the number of the next message."""

    iteration: int
    key: bytes = attrs.field(repr=False)

    @property
    def seed(self) -> bytes:
        """What the keys of the next message are derived from."""
        return hmac.digest(self.key, b"\x01", "sha256")

    @property
    def next(self) -> "Chain":
        return Chain(self.iteration + 1, hmac.digest(self.key, b"\x02", "sha256"))


@attrs.frozen
class Reading:
    """The chain of somebody else: `skipped` are the seeds of messages that have not come yet."""

    chain: Chain
    skipped: Mapping[int, bytes] = attrs.field(default=_NONE, repr=False)

    def take(self, number: int) -> tuple[bytes, "Reading"]:
        """Returns the seed of a message, and what there is once it was read. Raises NoKey."""
        chain, skipped = self.chain, self.skipped
        if number < chain.iteration:
            if number not in skipped:
                raise NoKey("this message was read before, or its key never came")
            left = {each: seed for each, seed in skipped.items() if each != number}
            return skipped[number], Reading(chain, left)
        if number - chain.iteration > MOST_SKIPPED:
            raise NoKey("too far ahead")
        if number > chain.iteration:
            skipped = dict(skipped)
            while chain.iteration < number:
                skipped[chain.iteration] = chain.seed
                chain = chain.next
            skipped = dict(list(skipped.items())[-MOST_SKIPPED:])
        return chain.seed, Reading(chain.next, skipped)


def encrypt(plaintext: bytes, key: bytes, iv: bytes) -> bytes:
    """AES-CBC with PKCS #7."""
    padder = PKCS7(_BLOCK).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()


def decrypt(ciphertext: bytes, key: bytes, iv: bytes) -> bytes:
    """Undoes `encrypt`. Raises ValueError."""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    unpadder = PKCS7(_BLOCK).unpadder()
    return unpadder.update(decryptor.update(ciphertext) + decryptor.finalize()) + unpadder.finalize()
