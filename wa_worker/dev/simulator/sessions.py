"""Signal sessions: the key agreement of a first message, and the ratchet of those after it. No I/O, no clock.

Plays version 3 of libsignal's protocol, as go.mau.fi/libsignal does it (session/, ratchet/, state/record/), which is
what whatsmeow runs. Does not play the trust in identities: a new one is taken as it comes.

A `Session` is all that one party has with one address: the state in use, and those before it, which still read. What
cannot be read changes nothing.
"""

import hmac

import attrs

from wa_worker.dev.simulator.chains import Chain, NoKey, Reading, decrypt, encrypt
from wa_worker.dev.simulator.curve import CURVE, KeyPair, hkdf
from wa_worker.dev.simulator.signal_messages import PreKeySignalMessage, SignalMessage, read, write

_MAC = 8
"""Bytes at the end of a SignalMessage (`macLength` in libsignal's SignalMessage.go)."""

_MOST_ARCHIVED = 40  # `archivedStatesMaxLength` in libsignal's SessionRecord.go
_MOST_READINGS = 5  # `maxReceiverChains` in libsignal's SessionState.go
_DISCONTINUITY = b"\xff" * 32  # `genDiscontinuity` in libsignal's Ratchet.go


class CannotRead(Exception):
    """No state of the session reads this message. Nothing was changed."""


@attrs.frozen
class Ours:
    """What a party is known by."""

    identity: KeyPair
    registration_id: int


@attrs.frozen
class Theirs:
    """The other side's keys, which a first message to it is made from."""

    identity: bytes
    signed_prekey_id: int
    signed_prekey: bytes
    prekey: tuple[int, bytes] | None


@attrs.frozen
class _Unanswered:
    """What goes along with each message until the other side has answered."""

    prekey_id: int | None
    signed_prekey_id: int
    base_key: bytes


@attrs.define
class _State:
    """One run of the ratchet. `base` is the public key that its first message brought; keys are without type byte."""

    base: bytes
    their_identity: bytes
    root: bytes = attrs.field(repr=False)
    ratchet: KeyPair
    sending: Chain
    readings: dict[bytes, Reading] = attrs.field(factory=dict, repr=False)  # by the other side's ratchet key
    previous: int = 0  # number of the last message in the sending chain before this one
    unanswered: _Unanswered | None = None

    def encrypt(self, ours: Ours, plaintext: bytes) -> tuple[str, bytes]:
        cipher_key, mac_key, iv = _message_keys(self.sending.seed)
        message = SignalMessage(
            ratchetKey=CURVE + self.ratchet.public,
            counter=self.sending.iteration,
            previousCounter=self.previous,
            ciphertext=encrypt(plaintext, cipher_key, iv),
        )
        self.sending = self.sending.next
        signed = write(message)
        whole = signed + _mac(mac_key, ours.identity.public, self.their_identity, signed)
        if self.unanswered is None:
            return "msg", whole
        first = PreKeySignalMessage(
            preKeyId=self.unanswered.prekey_id,
            baseKey=CURVE + self.unanswered.base_key,
            identityKey=CURVE + ours.identity.public,
            message=whole,
            registrationId=ours.registration_id,
            signedPreKeyId=self.unanswered.signed_prekey_id,
        )
        return "pkmsg", write(first)

    def decrypt(self, ours: Ours, whole: bytes) -> bytes:
        """Raises ValueError or NoKey, and has changed nothing then."""
        signed, mac = whole[:-_MAC], whole[-_MAC:]
        message = read(SignalMessage, signed)
        ratchet_key = message.ratchetKey.removeprefix(CURVE)
        known, root = self.readings.get(ratchet_key), None
        if known is None:
            root, key = _root_step(self.root, self.ratchet.agree(ratchet_key))
            known = Reading(Chain(0, key))
        seed, reading = known.take(message.counter)
        cipher_key, mac_key, iv = _message_keys(seed)
        if not hmac.compare_digest(mac, _mac(mac_key, self.their_identity, ours.identity.public, signed)):
            raise ValueError("the message was not written in this state of the session")
        plaintext = decrypt(message.ciphertext, cipher_key, iv)
        if root is not None:
            self._turn(ratchet_key, root)
        self.readings[ratchet_key] = reading
        self.unanswered = None
        return plaintext

    def _turn(self, ratchet_key: bytes, root: bytes) -> None:
        """The other side has a new ratchet key: answer it with one of ours."""
        self.previous = max(self.sending.iteration - 1, 0)
        self.ratchet = KeyPair.new()
        self.root, key = _root_step(root, self.ratchet.agree(ratchet_key))
        self.sending = Chain(0, key)
        for oldest in list(self.readings)[: 1 - _MOST_READINGS]:
            del self.readings[oldest]


