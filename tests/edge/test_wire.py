"""Proxy JSON: tolerant where the contract is, strict in the rows; a bad row never costs a good one."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_worker.edge import wire
from wa_worker.edge.row_values import MAX_BODY_LENGTH
from wa_worker.errors import Failure
from wa_worker.messages import MessageStatus, Progress, QueuedMessage, Text
from wa_worker.models import InstanceId, Jid, MessageId, WaMessageId

HELLO = {"id": 7, "to": "5511988880005", "body": "Oi"}
GOOD = {"id": "good", "to": "5511988880006", "body": "Tudo bem?"}
MODEL = QueuedMessage("good", "5511988880006", Text("Tudo bem?"))


@attrs.frozen
class Listing:
    name: str
    answer: object
    good: tuple[str, ...]
    bad: int = 0


LISTINGS = [
    Listing("nothing", [], ()),
    Listing("bare list", [{"id": "shop"}, {"id": "2"}], ("shop", "2")),
    Listing("wrapped", {"instances": [{"id": "shop"}]}, ("shop",)),
    Listing("wrapped, empty", {"instances": []}, ()),
    Listing("wrapped, with more", {"instances": [{"id": "shop", "status": "CONNECTING"}], "total": 1}, ("shop",)),
    Listing("strings", ["shop"], ("shop",)),
    Listing("a path", [{"id": "../etc"}, {"id": "shop"}], ("shop",), 1),
    Listing("dots", [{"id": "."}, {"id": ".."}, {"id": "..."}], ("...",), 2),
    Listing("our own folder", [{"id": "@worker"}, {"id": "shop"}], ("shop",), 1),
    Listing("too long", [{"id": "x" * 129}, {"id": "x" * 128}], ("x" * 128,), 1),
    Listing("line end", [{"id": "shop\n"}, {"id": "shop"}], ("shop",), 1),
    Listing("no text", [{"id": 5}, {"id": None}, {"id": True}, {"id": ["a"]}, {"id": {}}, {"id": ""}], (), 6),
    Listing("no objects", [None, 1, [], [[]], True, {}, 1.5], (), 7),
    Listing("surrogate", [{"id": "\ud800"}, {"id": "shop"}], ("shop",), 1),
]


@pytest.mark.parametrize("case", LISTINGS, ids=lambda case: case.name)
def test_instances(case: Listing) -> None:
    rows = wire.instances_from(case.answer)
    assert rows.good == case.good
    assert len(rows.bad) == case.bad
    assert all(row.reason for row in rows.bad)


NO_LISTING: list[object] = [
    None,
    "shop",
    "<html>",
    True,
    0,
    1.5,
    {},
    {"error": "no"},
    {"code": 500, "message": "boom"},
    {"instances": None, "messages": None},
    {"instances": {"id": "shop"}, "messages": {"id": 1}},
    {"Instances": [], "Messages": []},
    {"data": []},
]


@pytest.mark.parametrize("answer", NO_LISTING, ids=repr)
def test_an_answer_that_is_not_the_contract(answer: object) -> None:
    with pytest.raises(wire.NotTheContract, match="instances"):
        wire.instances_from(answer)
    with pytest.raises(wire.NotTheContract, match="messages"):
        wire.messages_from(answer)


def test_the_other_ones_wrapper_is_not_the_contract() -> None:
    with pytest.raises(wire.NotTheContract):
        wire.instances_from({"messages": []})
    with pytest.raises(wire.NotTheContract):
        wire.messages_from({"instances": []})


def test_a_refused_answer_is_described_but_not_quoted() -> None:
    with pytest.raises(wire.NotTheContract) as error:
        wire.messages_from({"body": "a private word"})
    assert "body" in str(error.value)
    assert "private" not in str(error.value)


@attrs.frozen
class Row:
    name: str
    row: object
    good: QueuedMessage | None = None
    id: MessageId | None = None
    """Of a bad row: the id by which it can be marked failed."""
    failure: Failure | None = None
    """What the proxy hears of it, if that is looked at."""


def _with(**fields: object) -> dict[str, object]:
    return {**HELLO, **fields}


LONGEST = "x" * MAX_BODY_LENGTH

ROWS = [
    Row("plain", HELLO, QueuedMessage(7, "5511988880005", Text("Oi"))),
    Row("more fields", _with(created_at="now", attempts=None), QueuedMessage(7, "5511988880005", Text("Oi"))),
    Row("text id", _with(id="7"), QueuedMessage("7", "5511988880005", Text("Oi"))),
    Row("id 0", _with(id=0), QueuedMessage(0, "5511988880005", Text("Oi"))),
    Row("negative id", _with(id=-1), QueuedMessage(-1, "5511988880005", Text("Oi"))),
    Row("id over 64 bits", _with(id=10**30), QueuedMessage(10**30, "5511988880005", Text("Oi"))),
    Row("longest id", _with(id="x" * 256), QueuedMessage("x" * 256, "5511988880005", Text("Oi"))),
    Row("number as destination", _with(to=5511988880005), QueuedMessage(7, "5511988880005", Text("Oi"))),
    Row("longest body", _with(body=LONGEST), QueuedMessage(7, "5511988880005", Text(LONGEST))),
    Row("emoji", _with(body="\U0001f600"), QueuedMessage(7, "5511988880005", Text("\U0001f600"))),
    Row("NUL in body", _with(body="a\x00b"), QueuedMessage(7, "5511988880005", Text("a\x00b"))),
    Row("no id", {"to": "5511988880005", "body": "Oi"}),
    Row("null id", _with(id=None)),
    Row("boolean id", _with(id=True)),
    Row("fractional id", _with(id=7.0)),
    Row("list id", _with(id=[7])),
    Row("object id", _with(id={"id": 7})),
    Row("empty id", _with(id="")),
    Row("id too long", _with(id="x" * 257)),
    Row("huge id", _with(id=10**300)),
    Row("id of 5000 digits", _with(id=10**5000)),
    Row("no destination", {"id": 7, "body": "Oi"}, id=7, failure=Failure.NO_TO),
    Row("null destination", _with(to=None), id=7, failure=Failure.NO_TO),
    Row("empty destination", _with(to=""), id=7),
    Row("blank destination", _with(to="  "), id=7, failure=Failure.NO_TO),
    Row("boolean destination", _with(to=True), id=7),
    Row("list of destinations", _with(to=["5511988880005"]), id=7),
    Row("destination of 5000 digits", _with(to=10**5000), id=7),
    Row("no body", {"id": 7, "to": "5511988880005"}, id=7, failure=Failure.NO_BODY),
    Row("null body", _with(body=None), id=7),
    Row("empty body", _with(body=""), id=7),
    Row("blank body", _with(body=" \n\u2003"), id=7, failure=Failure.NO_BODY),
    Row("number as body", _with(body=5), id=7),
    Row("object as body", _with(body={"text": "Oi"}), id=7, failure=Failure.NO_BODY),
    Row("body too long", _with(body=LONGEST + "x"), id=7, failure=Failure.LONG_BODY),
    Row("body of 1 MB", _with(body="x" * 1_000_000), id=7),
    Row("null", None),
    Row("string", "Oi"),
    Row("list", [7, "5511988880005", "Oi"]),
    Row("empty object", {}),
    Row("nested", {"message": HELLO}),
    Row("surrogate in id", _with(id="a\ud800")),
    Row("surrogate in destination", _with(to="a@\ud800"), id=7),
    Row("surrogate in body", _with(body="a\ud800"), id=7, failure=Failure.NOT_UNICODE),
    Row("surrogate in id of a bad row", _with(id="\udfff", body=None)),
]


@pytest.mark.parametrize("case", ROWS, ids=lambda row: row.name)
def test_a_row_beside_a_good_one(case: Row) -> None:
    rows = wire.messages_from([case.row, GOOD])
    if case.good is not None:
        assert rows.good == (case.good, MODEL)
        assert type(rows.good[0].id) is type(case.good.id)
        assert rows.bad == ()
    else:
        assert rows.good == (MODEL,)
        assert [row.id for row in rows.bad] == [case.id]
        assert rows.bad[0].reason
        assert case.failure in (None, rows.bad[0].failure)
        assert len(rows.bad[0].reason) < 200


@pytest.mark.parametrize("wrapped", [False, True])
def test_order_and_duplicates(wrapped: bool) -> None:
    listed = [_with(id=1, body="first"), _with(id="1"), _with(id=2), _with(id=1, body="again"), _with(id=2, body="!")]
    rows = wire.messages_from({"messages": listed} if wrapped else listed)
    assert [(m.id, m.content) for m in rows.good] == [(1, Text("first")), ("1", Text("Oi")), (2, Text("Oi"))]
    assert rows.bad == ()


def test_no_messages() -> None:
    assert wire.messages_from([]) == wire.messages_from({"messages": []}) == wire.Rows((), ())


def test_a_row_that_is_a_list_is_called_one() -> None:
    assert "list" in wire.messages_from([[1, 2]]).bad[0].reason


# JSON as Python reads it: lone surrogates and long integers included
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None))
_JSON = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["id", "to", "body", "messages", "instances"]) | st.text(), inner, max_size=5)
    ),
    max_leaves=20,
)


def any_json() -> st.SearchStrategy[object]:
    return _JSON | st.lists(_JSON)


@given(any_json())
def test_arbitrary_json_raises_nothing_else(answer: object) -> None:
    for read, key in ((wire.instances_from, "instances"), (wire.messages_from, "messages")):
        try:
            rows: wire.Rows[Any] = read(answer)
        except wire.NotTheContract:
            continue
        listed = answer[key] if isinstance(answer, dict) else answer
        assert isinstance(listed, list)
        assert len(rows.good) + len(rows.bad) <= len(listed)


@given(st.integers(-(10**20), 10**20) | st.text("abc-7", min_size=1, max_size=20))
def test_an_id_is_echoed_as_it_came(message_id: MessageId) -> None:
    (message,) = wire.messages_from(json.loads(json.dumps([_with(id=message_id)]))).good
    assert json.dumps(wire.sent_body(message.id, WaMessageId("W"), None, None)) == json.dumps(
        {"messageId": message_id, "wa_message_id": "W"}
    )
    assert wire.failed_body(message.id, Failure.NO_TO) == {"messageId": message_id, "error": Failure.NO_TO.value}


def test_a_mark_names_the_receiver_and_the_time_where_they_are_known() -> None:
    assert wire.sent_body(7, WaMessageId("W"), None, None) == {"messageId": 7, "wa_message_id": "W"}
    account, marked = Jid("553188880005@s.whatsapp.net"), {"messageId": 7, "wa_message_id": "W"}
    assert wire.sent_body(7, WaMessageId("W"), account, 0) == {**marked, "to": account, "timestamp": 0}


def test_a_status_says_how_far_which_message_has_come_with_whom() -> None:
    chat, person = Jid("1-2@g.us"), Jid("5511988880002@s.whatsapp.net")
    status = MessageStatus(InstanceId("shop"), 7, WaMessageId("W"), chat, person, Progress.READ, 1_700_000_000)
    assert wire.message_status_body(status) == {
        "instanceId": "shop",
        "messageId": 7,
        "wa_message_id": "W",
        "chat_id": chat,
        "status": "read",
        "timestamp": 1_700_000_000,
        "recipient_id": person,
    }
