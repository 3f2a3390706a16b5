"""Signal sessions: libsignal's vectors, and two parties that lose, delay and repeat each other's messages."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wa_worker.dev.simulator.chains import MOST_SKIPPED, Chain, NoKey, Reading
from wa_worker.dev.simulator.curve import CURVE, KeyPair
from wa_worker.dev.simulator.keys import SignalParty, Undecryptable
from wa_worker.dev.simulator.sender_keys import KnownSenderKeys, SenderKey
from wa_worker.dev.simulator.sessions import first_keys
from wa_worker.dev.simulator.signal_messages import PreKeySignalMessage, SignalMessage, read, write

ANA, BIA = ("ana", 0), ("bia", 1)

# libsignal's tests of the first agreement (rust/protocol/tests/ratchet.rs): private keys, public ones, the chain's key.
AS_ALICE = {
    "identity": "9040f0d4e09cf38f6dc7c13779c908c015a1da4fa78737a080eb0a6f4f5f8f58",
    "base": "11ae7c64d1e61cd596b76a0db5012673391cae66edbfcf073b4da80516a47449",
    "their identity": "f1f43874f6966956c2dd473f8fa15adeb71d1cb991b2341692324cefb1c5e626",
    "their signed prekey": "ac248a8f263be6863576eb0362e28c828f0107a3379d34bab1586bf8c770cd67",
    "chain": "ab9be50e5cb22a925446ab90ee5670545f4fd32902459ec274b6ad0ae5d6031a",
}


def pair(private: str) -> KeyPair:
    key = X25519PrivateKey.from_private_bytes(bytes.fromhex(private))
    return KeyPair(key, key.public_key().public_bytes_raw())


@pytest.fixture
def ana() -> SignalParty:
    return SignalParty()


@pytest.fixture
def bia() -> SignalParty:
    return SignalParty()


def begin(ana: SignalParty, bia: SignalParty) -> None:
    """Ana writes first, and each has heard from the other."""
    ana.start_session(BIA, bia.new_bundle())
    assert bia.decrypt(ANA, *ana.encrypt(BIA, b"oi")) == b"oi"
    assert ana.decrypt(BIA, *bia.encrypt(ANA, b"oi oi")) == b"oi oi"


def test_the_first_agreement() -> None:
    identity, base = pair(AS_ALICE["identity"]), pair(AS_ALICE["base"])
    their_identity, signed_prekey = (bytes.fromhex(AS_ALICE[f"their {key}"]) for key in ("identity", "signed prekey"))
    _, chain = first_keys(identity.agree(signed_prekey), base.agree(their_identity), base.agree(signed_prekey), None)
    assert chain.hex() == AS_ALICE["chain"]


def test_messages_are_of_the_first_kind_until_there_is_an_answer(ana: SignalParty, bia: SignalParty) -> None:
    ana.start_session(BIA, bia.new_bundle())
    first, second = ana.encrypt(BIA, b"1"), ana.encrypt(BIA, b"2")
    assert (first[0], second[0]) == ("pkmsg", "pkmsg")
    assert (bia.decrypt(ANA, *second), bia.decrypt(ANA, *first)) == (b"2", b"1")
    with pytest.raises(Undecryptable):
        bia.decrypt(ANA, *first)
    answer = bia.encrypt(ANA, b"3")
    assert answer[0] == "msg"
    assert ana.decrypt(BIA, *answer) == b"3"
    assert ana.encrypt(BIA, b"4")[0] == "msg"


def test_without_a_one_time_prekey(ana: SignalParty, bia: SignalParty) -> None:
    bundle = bia.new_bundle()
    ana.start_session(BIA, attrs.evolve(bundle, prekey=None))
    kind, whole = ana.encrypt(BIA, b"oi")
    assert not read(PreKeySignalMessage, whole).HasField("preKeyId")
    assert bia.decrypt(ANA, kind, whole) == b"oi"


def test_a_bundle_that_its_identity_has_not_signed(ana: SignalParty, bia: SignalParty) -> None:
    bundle = bia.new_bundle()
    with pytest.raises(ValueError, match="not signed"):
        ana.start_session(BIA, attrs.evolve(bundle, identity=ana.identity.public))
    assert not ana.has_session(BIA)


def test_in_any_order_and_each_once(ana: SignalParty, bia: SignalParty) -> None:
    """Over several turns of the ratchet, whose late messages come last of all."""
    begin(ana, bia)
    late = []
    for turn in range(4):
        one, two, three = (ana.encrypt(BIA, f"{turn}.{number}".encode()) for number in range(3))
        assert bia.decrypt(ANA, *three) == f"{turn}.2".encode()
        assert bia.decrypt(ANA, *one) == f"{turn}.0".encode()
        late.append((two, f"{turn}.1".encode()))
        assert ana.decrypt(BIA, *bia.encrypt(ANA, b"ok")) == b"ok"
    for message, text in reversed(late):
        assert bia.decrypt(ANA, *message) == text
        with pytest.raises(Undecryptable):
            bia.decrypt(ANA, *message)


def test_the_oldest_of_six_chains_is_forgotten(ana: SignalParty, bia: SignalParty) -> None:
    begin(ana, bia)
    late = []
    for _ in range(6):
        late.append(ana.encrypt(BIA, b"late"))
        assert bia.decrypt(ANA, *ana.encrypt(BIA, b"now")) == b"now"
        assert ana.decrypt(BIA, *bia.encrypt(ANA, b"ok")) == b"ok"
    for message in late[1:]:
        assert bia.decrypt(ANA, *message) == b"late"
    with pytest.raises(Undecryptable):
        bia.decrypt(ANA, *late[0])


def test_a_new_session_takes_over_and_the_old_one_still_reads(ana: SignalParty, bia: SignalParty) -> None:
    begin(ana, bia)
    old = bia.encrypt(ANA, b"in the old one")
    ana.start_session(BIA, bia.new_bundle())
    new = ana.encrypt(BIA, b"in the new one")
    assert new[0] == "pkmsg"
    assert bia.decrypt(ANA, *new) == b"in the new one"
    assert ana.decrypt(BIA, *old) == b"in the old one"
    assert ana.encrypt(BIA, b"again")[0] == "msg"  # what was read last is in use


def test_forty_states_are_kept(ana: SignalParty, bia: SignalParty) -> None:
    begin(ana, bia)
    old = bia.encrypt(ANA, b"old")
    for _ in range(40):
        ana.start_session(BIA, bia.new_bundle())
    assert ana.decrypt(BIA, *old) == b"old"
    old = bia.encrypt(ANA, b"old")
    for _ in range(41):
        ana.start_session(BIA, bia.new_bundle())
    with pytest.raises(Undecryptable):
        ana.decrypt(BIA, *old)


def flipped(whole: bytes, at: int) -> bytes:
    return bytes(byte ^ (0x40 if index == at % len(whole) else 0) for index, byte in enumerate(whole))


def test_what_was_changed_on_its_way_changes_nothing(ana: SignalParty, bia: SignalParty) -> None:
    begin(ana, bia)
    kind, whole = ana.encrypt(BIA, b"what was written")
    for at in range(len(whole)):
        with pytest.raises(Undecryptable):
            bia.decrypt(ANA, kind, flipped(whole, at))
    assert bia.decrypt(ANA, kind, whole) == b"what was written"


NONSENSE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda whole: b"",
    "another version": lambda whole: b"\x22" + whole[1:],
    "no protobuf": lambda whole: whole[:1] + b"\xff" * 40,
    "cut": lambda whole: whole[:-9],
    "no keys": lambda whole: write(PreKeySignalMessage(signedPreKeyId=1, message=whole)),
    "an unknown prekey": lambda whole: write(PreKeySignalMessage(signedPreKeyId=1, preKeyId=99, message=whole)),
    "an unknown signed prekey": lambda whole: write(PreKeySignalMessage(signedPreKeyId=2, message=whole)),
    "a key of low order": lambda whole: (
        write(SignalMessage(ratchetKey=CURVE + bytes(32), counter=0, ciphertext=b"x" * 16)) + bytes(8)
    ),
}


@pytest.mark.parametrize(("what", "kind"), list(product(NONSENSE, ("msg", "pkmsg"))))
def test_nonsense_is_undecryptable(ana: SignalParty, bia: SignalParty, what: str, kind: str) -> None:
    begin(ana, bia)
    _, whole = ana.encrypt(BIA, b"oi")
    with pytest.raises(Undecryptable):
        bia.decrypt(ANA, kind, NONSENSE[what](whole))
    assert bia.decrypt(ANA, "msg", whole) == b"oi"


def test_one_that_never_heard_of_the_other(ana: SignalParty, bia: SignalParty) -> None:
    begin(ana, bia)
    with pytest.raises(Undecryptable):
        SignalParty().decrypt(ANA, *ana.encrypt(BIA, b"oi"))


def test_a_gap_that_is_too_wide() -> None:
    start = Chain(0, bytes(32))
    _, reading = Reading(start).take(MOST_SKIPPED)
    assert len(reading.skipped) == MOST_SKIPPED
    with pytest.raises(NoKey, match="too far"):
        Reading(start).take(MOST_SKIPPED + 1)
    seed, after = reading.take(7)
    assert seed not in after.skipped.values()
    with pytest.raises(NoKey, match="read before"):
        after.take(7)
    _, more = reading.take(MOST_SKIPPED + 2)
    assert min(more.skipped) == 1  # the oldest gives way


def test_what_a_group_cannot_read_changes_nothing() -> None:
    key, known = SenderKey(), KnownSenderKeys()
    known.learn("group", ANA, key.distribution())
    whole = key.encrypt(b"to all")
    for at in range(len(whole)):
        with pytest.raises(Undecryptable):
            known.decrypt("group", ANA, flipped(whole, at))
    with pytest.raises(Undecryptable, match="no sender key"):
        known.decrypt("another", ANA, whole)
    assert known.decrypt("group", ANA, whole) == b"to all"
    with pytest.raises(Undecryptable, match="read before"):
        known.decrypt("group", ANA, whole)
    late = key.encrypt(b"late")
    assert known.decrypt("group", ANA, key.encrypt(b"now")) == b"now"
    assert known.decrypt("group", ANA, late) == b"late"
