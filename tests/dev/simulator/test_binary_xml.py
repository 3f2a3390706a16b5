"""Stanzas as bytes: what each form looks like, that all of them come back, and that nonsense is refused."""

from __future__ import annotations

import hashlib
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wa_worker.dev.simulator.binary_xml import Codec, whatsapp_codec
from wa_worker.dev.simulator.stanza import Node

CODEC = whatsapp_codec()
NONSENSE = (ValueError, LookupError)

# Of the texts of SingleByteTokens and DoubleByteTokens in whatsmeow's binary/token/token.go, each with a line feed.
TOKENS_SHA256 = "dce2ff462a48a33e39a47064ff98bd98c2786230dc1959c00631bfdbb6ded6af"

TEXTS = {
    "": "fc00",
    "iq": "19",  # a token of one byte
    "c.us": "fc04632e7573",
    "5511999990001": "ff875511999990001f",
    "551199": "ff03551199",
    "1-2.3": "ff831a2b3f",
    "3EB0": "fb023eb0",
    "ABC": "fb82abcf",
    "abc": "fc03616263",
    "ação": "fc0661c3a7c3a36f",
    "@s.whatsapp.net": "fa0003",
    "551199@s.whatsapp.net": "faff0355119903",
    "551199@g.us": "faff035511991c",
    "551199:0@s.whatsapp.net": "f70000ff03551199",
    "551199:3@lid": "f70103ff03551199",
    "551199:255@hosted": "f780ffff03551199",
    "551199:7@hosted.lid": "f78107ff03551199",
    "ana@example.org": "fc0f616e61406578616d706c652e6f7267",  # of no server of WhatsApp's
}


@pytest.mark.parametrize(("text", "form"), TEXTS.items(), ids=TEXTS)
def test_texts(text: str, form: str) -> None:
    expected = bytes.fromhex(form)
    assert CODEC.encode(Node("iq", {}, text)) == b"\0\xf8\x02\x19" + expected
    decoded = CODEC.decode(b"\0\xf8\x03\x19\x19" + expected)
    assert decoded.attrs["iq"] == text.replace(":0@", "@").removeprefix("@")


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (None, ""),
        (b"", "fc00"),
        (b"iq", "fc026971"),  # bytes are no token
        (b"x" * 255, "fcff" + "78" * 255),
        (b"x" * 256, "fd000100" + "78" * 256),
        (b"x" * (1 << 20), "fe00100000" + "78" * (1 << 20)),
        ([], "00"),
        ([Node("iq", {})], "f801f80119"),
        ([Node("iq", {})] * 256, "f90100" + "f80119" * 256),
    ],
    ids=["none", "no bytes", "bytes", "255 bytes", "256 bytes", "a mebibyte", "no list", "a list", "a long list"],
)
def test_contents(content: list[Node] | bytes | None, form: str) -> None:
    data = bytes.fromhex("00f80" + ("1" if content is None else "2") + "19" + form)
    assert CODEC.encode(Node("iq", {}, content)) == data
    assert CODEC.decode(data) == Node("iq", {}, content)


@pytest.mark.parametrize("text", ["1" * 127, "A" * 127])
def test_packs_so_much(text: str) -> None:
    """`PackedMax` in whatsmeow's binary/token/token.go."""
    packed, longer = (CODEC.encode(Node("iq", {}, each)) for each in (text, text + text[-1]))
    assert len(packed) == 4 + 2 + 64
    assert longer[4:6] == b"\xfc\x80"
    assert CODEC.decode(packed) == Node("iq", {}, text)


def test_the_dictionary_is_whatsapps() -> None:
    tokens = [*CODEC._single, *(token for tokens in CODEC._double for token in tokens)]
    assert len(tokens) == 236 + 4 * 256
    assert hashlib.sha256("".join(token + "\n" for token in tokens).encode()).hexdigest() == TOKENS_SHA256


def test_every_token() -> None:
    for token in filter(None, [*CODEC._single, *(token for tokens in CODEC._double for token in tokens)]):
        data = CODEC.encode(Node("iq", {"iq": token}))
        assert len(data) <= 4 + 1 + 2
        assert CODEC.decode(data) == Node("iq", {"iq": token})


