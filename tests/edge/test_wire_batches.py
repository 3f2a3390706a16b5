"""JSON of version 2: a poll for all instances, and a result for each event."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given

from tests.edge.test_wire import GOOD, HELLO, any_json
from wa_worker.edge import wire
from wa_worker.errors import Failure
from wa_worker.models import MessageId

ROW = {"instanceId": "shop", **HELLO}
NO_IDS: list[object] = ["..", "", [], {}, None]
POLLS = [
    ({"instances": [], "messages": []}, (), {}, 0),
    ({"instances": [{"id": "shop"}, {"id": "new", "more": 1}], "messages": []}, ("shop", "new"), {}, 0),
    ({"instances": [], "messages": [ROW, {**GOOD, "instanceId": "pub"}]}, (), {"shop": [7], "pub": ["good"]}, 0),
    ({"instances": [], "messages": [ROW, ROW, {**ROW, "id": 8}]}, (), {"shop": [7, 8]}, 0),
    ({"instances": [], "messages": [HELLO, 5, None, {**ROW, "instanceId": 5}, ROW]}, (), {"shop": [7]}, 4),
    ({"instances": [], "messages": [{**ROW, "instanceId": name} for name in NO_IDS]}, (), {}, 5),
]


@pytest.mark.parametrize(("answer", "instances", "messages", "stray"), POLLS)
def test_a_poll(answer: object, instances: tuple[str, ...], messages: dict[str, list[MessageId]], stray: int) -> None:
    polled = wire.polled_from(answer)
    assert polled.instances.good == instances
    assert {each: [row.id for row in rows.good] for each, rows in polled.messages.items()} == messages
    assert len(polled.stray) == stray


def test_a_bad_row_of_a_poll_is_its_instances() -> None:
    polled = wire.polled_from({"instances": [], "messages": [{**ROW, "to": ""}, {**ROW, "id": 8}]})
    (rows,) = polled.messages.values()
    assert [bad.failure for bad in rows.bad] == [Failure.NO_TO]
    assert [row.id for row in rows.good] == [8]
    assert wire.polled_from({"instances": [], "messages": [HELLO]}).stray[0].id == 7


@pytest.mark.parametrize(
    "answer",
    [None, [], "x", 1, {}, {"instances": []}, {"messages": []}, {"instances": {}, "messages": []},
     {"instances": [], "messages": None}, {"ok": True}],
)  # fmt: skip
def test_what_is_no_answer_to_a_poll(answer: object) -> None:
    with pytest.raises(wire.NotTheContract):
        wire.polled_from(answer)


def test_what_a_poll_says() -> None:
    body = wire.poll_body("w", {"a": "CONNECTED", "b": "SENDING"}, 20)
    states = [{"id": "a", "state": "CONNECTED"}, {"id": "b", "state": "SENDING"}]
    assert body == {"worker": "w", "instances": states, "wait": 20}


RESULTS = [
    ({"status": 200}, wire.Result(200)),
    ({"status": 503, "error": "no"}, wire.Result(503, "no")),
    ({"status": 100}, wire.Result(100)),
    ({"status": 599, "error": 5}, wire.Result(599)),
    *[({"status": status}, wire.Result(None)) for status in (True, "200", 99, 600, None, 200.5, -200)],
    (None, wire.Result(None)),
    (200, wire.Result(None)),
    ({}, wire.Result(None)),
]


@pytest.mark.parametrize(("item", "result"), RESULTS)
def test_a_result(item: object, result: wire.Result) -> None:
    assert wire.results_from({"results": [item]}, 1) == [result]


@pytest.mark.parametrize("answer", [None, [], {}, {"results": {}}, {"results": []}, {"results": [{}] * 3}, [{}, {}]])
def test_what_is_no_answer_to_two_events(answer: object) -> None:
    with pytest.raises(wire.NotTheContract):
        wire.results_from(answer, 2)


@given(any_json())
def test_arbitrary_json_for_version_2_raises_nothing_else(answer: object) -> None:
    for read in (wire.polled_from, lambda it: wire.results_from(it, 1)):
        for said in (answer, {"instances": answer, "messages": answer}, {"results": answer}, {"results": [answer]}):
            with contextlib.suppress(wire.NotTheContract):
                read(said)
