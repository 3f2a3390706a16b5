"""Destinations as people and proxies write them; identities as WhatsApp does. Digits are never made up."""

from __future__ import annotations

import contextlib
import re
import unicodedata

import attrs
import phonenumbers
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


BELO_HORIZONTE = "5531988880005@s.whatsapp.net"

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
    # trunk zeros and carrier codes within an international number
    Good("+55 (0)31 98888-0005", BELO_HORIZONTE),
    Good("+55 (0xx31) 98888-0005", BELO_HORIZONTE),
    Good("+55 0 15 31 98888-0005", BELO_HORIZONTE),
    Good("5503198888 0005", BELO_HORIZONTE),
    Good("(+55) 31 98888-0005", BELO_HORIZONTE),
    Good("+44 (0)20 7946 0958", "442079460958@s.whatsapp.net"),
    Good("+7 8 912 345 67 89", "79123456789@s.whatsapp.net"),
    Good("+39 06 1234 5678", "390612345678@s.whatsapp.net"),  # this zero is part of it
    # without country code
    Good("(31) 98888-0005", BELO_HORIZONTE),
    Good("31 98888-0005", BELO_HORIZONTE),
    Good("31988880005", BELO_HORIZONTE),
    Good("031 98888-0005", BELO_HORIZONTE),
    Good("01531988880005", BELO_HORIZONTE),
    Good("0 15 31 98888-0005", BELO_HORIZONTE),
    Good("0xx31 98888-0005", BELO_HORIZONTE),
    Good("(0XX31) 98888-0005", BELO_HORIZONTE),
    Good("0 XX 31 98888-0005", BELO_HORIZONTE),
    Good("00 15 55 31 98888-0005", BELO_HORIZONTE),  # abroad, by a carrier
    Good("(31) 3333-4444", "553133334444@s.whatsapp.net"),
    Good("55 98888-0005", "5555988880005@s.whatsapp.net"),  # area code 55, Santa Maria
    # version 1: digits that are a number somewhere are that number
    Good("84988880005", "84988880005@s.whatsapp.net"),
    Good("(84) 98888-0005", "5584988880005@s.whatsapp.net"),
    Good("351912345678", "351912345678@s.whatsapp.net"),
    Good("553188880005", "553188880005@s.whatsapp.net"),  # without the ninth digit: WhatsApp knows
    Good("+55 31 8888-0005", "553188880005@s.whatsapp.net"),
    Good("+52 1 55 1234 5678", "5215512345678@s.whatsapp.net"),
    Good("5215512345678", "5215512345678@s.whatsapp.net"),
    Good("+54 9 11 2345-6789", "5491123456789@s.whatsapp.net"),
    # extensions and schemes
    Good("+55 11 3333-4444 ramal 12", "551133334444@s.whatsapp.net"),
    Good("(11) 3333-4444 r. 12", "551133334444@s.whatsapp.net"),
    Good("+55 11 3333-4444 ext. 12", "551133334444@s.whatsapp.net"),
    Good("+55 11 3333-4444x12", "551133334444@s.whatsapp.net"),
    Good("tel:+55-11-3333-4444;ext=12", "551133334444@s.whatsapp.net"),
    Good("whatsapp:+5511988880005", PERSON),
    Good("+1 555 010 9999 ext 3", "15550109999@s.whatsapp.net"),
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
    "0000000000",
    "0 800",
    "00",
    "+",
    "+ramal 12",
    "ramal 12345",
    "0xx",
    "5511988880005 ou 5511988880006",
    "+5511988880005+5511988880006",
    "5511988880005" * 3,
    " " * 100 + "1" * 5000,
    "1" * 1_000_000,
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


INVISIBLE = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf"] + ["\ufe0f", "\u034f"]


@pytest.mark.parametrize("mark", INVISIBLE, ids=lambda mark: f"U+{ord(mark):04X}")
def test_what_cannot_be_seen_does_not_count(mark: str) -> None:
    for text in ("5511988880005", "+55 (11) 98888-0005", PERSON, "98765432109876@lid"):
        marked = mark + mark.join(text) + mark
        assert jid.destination(marked) == jid.destination(text)


@pytest.mark.parametrize(
    ("text", "region", "digits"),
    [
        ("912 345 678", "PT", "351912345678"),
        ("55 1234 5678", "MX", "525512345678"),
        ("011 15-2345-6789", "AR", "5491123456789"),
        ("(202) 555-0123", "US", "12025550123"),
        ("1 202 555 0123", "US", "12025550123"),
        ("011 55 11 98888 0005", "US", "5511988880005"),
        ("020 7946 0958", "GB", "442079460958"),
        ("06 1234 5678", "IT", "390612345678"),
        ("5511988880005", "PT", "5511988880005"),
        ("+55 11 98888-0005", "US", "5511988880005"),
    ],
)
def test_the_region_is_where_a_number_without_country_code_is_dialled(text: str, region: str, digits: str) -> None:
    assert jid.destination(text, region) == f"{digits}@s.whatsapp.net"


@pytest.mark.parametrize(
    "text",
    [
        "5511988880005.x@s.whatsapp.net",
        "5511988880005.1234@s.whatsapp.net",
        "Maria.0@s.whatsapp.net",
        "98765432109876.x@lid",
        "98765432109876.1234@lid",
        "98765432109876.0.1@lid",
        "987654.32109876@lid",
    ],
)
def test_what_only_looks_like_an_agent_part_is_not_dropped(text: str) -> None:
    """Else a message would go to an address that nobody wrote."""
    with contextlib.suppress(ValueError):
        assert jid.destination(text).partition("@")[0] == re.sub(r"[^0-9]", "", text.partition("@")[0])


@pytest.mark.parametrize("agent", ["0", "12", "255"])
def test_an_agent_part_of_a_lid_is_dropped(agent: str) -> None:
    assert jid.destination(f"98765432109876.{agent}:3@lid") == "98765432109876@lid"


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


EXAMPLES = [
    f"{number.country_code}{phonenumbers.national_significant_number(number)}"
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    if (number := phonenumbers.example_number_for_type(region, kind)) is not None
]


@pytest.mark.parametrize("region", ["BR", "US", "MX", "AR", "IT", "RU", "ZA"])
def test_a_full_number_of_any_country_is_itself_in_any_region(region: str) -> None:
    """Version 1: digits with their country code, with or without `+`, go as they are."""
    assert len(EXAMPLES) > 400
    for digits in EXAMPLES:
        for text in (digits, f"+{digits}", f"00{digits}"):
            if text.startswith("00") and region in ("US", "RU"):
                continue
            assert jid.destination(text, region) == f"{digits}@s.whatsapp.net"


@given(
    st.sampled_from(EXAMPLES),
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
