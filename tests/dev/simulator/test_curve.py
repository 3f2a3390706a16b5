"""Key pairs, against the vectors of RFC 8032, RFC 7748, RFC 5869 and libsignal."""

from __future__ import annotations

import pytest

from wa_worker.dev.simulator.curve import KeyPair, SigningKeyPair, hkdf, is_signed

# RFC 8032, 7.1, tests 1 to 3: seed, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]
# libsignal's own test of a signature: key, what it signs, and the signature, whose sign bit is set.
LIBSIGNAL = (
    "ab7e717d4a163b7d9a1d8071dfe9dcf8cdcd1cea3339b6356be84d887e322c64",
    "05edce9d9c415ca78cb7252e72c2c4a554d3eb29485a0e1d503118d1a82d99fb4a",
    "5de88ca9a89b4a115da79109c67c9c7464a3e4180274f1cb8c63c2984e286dfbede82deb9dcd9fae0bfbb821569b3d9001bd8130cd11d486cef047bd60b86e88",
)
PRIME = 2**255 - 19


def with_sign(seed_byte: int, sign: int) -> SigningKeyPair:
    """Returns a pair whose point has this sign, which its signatures carry."""
    pairs = (SigningKeyPair.from_seed(bytes([seed_byte]) * 31 + bytes([last])) for last in range(64))
    return next(pair for pair in pairs if pair.sign(b"")[-1] & 0x80 == sign)


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_a_signature_is_an_ed25519_one_with_the_keys_sign(seed: str, public: str, message: str, signature: str) -> None:
    pair = SigningKeyPair.from_seed(bytes.fromhex(seed))
    point = bytes.fromhex(public)
    expected = bytearray.fromhex(signature)
    expected[-1] |= point[-1] & 0x80
    assert pair.sign(bytes.fromhex(message)) == expected
    y = int.from_bytes(point, "little") % 2**255
    assert int.from_bytes(pair.public, "little") == (1 + y) * pow(1 - y, -1, PRIME) % PRIME  # RFC 7748, 4.1
    assert is_signed(pair.public, bytes.fromhex(message), bytes(expected))


def test_what_libsignal_has_signed() -> None:
    public, message, signature = map(bytes.fromhex, LIBSIGNAL)
    assert is_signed(public, message, signature)
    for byte in (0, 31, 32, 63):
        assert not is_signed(public, message, bytes(each ^ (at == byte) for at, each in enumerate(signature)))
    assert not is_signed(public, message, signature[:-1] + bytes([signature[-1] ^ 0x80]))
    assert not is_signed(public, message + b"\0", signature)


@pytest.mark.parametrize("sign", [0, 0x80])
def test_both_signs(sign: int) -> None:
    pair = with_sign(1, sign)
    assert is_signed(pair.public, b"what", pair.sign(b"what"))
    assert not is_signed(pair.public, b"other", pair.sign(b"what"))
    assert not is_signed(with_sign(2, sign).public, b"what", pair.sign(b"what"))


@pytest.mark.parametrize(
    "public", [b"", b"\5" * 33, (PRIME - 1).to_bytes(32, "little"), bytes(32), b"\xff" * 32], ids=bytes.hex
)
def test_what_is_no_key_has_signed_nothing(public: bytes) -> None:
    assert not is_signed(public, b"what", SigningKeyPair.new().sign(b"what"))
    assert not is_signed(SigningKeyPair.new().public, b"what", b"short")


def test_a_pair_that_signs_agrees_as_others_do() -> None:
    signing, plain = SigningKeyPair.new(), KeyPair.new()
    assert signing.agree(plain.public) == plain.agree(signing.public)
    assert len(signing.agree(plain.public)) == 32
    with pytest.raises(ValueError):
        plain.agree(bytes(32))
    with pytest.raises(ValueError):
        plain.agree(b"short")


@pytest.mark.parametrize("kind", [KeyPair, SigningKeyPair])
def test_no_secret_in_a_repr(kind: type[KeyPair]) -> None:
    pair = kind.new()
    assert repr(pair) == f"{kind.__name__}(public={pair.public!r})"


def test_hkdf() -> None:
    """RFC 5869, A.1 and A.3."""
    secret = b"\x0b" * 22
    salted = hkdf(secret, 42, bytes(range(13)), bytes(range(0xF0, 0xFA)))
    assert salted.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    assert hkdf(secret, 42, b"", b"").hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )
