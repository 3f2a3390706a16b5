"""What a log may say: masked numbers, one handler, repeats counted, JSON where nobody watches."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import Any

import attrs
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from wa_worker.jid import masked
from wa_worker.logs import REPEAT_WINDOW, RepeatFilter, mask


@attrs.frozen
class Spelling:
    text: str
    shown: str


SPELLINGS = [
    Spelling("5511988880005", "***0005"),
    Spelling("+5511988880005", "***0005"),
    Spelling("+55 (11) 98888-0005", "***0005"),
    Spelling("+55(11)98888-0005", "***0005"),
    Spelling("55 11 98888 0005", "***0005"),
    Spelling("+55 11 9 8888 - 0005", "***0005"),
    Spelling("005511988880005", "***0005"),
    Spelling("tel:+5511988880005", "tel:***0005"),
    Spelling("to=5511988880005, again", "to=***0005, again"),
    Spelling("'5511988880005'", "'***0005'"),
    Spelling("5511988880005 and 5511988880006", "***0005 and ***0006"),
    Spelling("5511988880005\n5511988880006", "***0005\n***0006"),
    Spelling("5511988880005@s.whatsapp.net", "***0005@s.whatsapp.net"),
    Spelling("5511988880005:3@s.whatsapp.net", "***0005:3@s.whatsapp.net"),
    Spelling("5511988880005_1@s.whatsapp.net", "***0005_1@s.whatsapp.net"),
    Spelling("98765432109876@lid", "***9876@lid"),
    Spelling("120363041234567890@g.us", "***7890@g.us"),
    Spelling("5511988880005-1600000000@g.us", "***0000@g.us"),
    Spelling("/queued-messages?to=5511988880005&x=1", "/queued-messages?to=***0005&x=1"),
    Spelling("Nova mensagem", "Nova mensagem"),
    Spelling("status 503 after 30 s", "status 503 after 30 s"),
    Spelling("3EB0C767D0971E0B", "3EB0C767D0971E0B"),
    Spelling("no connection to 192.168.100.200:443", "no connection to 192.168.100.200:443"),
    Spelling("not sent to 5511988880005.", "not sent to ***0005."),
    Spelling("5511988880005.Retry", "***0005.Retry"),
    Spelling("5511988880005.0:3@s.whatsapp.net", "***0005.0:3@s.whatsapp.net"),
    Spelling("+55.11.98888.0005", "***0005"),
    Spelling("+55\u00a011\u00a098888\u20110005", "***0005"),
    Spelling("+55\t11\t98888\t0005", "***0005"),
    Spelling("wa5511988880005@lid", "wa***0005@lid"),
    Spelling(repr("to\n5511988880005"), "'to\\n***0005'"),
    Spelling("55119888800055511988880006", "***0006"),
]


@pytest.mark.parametrize("row", SPELLINGS, ids=lambda row: repr(row.text))
def test_a_number_in_an_event_and_in_its_fields(row: Spelling) -> None:
    assert masked(row.text) == row.shown
    event = mask(None, "info", {"event": row.text, "reason": row.text, "nested": {"to": [Exception(row.text)]}})
    assert event["event"] == event["reason"] == row.shown
    assert "98888" not in str(event)
    assert "5432109876" not in str(event)


@given(
    st.from_regex(r"[1-9][0-9]{7,14}", fullmatch=True),
    st.sampled_from(["+{}", "{}@s.whatsapp.net", "{}@lid", "{}@g.us", "{}:3@s.whatsapp.net", "{}_1@lid", "+{}@c.us"]),
    st.sampled_from(["", " ", "=", "(", "'", '"', "/", ",", ": "]),
)
def test_what_has_the_shape_of_an_address_is_never_shown_whole(digits: str, form: str, around: str) -> None:
    shown = masked(f"{around}{form.format(digits)}{around}")
    assert re.findall(r"[0-9]{2,}", shown) == [digits[-4:]]


@given(st.from_regex(r"[1-9][0-9]{4,14}", fullmatch=True), st.sampled_from(["to", "jid", "number", "chat", "sender"]))
def test_what_stands_in_a_field_of_addresses_is_never_shown_whole(digits: str, field: str) -> None:
    for value in (digits, int(digits), [digits], f"Ana {digits}", {"x": digits}):
        shown = str(mask(None, "info", {"event": "x", field: value})[field])
        assert re.findall(r"[0-9]{2,}", shown) == [digits[-4:]]


def test_a_small_number_in_such_a_field_stays_one() -> None:
    assert mask(None, "info", {"event": "upgrading", "to": 4, "number": 0}) == {
        "event": "upgrading",
        "to": 4,
        "number": 0,
    }


def test_numbers_without_country_code_are_masked_where_the_worker_is() -> None:
    event = {"event": "no such customer: 912 345 678"}
    assert mask(None, "info", dict(event), "PT") == {"event": "no such customer: ***5678"}
    assert mask(None, "info", dict(event), "BR") == event


def test_what_is_not_masked() -> None:
    event = {"event": "x", "instance": "5511988880005", "timestamp": "2026-01-02T03:04:05.123456Z", "port": 30000000}
    assert mask(None, "info", dict(event)) == {**event, "event": "x"}


def warn(repeats: RepeatFilter, method: str = "warning", **fields: Any) -> dict[str, Any] | None:
    try:
        return dict(repeats(None, method, {"event": "no answer", **fields}))
    except structlog.DropEvent:
        return None


def test_repeats_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    repeats = RepeatFilter()
    assert warn(repeats, instance="a") == {"event": "no answer", "instance": "a"}
    assert warn(repeats, instance="a") is None
    assert warn(repeats, instance="b") is not None
    assert warn(repeats, instance="a", reason="another") is not None
    assert warn(repeats, instance="a", endpoint="inbound") is not None
    now += REPEAT_WINDOW - 1
    assert warn(repeats, "error", instance="a") is None
    now += 2
    assert warn(repeats, instance="a") == {"event": "no answer", "instance": "a", "repeated": 2}
    now += REPEAT_WINDOW + 1
    assert warn(repeats, instance="a") == {"event": "no answer", "instance": "a"}


def test_what_is_told_once_is_never_dropped() -> None:
    repeats = RepeatFilter()
    assert all(warn(repeats, method) for method in ("debug", "info") for _ in range(3))


def test_it_remembers_a_bounded_number_of_kinds() -> None:
    repeats = RepeatFilter()
    for number in range(RepeatFilter.MOST + 1):
        assert warn(repeats, reason=str(number))
    assert warn(repeats, reason=str(RepeatFilter.MOST)) is None
    assert warn(repeats, reason="0"), "the oldest kind was forgotten"


PROGRAM = """
import logging, sys
from wa_worker.config import LogFormat
from wa_worker.logs import set_up_logs
set_up_logs("info", LogFormat.AUTO)
handlers = list(logging.getLogger().handlers)
import wa_worker.whatsapp.libmagic
import neonize
from neonize.utils import log as neonize_log
import structlog
log = structlog.get_logger("wa_worker.test")
log.debug("not shown")
log.info("to 5511988880005", instance="shop", chats=["5511988880005@s.whatsapp.net"], count=3, text="ação")
log.info("archived", to=17, archive="/data/20251125T213451Z")
for _ in range(3):
    log.warning("again", instance="shop")
