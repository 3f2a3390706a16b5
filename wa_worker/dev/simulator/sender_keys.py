"""The sender keys of groups: what one party writes with, and what it has of others. No I/O, no clock.

As libsignal has them: a chain of symmetric keys and a signing key, which the author hands to each device of the group
once, in a SenderKeyDistributionMessage; from then on one ciphertext serves for all (`skmsg`). waton's group cipher is
another protocol, so this is written out: HMAC and HKDF of the chain, AES-CBC, and the signature, which waton makes and
`cryptography` verifies (as Ed25519: waton's verify() does not know the sign bit that libsignal keeps in a signature).
"""

import hmac
import secrets
from collections.abc import Iterator

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from waton.protocol.protobuf.wire import encode_len_delimited, encode_varint_field, iter_fields
from waton.utils import crypto

from wa_worker.dev.simulator.keys import CURVE, Address, KeyPair, Undecryptable, pad, unpad

_VERSION = b"\x33"  # 3 and 3, as in SenderKeyMessage of libsignal
_SIGNATURE = 64
_CONTEXT = b"WhisperGroup"
_MOST_SKIPPED = 2000  # `maxMessageKeys` in libsignal's SenderKeyState
_MOST_KEYS = 5  # `maxStates` in libsignal's SenderKey record
_PRIME = 2**255 - 19


@attrs.define
class _Chain:
    """The chain of one sender key: each step makes the key of a message and forgets the one before."""

    iteration: int
    key: bytes = attrs.field(repr=False)

    def step(self) -> tuple[int, bytes]:
        """Returns the number of the next message and its 48 bytes of iv and key."""
        seed = hmac.digest(self.key, b"\x01", "sha256")
        number, self.key, self.iteration = self.iteration, hmac.digest(self.key, b"\x02", "sha256"), self.iteration + 1
        return number, bytes(crypto.hkdf(seed, 48, b"", _CONTEXT))


class SenderKey:
    """What one party writes to a group with. Those who are to read it need `distribution()`, from now on."""

    def __init__(self) -> None:
        self._id = secrets.randbits(31)
        self._chain = _Chain(0, secrets.token_bytes(32))
        self._signing = KeyPair.new()

    def distribution(self) -> bytes:
        """Returns the SenderKeyDistributionMessage as it is now: what was written before cannot be read with it."""
        return _VERSION + b"".join(
            (
                encode_varint_field(1, self._id),
                encode_varint_field(2, self._chain.iteration),
                encode_len_delimited(3, self._chain.key),
                encode_len_delimited(4, CURVE + self._signing.public),
            )
        )

    def encrypt(self, plaintext: bytes) -> bytes:
        """Returns the content of a `skmsg`."""
        number, keys = self._chain.step()
        ciphertext = bytes(crypto.aes_cbc_encrypt(pad(plaintext), keys[16:], keys[:16]))
        signed = _VERSION + b"".join(
            (encode_varint_field(1, self._id), encode_varint_field(2, number), encode_len_delimited(3, ciphertext))
        )
        return signed + self._signing.sign(signed)


@attrs.define
class _Known:
    """A sender key of somebody else."""

    signing: bytes
    chain: _Chain
    skipped: dict[int, bytes] = attrs.field(factory=dict, repr=False)

    def take(self, number: int) -> bytes:
        """Returns the key of a message. Raises Undecryptable."""
        if number < self.chain.iteration:
            if number not in self.skipped:
                raise Undecryptable("this message of the group was read before, or its key never came")
            return self.skipped.pop(number)
        if number - self.chain.iteration > _MOST_SKIPPED:
            raise Undecryptable("too far ahead")
        while True:
            found, key = self.chain.step()
            if found == number:
                return key
            self.skipped[found] = key


class KnownSenderKeys:
    """Holds the sender keys of others that one party has, by group and device."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, Address], dict[int, _Known]] = {}

    def learn(self, group: str, author: Address, distribution: bytes) -> None:
        """Takes a SenderKeyDistributionMessage. One that is known already changes nothing."""
        fields = _fields(distribution[1:])
        keys = self._keys.setdefault((group, author), {})
        number = _number(fields[1])
        if number not in keys:
            chain = _Chain(_number(fields[2]), _data(fields[3]))
            keys[number] = _Known(_data(fields[4]).removeprefix(CURVE), chain)
        for oldest in list(keys)[:-_MOST_KEYS]:
            del keys[oldest]

    def forget(self, group: str) -> None:
        """Loses all keys of a group, as a phone does that was set up anew."""
        for known in [each for each in self._keys if each[0] == group]:
            del self._keys[known]

    def decrypt(self, group: str, author: Address, message: bytes) -> bytes:
        """Reads a `skmsg`. Raises Undecryptable, and has changed nothing then but the chain."""
        signed, signature = message[:-_SIGNATURE], message[-_SIGNATURE:]
        fields = _fields(signed[1:])
        known = self._keys.get((group, author), {}).get(_number(fields.get(1, -1)))
        if known is None:
            raise Undecryptable("no sender key")
        if not _is_signed(known.signing, signed, signature):
            raise Undecryptable("the signature is wrong")
        keys = known.take(_number(fields[2]))
        return unpad(bytes(crypto.aes_cbc_decrypt(_data(fields[3]), keys[16:], keys[:16])))


def _fields(message: bytes) -> dict[int, bytes | int]:
    return {number: value for number, _, value in _iterated(message)}


def _iterated(message: bytes) -> Iterator[tuple[int, int, bytes | int]]:
    try:
        yield from iter_fields(message)
    except ValueError as error:
        raise Undecryptable(str(error)) from None


def _number(value: bytes | int) -> int:
    assert isinstance(value, int)
    return value


def _data(value: bytes | int) -> bytes:
    assert isinstance(value, bytes)
    return value


def _is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """XEdDSA: the Curve25519 key as an Ed25519 one, whose sign is in the last bit of the signature."""
    u = int.from_bytes(public, "little") % 2**255
    y = (u - 1) * pow(u + 1, -1, _PRIME) % _PRIME
    sign = signature[-1] & 0x80
    try:
        Ed25519PublicKey.from_public_bytes((y | sign << 248).to_bytes(32, "little")).verify(
            signature[:-1] + bytes([signature[-1] ^ sign]), message
        )
    except InvalidSignature:
        return False
    return True


class GroupKeys:
    """Holds what one party has of the keys of its groups: its own, who has been given them, and those of others."""

    def __init__(self) -> None:
        self.known = KnownSenderKeys()
        self._own: dict[str, SenderKey] = {}
        self._handed_out: set[tuple[str, str]] = set()  # group and device

    def own(self, group: str) -> SenderKey:
        """Returns the key that this party writes to a group with."""
        return self._own.setdefault(group, SenderKey())

    def hand_out(self, group: str, device: str) -> bool:
        """Says whether a device has yet to be given it; from now on it has."""
        new = (group, device) not in self._handed_out
        self._handed_out.add((group, device))
        return new

    def renew(self, group: str) -> None:
        """Writes with another key from now on, which nobody has yet."""
        self._own.pop(group, None)
        self._handed_out = {each for each in self._handed_out if each[0] != group}
