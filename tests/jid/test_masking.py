"""What a log shows of addresses, and that it shows everything else. More spellings are in tests/test_logs.py."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.jid.test_destination import EXAMPLES
from wa_worker.jid import masked, masked_address

KEPT = [
    "session store archived to /data/auth/shop/archive/20251125T213451Z",
    "/data/auth/shop/archive/20251125T213451Z+",
    "2025-11-25 21:34:51 up",
    "at 2025-11-25T21:34:51.123456Z",
    "1 2025-11-25 21:34:51",
    "2025-11-25 21:34:51,123 [Client WARN] x",
    "2026/01/02 03:04:05.123",
    "25-11-2025 21:34",
    "25.11.2025 21:34",
    "20251125",
    "202511252134",
    "20251125_213451.log",
    "journal.db.format-2.20251125",
    "whatsmeow_20260921-35ae40906e74",
    "uvicorn-0.30.20241125",
    "16777216 bytes",
    "wrote 2147483648 bytes of 4294967296",
    "134217728",
    "1073741824",
    "size=2147483648",
    '"size": 2147483648',
    "1048576-2097151",
    "[1048576, 2097152, 4194304]",
    "took 12345678 ms",
    "memory 123456789 of 987654321",
    "expires=1790000000",
    "expire: 1750000000 >",
    "'timestamp': 1750000000, 'x'",
    "1790000000",
    "1790000000000",
    "1790000000123456789",
    "time 1764107691.4832",
    "0.1234567890123",
    "3EB0C431C26A1916E07A",
    "3EB01234567890ABCDEF",
    "5f0c6b1e-5d0f-4b57-9f0a-8d9c1c8a9b11",
    "id=1234567",
    "pid 1234567",
    "error code 1234567890123456",
    "no connection to 192.168.100.200:443",
    "HTTP/1.1 503",
]


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_address_stays(text: str) -> None:
    assert masked(text) == text


MASKED = {
    "11988880005": "***0005",
    "(11) 98888-0005": "(***0005",
    "11 98888-0005": "***0005",
    "98888-0005": "***0005",
    "3 5511988880005": "3 ***0005",
    "10 31 3333-4444": "10 ***4444",
    "31 3333-4444 10": "***4444 10",
    "5511\u200b98888\u200b0005": "***0005",
    repr("5511\u200b98888\u200b0005"): "'***0005'",
    "%2B5511988880005": "%2B***0005",
    "tel5511988880005": "tel***0005",
    "5511988880005s": "***0005s",
    "98765432109876_1:0": "***9876_1:0",
    "5511988880005:0": "***0005:0",
    "2025-11-25 5511988880005": "2025-11-25 ***0005",
    "5511988880005 2025-11-25": "***0005 2025-11-25",
    "20251125T213451Z 5511988880005": "20251125T213451Z ***0005",
    "5511988880005 bytes": "***0005 bytes",
    "t=5511988880005": "t=***0005",
    "5511988880005.75": "***0005.75",
    "553188880005": "***0005",
    "5215512345678": "***5678",
    "1733334444": "***4444",
    "15550109999": "***9999",
    "+551198888": "***8888",
    "5511988880005-5511988880006": "***0005-***0006",
    "12345@s.whatsapp.net": "***2345@s.whatsapp.net",
    "chat 120363041234567890@g.us": "chat ***7890@g.us",
    "no LID found for 5531900000009@s.whatsapp.net from server": "no LID found for ***0009@s.whatsapp.net from server",
}


@pytest.mark.parametrize(("text", "shown"), MASKED.items())
def test_what_is_an_address_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


FORMATS = [
    lambda number: phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
    lambda number: phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:],
    lambda number: phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL),
    lambda number: phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)[1:],
    lambda number: phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.RFC3966),
    lambda number: "00" + phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:],
]


@pytest.mark.parametrize("form", FORMATS, ids=range(len(FORMATS)))
def test_a_number_of_any_country_is_masked_in_a_sentence(form: object) -> None:
    """All but the shortest: few digits without `+` may be anything."""
    assert callable(form)
    for digits in EXAMPLES:
        text = form(phonenumbers.parse(f"+{digits}"))
        if len(digits) < 9 and "+" not in text:
            continue
        shown = masked(f"an answer for {text}: no")
        assert max(len(run) for run in re.findall("[0-9]+", shown)) <= 4, (text, shown)


@given(st.text(st.sampled_from("0123456789+-.() @:_\\nxaTZ\u200b\u00a0"), max_size=60))
def test_any_text_is_masked_without_an_error_and_twice_is_as_once(text: str) -> None:
    assert masked(masked(text)).count("***") >= masked(text).count("***")


@pytest.mark.parametrize("text", ["1", "12", "1234", "Ana", ""])
def test_a_short_address_stays(text: str) -> None:
    assert masked_address(text) == text


def test_of_several_addresses_each_is_masked() -> None:
    assert masked_address("['98765432109876@lid', '+55 (11) 98888-0005']") == "['***9876@lid', '***0005']"


def test_it_masks_though_no_file_can_be_opened() -> None:
    """A country's numbering plan is a file, which is read when it is first needed."""
    code = """
    import os, resource
    from wa_worker.jid.masking import masked
    masked("5511988887777")
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    try:
        while True:
            os.open("/dev/null", os.O_RDONLY)
    except OSError:
        print(masked("to 84988887777 and 8613912345678"))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=30)
    assert done.stdout == "to ***7777 and ***5678\n", done.stderr
