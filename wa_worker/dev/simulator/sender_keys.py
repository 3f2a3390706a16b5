"""The sender keys of groups: what one party writes with, and what it has of others. No I/O, no clock.

As libsignal has them: a chain of symmetric keys and a signing key, which the author hands to each device of the group
once, in a SenderKeyDistributionMessage; from then on one ciphertext serves for all (`skmsg`).
"""

import secrets

import attrs

from wa_worker.dev.simulator.chains import Chain, NoKey, Reading, decrypt, encrypt
from wa_worker.dev.simulator.curve import CURVE, SIGNATURE, SigningKeyPair, hkdf, is_signed
from wa_worker.dev.simulator.keys import Address, Undecryptable, pad, unpad
from wa_worker.dev.simulator.signal_messages import SenderKeyDistributionMessage, SenderKeyMessage, read, write

_MOST_KEYS = 5  # `maxStates` in libsignal's SenderKey record


class SenderKey:
    """What one party writes to a group with. Those who are to read it need `distribution()`, from now on."""

    def __init__(self) -> None:
        self._id = secrets.randbits(31)
        self._chain = Chain(0, secrets.token_bytes(32))
        self._signing = SigningKeyPair.new()

    def distribution(self) -> bytes:
        """Returns the SenderKeyDistributionMessage as it is now: what was written before cannot be read with it."""
        return write(
            SenderKeyDistributionMessage(
                id=self._id,
                iteration=self._chain.iteration,
                chainKey=self._chain.key,
                signingKey=CURVE + self._signing.public,
            )
        )

    def encrypt(self, plaintext: bytes) -> bytes:
        """Returns the content of a `skmsg`."""
        key, iv = _message_keys(self._chain.seed)
        message = SenderKeyMessage(
            id=self._id, iteration=self._chain.iteration, ciphertext=encrypt(pad(plaintext), key, iv)
        )
        self._chain = self._chain.next
        signed = write(message)
        return signed + self._signing.sign(signed)


@attrs.define
class _Known:
    """A sender key of somebody else."""

    signing: bytes
    reading: Reading


class KnownSenderKeys:
    """Holds the sender keys of others that one party has, by group and device."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, Address], dict[int, _Known]] = {}

    def learn(self, group: str, author: Address, distribution: bytes) -> None:
        """Takes a SenderKeyDistributionMessage. One that is known already changes nothing."""
        told = read(SenderKeyDistributionMessage, distribution)
        keys = self._keys.setdefault((group, author), {})
        if told.id not in keys:
            reading = Reading(Chain(told.iteration, told.chainKey))
            keys[told.id] = _Known(told.signingKey.removeprefix(CURVE), reading)
        for oldest in list(keys)[:-_MOST_KEYS]:
            del keys[oldest]

    def forget(self, group: str) -> None:
        """Loses all keys of a group, as a phone does that was set up anew."""
        for known in [each for each in self._keys if each[0] == group]:
            del self._keys[known]

    def decrypt(self, group: str, author: Address, whole: bytes) -> bytes:
        """Reads a `skmsg`. Raises Undecryptable, and has changed nothing then."""
        signed, signature = whole[:-SIGNATURE], whole[-SIGNATURE:]
        try:
            message = read(SenderKeyMessage, signed)
            known = self._keys.get((group, author), {}).get(message.id)
            if known is None:
                raise Undecryptable("no sender key")
            if not is_signed(known.signing, signed, signature):
                raise Undecryptable("the signature is wrong")
            seed, reading = known.reading.take(message.iteration)
            plaintext = decrypt(message.ciphertext, *_message_keys(seed))
        except (ValueError, NoKey) as error:
            raise Undecryptable(str(error)) from None
        known.reading = reading
        return unpad(plaintext)


def _message_keys(seed: bytes) -> tuple[bytes, bytes]:
    """Returns the key of a message's cipher, and the initialisation vector, which comes first."""
    keys = hkdf(seed, 48, b"", b"WhisperGroup")
    return keys[16:], keys[:16]


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
