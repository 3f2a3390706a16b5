"""Destinations as people and proxies write them; identities as WhatsApp does. Digits are never made up."""

from __future__ import annotations

import re

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_worker import jid
from wa_worker.errors import RowError

PERSON = "5511988880005@s.whatsapp.net"


@attrs.frozen
class Good:
    text: str
    address: str


GOOD = [
    Good("5511988880005", PERSON),
    Good("+5511988880005", PERSON),
    Good("+55 (11) 98888-0005", PERSON),
    Good("+55.11.98888.0005", PERSON),
    Good("+ 55 11 988880005", PERSON),
    Good("  5511988880005\n", PERSON),
    Good("+55\t11\t98888\t0005", PERSON),
    Good("+55\u00a011\u00a098888\u20110005", PERSON),
    Good("005511988880005", PERSON),
    Good(PERSON, PERSON),
    Good("5511988880005@S.WhatsApp.Net", PERSON),
    Good("5511988880005@c.us", PERSON),
    Good("+5511988880005@s.whatsapp.net", PERSON),
    Good("5511988880005:3@s.whatsapp.net", PERSON),
    Good("1234567", "1234567@s.whatsapp.net"),
    Good("123456789012345", "123456789012345@s.whatsapp.net"),
    Good("98765432109876@lid", "98765432109876@lid"),
    Good("98765432109876:12@lid", "98765432109876@lid"),
    Good("98765432109876@LID", "98765432109876@lid"),
    Good("120363041234567890@g.us", "120363041234567890@g.us"),
    Good("5511988880005-1600000000@g.us", "5511988880005-1600000000@g.us"),
    Good(" 120363041234567890@G.US ", "120363041234567890@g.us"),
]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: repr(case.text))
def test_a_destination(case: Good) -> None:
    assert jid.destination(case.text) == case.address


BAD = [
    "",
    "   ",
    "Maria",
    "123456",
    "1234567890123456",
    "0115511988880",
    "+005511988880005",
    "++5511988880005",
    "+55 11 98888-0005 / 0006",
    "+1 555 010 9999 ext 3",
    "5511988880005,5511988880006",
    "5511988880005\x00",
    "\u0665\u0665\u0661\u0661\u0669\u0668\u0668\u0668\u0668\u0660\u0660\u0660\u0665",  # Arabic-Indic digits
    "@",
    "@s.whatsapp.net",
    "Maria@s.whatsapp.net",
    "a@5511988880005@s.whatsapp.net",
    "00@s.whatsapp.net",
    "5511988880005@",
    "5511988880005@gmail.com",
    "5511988880005@s.whatsapp.net.evil.com",
    "status@broadcast",
    "120363041234567890@newsletter",
    "1@lid",
    "+98765432109876@lid",
    "9876 5432 1098@lid",
    "@lid",
    ":1@lid",
    "group@g.us",
    "5511988880005-@g.us",
    "120363041234567890:1@g.us",
]


@pytest.mark.parametrize("text", BAD, ids=repr)
def test_no_destination(text: str) -> None:
    with pytest.raises(RowError) as error:
        jid.destination(text)
    assert str(error.value) == error.value.failure.value, "nothing of the address is in it"


@pytest.mark.parametrize("text", ["5511988880005.0:3@s.whatsapp.net", "5511988880005.0@s.whatsapp.net"])
def test_an_agent_part_never_becomes_a_digit(text: str) -> None:
    try:
        address = jid.destination(text)
    except ValueError:
        return  # refusing it is right too
    assert address == PERSON


@given(st.text())
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        address = jid.destination(text)
    except ValueError:
        return
    assert re.fullmatch(r"[0-9]+(-[0-9]+)?@(s\.whatsapp\.net|lid|g\.us)", address)


ADDRESSES = st.one_of(
    st.from_regex(r"[1-9][0-9]{6,14}@s\.whatsapp\.net", fullmatch=True),
    st.from_regex(r"[0-9]{5,20}@lid", fullmatch=True),
    st.from_regex(r"[0-9]{5,25}(-[0-9]{5,15})?@g\.us", fullmatch=True),
)


@given(ADDRESSES)
def test_an_address_is_its_own_destination(address: str) -> None:
    assert jid.destination(address) == address


@given(
    st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True),
    st.lists(st.sampled_from(["", " ", "-", ".", "(", ") ", "\u00a0", "\u2011"]), min_size=20, max_size=20),
    st.sampled_from(["", "+", "00"]),
)
def test_decoration_adds_and_takes_no_digit(digits: str, between: list[str], prefix: str) -> None:
    written = prefix + "".join(digit + gap for digit, gap in zip(digits, between, strict=False))
    assert jid.destination(written) == f"{digits}@s.whatsapp.net"


@pytest.mark.parametrize(
    ("address", "lid"),
    [
        (PERSON, False),
        ("98765432109876@lid", True),
        ("120363041234567890@g.us", False),
        ("lid", False),
        ("1@notlid", False),
        ("", False),
    ],
)
def test_a_lid_is_told_by_its_server(address: str, lid: bool) -> None:
    assert jid.is_lid(address) is lid