@attrs.define
class Session:
    """What one party has with one address. `start` or a first message begins it."""

    _states: list[_State] = attrs.field(factory=list, repr=False)

    @property
    def begun(self) -> bool:
        return bool(self._states)

    def start(self, ours: Ours, theirs: Theirs) -> None:
        """Goes on in a new state. Raises ValueError if the other side's keys are none."""
        base, ratchet = KeyPair.new(), KeyPair.new()
        prekey_id, prekey = theirs.prekey or (None, None)
        root, key = first_keys(
            ours.identity.agree(theirs.signed_prekey),
            base.agree(theirs.identity),
            base.agree(theirs.signed_prekey),
            None if prekey is None else base.agree(prekey),
        )
        reading = Reading(Chain(0, key))
        root, key = _root_step(root, ratchet.agree(theirs.signed_prekey))
        self._add(
            _State(
                base=base.public,
                their_identity=theirs.identity,
                root=root,
                ratchet=ratchet,
                sending=Chain(0, key),
                readings={theirs.signed_prekey: reading},
                unanswered=_Unanswered(prekey_id, theirs.signed_prekey_id, base.public),
            )
        )

    def encrypt(self, ours: Ours, plaintext: bytes) -> tuple[str, bytes]:
        """Returns the type, "pkmsg" until the other side has answered and then "msg", and the ciphertext.

        Raises LookupError if the session was never begun.
        """
        return self._states[0].encrypt(ours, plaintext)

    def decrypt(self, ours: Ours, whole: bytes) -> bytes:
        """Reads a "msg". Raises CannotRead."""
        for state in self._states:
            try:
                plaintext = state.decrypt(ours, whole)
            except (ValueError, NoKey):
                continue
            if state is not self._states[0]:
                self._states.remove(state)
                self._add(state)
            return plaintext
        raise CannotRead("no state of the session reads this")

    def decrypt_first(
        self, ours: Ours, signed_prekey: KeyPair, prekey: KeyPair | None, first: "PreKeySignalMessage"
    ) -> bytes:
        """Reads a "pkmsg". prekey: the one that it names. Raises CannotRead."""
        base = first.baseKey.removeprefix(CURVE)
        if any(state.base == base for state in self._states):
            return self.decrypt(ours, first.message)
        identity = first.identityKey.removeprefix(CURVE)
        try:
            root, key = first_keys(
                signed_prekey.agree(identity),
                ours.identity.agree(base),
                signed_prekey.agree(base),
                None if prekey is None else prekey.agree(base),
            )
            state = _State(base, identity, root, ratchet=signed_prekey, sending=Chain(0, key))
            plaintext = state.decrypt(ours, first.message)
        except (ValueError, NoKey) as error:
            raise CannotRead(str(error)) from None
        self._add(state)
        return plaintext

    def _add(self, state: _State) -> None:
        self._states.insert(0, state)
        del self._states[1 + _MOST_ARCHIVED :]


def first_keys(*secrets: bytes | None) -> tuple[bytes, bytes]:
    """Returns the first root key and the first chain's, from the three or four agreements of a first message."""
    joined = _DISCONTINUITY + b"".join(each for each in secrets if each is not None)
    return _halves(hkdf(joined, 64, b"", b"WhisperText"))


def _root_step(root: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """Returns the next root key, and the key of the chain that begins."""
    return _halves(hkdf(secret, 64, root, b"WhisperRatchet"))


def _halves(keys: bytes) -> tuple[bytes, bytes]:
    return keys[:32], keys[32:]


def _message_keys(seed: bytes) -> tuple[bytes, bytes, bytes]:
    """Returns the keys of one message: of the cipher, of the MAC, and the initialisation vector."""
    keys = hkdf(seed, 80, b"", b"WhisperMessageKeys")
    return keys[:32], keys[32:64], keys[64:]


def _mac(key: bytes, sender: bytes, receiver: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, CURVE + sender + CURVE + receiver + signed, "sha256")[:_MAC]
