"""The small values: what is an instance's id and what is not, and that secrets and codes do not show themselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_worker.messages import OutgoingMessage, QueuedMessage, Text
from wa_worker.models import RESERVED_FOLDER, Jid, PairingCode, ProxyStatus, Secret, Status, instance_id


@pytest.mark.parametrize("text", ["a", "shop-1", "7", "...", ".a", "A_b.c-d", "x" * 128])
def test_an_instance_id(text: str) -> None:
    assert instance_id(text) == text


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/b", "a b", "a\n", "ação", "x" * 129, "a\0", RESERVED_FOLDER, "~", 7, None, ["a"], b"a"]
)
def test_what_is_none(text: object) -> None:
    with pytest.raises(ValueError, match="1-128 characters"):
        instance_id(text)


@given(st.text(max_size=140))
def test_whatever_is_taken_is_one_folder_below_another(text: str) -> None:
    try:
        taken = instance_id(text)
    except ValueError:
        return
    assert Path(os.path.normpath(Path("/data") / taken)).parent == Path("/data")
    assert taken != RESERVED_FOLDER


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("hush")
    assert secret.reveal() == "hush"
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret!r}", repr([secret])):
        assert "hush" not in shown
    assert not hasattr(secret, "__dict__")


def test_secrets_are_equal_by_their_value() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


def test_codes_bodies_and_numbers_are_not_in_a_repr() -> None:
    to = "5511988880005"
    shown = [
        repr(Status(ProxyStatus.CONNECTING, "data:hush")),
        repr(Text("hush")),
        repr(QueuedMessage(1, to, Text("hush"))),
        repr(OutgoingMessage(Jid(f"{to}@s.whatsapp.net"), Text("hush"))),
    ]
    assert not any("hush" in text or to in text for text in shown)


def test_a_pairing_code_is_something_to_show() -> None:
    qr = Status(ProxyStatus.CONNECTING, "data:")
    code = Status(ProxyStatus.CONNECTING, "data:", pairing=PairingCode("ABCD-1234", 1))
    assert not code.shows_as(qr)
    assert code.shows_as(code)