def test_another_dictionary() -> None:
    """Clients of other libraries have one of another length."""
    codec = Codec(["", "a", "b"], [["c"], ["d"]])
    node = Node("a", {"b": "c", "d": "iq", "c@lid": "b@lid"}, b"a")
    assert codec.encode(node).hex() == "00f8080102ec00ed00fc026971faec00fc036c6964fa02fc036c6964fc0161"
    assert codec.decode(codec.encode(node)) == node
    with pytest.raises(ValueError, match="no text begins with 3"):
        codec.decode(b"\0\xf8\x01\x03")
    with pytest.raises(LookupError):
        codec.decode(b"\0\xf8\x01\xec\x01")


def test_a_compressed_one() -> None:
    data = CODEC.encode(Node("iq", {}, b"x" * 100))
    assert CODEC.decode(b"\2" + zlib.compress(data[1:])) == Node("iq", {}, b"x" * 100)
    with pytest.raises(ValueError, match="not compressed"):
        CODEC.decode(b"\2" + data[1:])


@pytest.mark.parametrize(
    "data",
    [
        "",
        "00",
        "0000",  # no list
        "0019",  # not a list
        "00f80019",  # of no size
        "00f801fc00",  # without a tag
        "00f80219fc0578",  # cut in the bytes
        "00f80219fd000578",
        "00f80219fe0000000578",
        "00f80319",  # cut before an attribute
        "00f80219ff82",  # cut in a number
        "00f80219ff01c1",  # no digit
        "00f80219ff011f",  # the end of a number that has none
        "00f80219f70200ff03551199",  # a JID of an unknown agent
        "00f80219fcff",
        "00f80219f6",  # a JID of Messenger
        "00f8011900",  # something after it
    ],
)
def test_nonsense(data: str) -> None:
    with pytest.raises(NONSENSE):
        CODEC.decode(bytes.fromhex(data))


def test_what_has_no_form() -> None:
    with pytest.raises(ValueError):
        CODEC.encode(Node("iq", {"to": "551199:256@lid"}))
    with pytest.raises(ValueError, match="a list of 65536"):
        CODEC.encode(Node("iq", {}, [Node("iq", {})] * 65536))


numbers = st.text("0123456789-.", min_size=1, max_size=140)
hexadecimal = st.text("0123456789ABCDEF", min_size=1, max_size=140)
words = st.one_of(numbers, hexadecimal, st.sampled_from(["iq", "set", "3EB0", "text"]), st.text(max_size=20))
texts = words.filter(lambda text: "@" not in text)
jids = st.builds(
    lambda user, device, server: f"{user}:{device}@{server}" if device else f"{user}@{server}",
    st.text("0123456789", min_size=1, max_size=20),
    st.integers(0, 255),
    st.sampled_from(["s.whatsapp.net", "lid", "hosted", "hosted.lid"]),
)
attributes = st.dictionaries(texts, st.one_of(texts, jids), max_size=4)
contents = st.one_of(st.none(), st.binary(max_size=20))
leaves = st.builds(Node, texts.filter(bool), attributes, contents)
nodes = st.recursive(
    leaves, lambda inner: st.builds(Node, texts.filter(bool), attributes, st.lists(inner, max_size=3)), max_leaves=6
)


@settings(max_examples=25, deadline=None)
@given(nodes)
def test_all_comes_back(node: Node) -> None:
    assert CODEC.decode(CODEC.encode(node)) == node


@settings(max_examples=40, deadline=None)
@given(nodes, st.data())
def test_what_was_changed_is_another_stanza_or_none(node: Node, data: st.DataObject) -> None:
    whole = bytearray(CODEC.encode(node))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    with suppress(*NONSENSE):
        CODEC.decode(bytes(whole))


@pytest.mark.parametrize("end", range(1, 60, 7))
def test_what_is_cut_is_none(end: int) -> None:
    whole = CODEC.encode(Node("message", {"to": "5511999990001@s.whatsapp.net"}, [Node("enc", {}, b"x" * 50)]))
    with pytest.raises(NONSENSE):
        CODEC.decode(whole[:end])
