"""What a log may say: masked numbers, one handler, repeats counted, JSON where nobody watches."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
import unicodedata
from typing import Any

import attrs
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from wa_worker.jid import masked
from wa_worker.logs import MOST_OF_A_KIND, REPEAT_WINDOW, RepeatFilter, escaped, mask


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


class Slow(str):
    """A reason that lets other threads go on whenever it is looked up."""

    __slots__ = ()

    def __hash__(self) -> int:
        time.sleep(0.01)
        return super().__hash__()


def test_threads_that_say_the_same_at_once_say_it_once() -> None:
    repeats, said = RepeatFilter(), []
    threads = [threading.Thread(target=lambda: said.append(warn(repeats, reason=Slow("again")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([line for line in said if line]) == 1


def test_what_is_told_once_is_never_dropped() -> None:
    repeats = RepeatFilter()
    assert all(warn(repeats, method) for method in ("debug", "info") for _ in range(3))


def test_it_remembers_a_bounded_number_of_kinds() -> None:
    repeats = RepeatFilter()
    for number in range(RepeatFilter.MOST + 1):
        assert warn(repeats, instance=str(number))
    assert warn(repeats, instance=str(RepeatFilter.MOST)) is None
    assert warn(repeats, instance="0"), "the oldest kind was forgotten"


def test_reasons_that_differ_each_time_are_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    repeats = RepeatFilter()
    through = [warn(repeats, instance="a", reason=f"request {number}") for number in range(MOST_OF_A_KIND + 50)]
    assert sum(line is not None for line in through) == MOST_OF_A_KIND
    assert warn(repeats, instance="b", reason="request 0"), "each instance has its own"
    now += REPEAT_WINDOW
    assert (warn(repeats, instance="a", reason="another") or {})["held_back"] == 50
    assert "held_back" not in (warn(repeats, instance="a", reason="one more") or {"held_back": 0})


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
    assert list(first)[:4] == ["timestamp", "event", "level", "instance"], "as one reads it"
    assert {tuple(line)[:3] for line in lines} == {("timestamp", "event", "level")}
    assert (lines[1]["to"], lines[1]["archive"]) == (17, "/data/20251125T213451Z")
    assert all("ValueError: ***0005@s.whatsapp.net" in line["exception"] for line in lines[-2:])
    assert "98888" not in program.stderr


OBEYED = "\u202e\u2066\u200b\u200f\ufeff\u2028\u2029\x1b[31m\x07\x7f\x85\x9b\u00ad\U000e0041\ud83d"
"""What turns the line around, ends it, colours it or hides in it."""

HOSTILE = """
import logging, sys
from wa_worker.config import LogFormat
from wa_worker.logs import set_up_logs
import structlog
text = sys.argv[2].encode().decode("unicode_escape")
set_up_logs("info", LogFormat(sys.argv[1]))
structlog.get_logger(text).info(text, instance="shop", field=text, **{"key" + text: 1})
logging.getLogger("other" + text).warning("foreign %s", text)
try:
    raise ValueError(text)
except ValueError:
    structlog.get_logger("wa_worker.test").exception("crashed")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_a_terminal_obeys_is_spelt(form: str) -> None:
    spelt = OBEYED.encode("unicode_escape").decode()
    run = [sys.executable, "-c", HOSTILE, form, spelt]
    program = subprocess.run(run, capture_output=True, timeout=60, check=True)
    shown = program.stderr.decode()  # UTF-8 it is, whatever was logged
    assert shown.count("u202e") >= 4
    assert not [char for char in shown if char not in "\n\t" and not char.isprintable()]
    if form == "json":
        lines = [json.loads(line) for line in shown.split("\n")[:-1]]
        assert (lines[0]["event"], lines[0]["field"]) == (OBEYED, OBEYED), "and nothing is lost"
        assert len(lines) == 3


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_is_lost_of_what_is_escaped(text: str) -> None:
    shown = escaped(json.dumps(text, ensure_ascii=False))
    assert json.loads(shown) == text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    assert shown.encode()
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_what_is_read_stays_as_it_is() -> None:
    for text in ("ação 😀 日本", "a b", "x\u3000y", "\ue000"):
        assert escaped(text) == text
    assert escaped("a\nb\tc\r", spare="\n\t") == "a\nb\tc\\r"


FLOOD = """
import logging, sys
from wa_worker import logs
from wa_worker.config import LogFormat
logs.REPEAT_WINDOW = 0.5
logs.set_up_logs(sys.argv[1], LogFormat.JSON)
same, varied = logging.getLogger("trio.serve_listeners"), logging.getLogger("another.library")
def flood():
    for number in range(200):
        try:
            raise OSError(24, "Too many open files")
        except OSError:
            same.error("accept returned %s; retrying in %s seconds", "EMFILE", 0.1, exc_info=True)
        varied.info("request %d of +55 (11) 98888-0005", number)
flood()
import time
time.sleep(0.6)
same.error("accept returned %s; retrying in %s seconds", "EMFILE", 0.1)
varied.info("request again")
logging.getLogger("careless").error("%d of %d for 5511988880005", 1)
"""


def flood(level: str) -> list[dict[str, Any]]:
    program = subprocess.run([sys.executable, "-c", FLOOD, level], capture_output=True, text=True, timeout=60)
    assert program.returncode == 0, program.stderr
    assert "98888-0" not in program.stderr  # "98888" alone may stand in a time
    assert "988880005" not in program.stderr
    return [json.loads(line) for line in program.stderr.splitlines()]


def test_no_library_floods_the_log() -> None:
    lines = flood("info")
    same = [line for line in lines if line["logger"] == "trio.serve_listeners"]
    assert [line.get("repeated") for line in same] == [None, 199]
    assert "Too many open files" in same[0]["exception"]
    varied = [line for line in lines if line["logger"] == "another.library"]
    assert len(varied) == MOST_OF_A_KIND + 1
    assert varied[-1]["held_back"] == 200 - MOST_OF_A_KIND
    assert lines[-1]["event"] == "%d of %d for ***0005 % (1,)", (
        "a line that cannot be put together is a line all the same"
    )


def test_who_debugs_sees_every_line() -> None:
    assert len(flood("debug")) == 200 + 200 + 3