logging.getLogger("other").warning("foreign %s", "+55 (11) 98888-0005")
logging.getLogger("httpx").info("one line per request")
neonize_log.info("from neonize")
try:
    raise ValueError("5511988880005@s.whatsapp.net")
except ValueError:
    log.exception("crashed")
    logging.getLogger("other").exception("foreign crash")
assert logging.getLogger().handlers == handlers, logging.getLogger().handlers
assert len(handlers) == 1
print("done")
"""


def test_a_process_logs_json_lines_to_stderr_and_neonize_adds_no_handler() -> None:
    program = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert (program.returncode, program.stdout) == (0, "done\n"), program.stderr
    lines = [json.loads(line) for line in program.stderr.splitlines()]
    said = [(line["level"], line["event"]) for line in lines]
    assert said == [
        ("info", "to ***0005"),
        ("info", "archived"),
        ("warning", "again"),
        ("warning", "foreign ***0005"),
        ("error", "crashed"),
        ("error", "foreign crash"),
    ]
    first = lines[0]
    assert (first["instance"], first["count"], first["text"]) == ("shop", 3, "ação")
    assert first["chats"] == "['***0005@s.whatsapp.net']"
    assert first["timestamp"].endswith("Z")
    assert (lines[1]["to"], lines[1]["archive"]) == (17, "/data/20251125T213451Z")
    assert all("ValueError: ***0005@s.whatsapp.net" in line["exception"] for line in lines[-2:])
    assert "98888" not in program.stderr
