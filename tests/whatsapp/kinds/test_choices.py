"""Answers to a choice: the words that the person saw, and the id of what was tapped."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.whatsapp.message_events import made
from wa_worker.messages import Button, FlowReply, Interactive, OptionReply
from wa_worker.whatsapp.kinds.reading import content


def tapped(identifier: str, title: str) -> Interactive:
    return Interactive("button_reply", button_reply=OptionReply(identifier, title))


def row(identifier: str, title: str, description: str | None = None) -> Interactive:
    return Interactive("list_reply", list_reply=OptionReply(identifier, title, description))


def native(params: object, *, body: str | None = None, name: str = "quick_reply", quoted: Any = None) -> Any:
    text = params if isinstance(params, str) else json.dumps(params)
    answer: dict[str, Any] = {"nativeFlowResponseMessage": {"name": name, "paramsJSON": text, "version": 3}}
    if body is not None:
        answer["body"] = {"text": body}
    if quoted is not None:
        answer["contextInfo"] = {"quotedMessage": quoted}
    return made(interactiveResponseMessage=answer)


ROWS = {
    "sections": [{"title": "Cores", "rows": [{"rowID": "1", "title": "Azul"}, {"rowID": "2", "description": "Cinza"}]}]
}
BUTTONS = {"contentText": "Confirma?", "buttons": [{"buttonID": "y", "buttonText": {"displayText": "Sim"}}]}
TEMPLATE = {"hydratedTemplate": {"hydratedButtons": [{"quickReplyButton": {"displayText": "Parar", "ID": "stop"}}]}}
OPTIONS = {"title": "Escolha", "sections": [{"rows": [{"id": "7", "header": "", "title": "Verde"}]}]}
QUICK = {"display_text": "Sim", "id": "y"}
FLOW_BUTTONS = [
    {"name": "quick_reply", "buttonParamsJSON": json.dumps(QUICK)},
    {"name": "single_select", "buttonParamsJSON": json.dumps(OPTIONS)},
]
NATIVE = {"viewOnceMessage": {"message": {"interactiveMessage": {"nativeFlowMessage": {"buttons": FLOW_BUTTONS}}}}}


def quoting(message: Any, **answer: Any) -> dict[str, Any]:
    return {**answer, "contextInfo": {"quotedMessage": message}}


@attrs.frozen
class Answer:
    name: str
    message: Any
    words: str
    interactive: Interactive | None = None
    button: Button | None = None


ANSWERS = [
    Answer(
        "button",
        made(buttonsResponseMessage={"selectedButtonID": "y", "selectedDisplayText": "Sim"}),
        "Sim",
        tapped("y", "Sim"),
    ),
    Answer("button without an id", made(buttonsResponseMessage={"selectedDisplayText": "Sim"}), "Sim"),
    Answer(
        "button without words, of a question",
        made(buttonsResponseMessage=quoting({"buttonsMessage": BUTTONS}, selectedButtonID="y")),
        "Sim",
        tapped("y", "Sim"),
    ),
    Answer("button without words", made(buttonsResponseMessage={"selectedButtonID": "y"}), "", tapped("y", "")),
    Answer(
        "template",
        made(templateButtonReplyMessage={"selectedID": "stop", "selectedDisplayText": "Parar"}),
        "Parar",
        button=Button("stop", "Parar"),
    ),
    Answer(
        "template without words, of a question",
        made(templateButtonReplyMessage=quoting({"templateMessage": TEMPLATE}, selectedID="stop")),
        "Parar",
        button=Button("stop", "Parar"),
    ),
    Answer("template without an id", made(templateButtonReplyMessage={"selectedDisplayText": "Parar"}), "Parar"),
    Answer(
        "row",
        made(listResponseMessage={"title": "Azul", "description": "Hoje", "singleSelectReply": {"selectedRowID": "1"}}),
        "Azul",
        row("1", "Azul", "Hoje"),
    ),
    Answer(
        "row without a title",
        made(listResponseMessage={"description": "Hoje", "singleSelectReply": {"selectedRowID": "1"}}),
        "Hoje",
        row("1", "Hoje", "Hoje"),
    ),
    Answer(
        "row with a blank title, of a question",
        made(listResponseMessage=quoting({"listMessage": ROWS}, title=" ", singleSelectReply={"selectedRowID": "1"})),
        "Azul",
        row("1", "Azul"),
    ),
    Answer(
        "row that has no title in the question either",
        made(listResponseMessage=quoting({"listMessage": ROWS}, singleSelectReply={"selectedRowID": "2"})),
        "Cinza",
        row("2", "Cinza"),
    ),
    Answer("row of nothing", made(listResponseMessage={"singleSelectReply": {"selectedRowID": "1"}}), "", row("1", "")),
    Answer("row without an id", made(listResponseMessage={"title": "Azul"}), "Azul"),
    Answer("quick reply", native({"id": "y"}, body="Sim"), "Sim", tapped("y", "Sim")),
    Answer("quick reply, words in the params", native(QUICK), "Sim", tapped("y", "Sim")),
    Answer("quick reply, blank body", native(QUICK, body=" "), "Sim", tapped("y", "Sim")),
    Answer("quick reply, words in the question", native({"id": "y"}, quoted=NATIVE), "Sim", tapped("y", "Sim")),
    Answer("native row", native({"id": "7", "title": "Verde"}, name="menu_options"), "Verde", row("7", "Verde")),
    Answer(
        "native row, words in the question",
        native({"id": "7"}, name="single_select", quoted=NATIVE),
        "Verde",
        row("7", "Verde"),
    ),
    Answer("an id that is a number", native({"id": 7}, body="Sim"), "Sim", tapped("7", "Sim")),
    Answer(
        "half an emoji in the params",
        native('{"id": "\\ud83d", "title": "a\\u0000"}'),
        "a\ufffd",
        tapped("\ufffd", "a\ufffd"),
    ),
    Answer(
        "form",
        native({"size": "M"}, body="Enviado", name="flow"),
        "Enviado",
        Interactive("nfm_reply", nfm_reply=FlowReply("flow", "Enviado", '{"size": "M"}')),
    ),
    Answer("only a body", made(interactiveResponseMessage={"body": {"text": "Sim"}}), "Sim"),
    Answer("wrapped", made(ephemeralMessage={"message": native(QUICK)}), "Sim", tapped("y", "Sim")),
]


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case.name)
def test_an_answer(case: Answer) -> None:
    found = content(case.message)
    assert (found.kind, found.body, found.interactive, found.button) == (
        "text",
        case.words,
        case.interactive,
        case.button,
    )


@pytest.mark.parametrize(
    "params",
    [
        "",
        "{",
        "null",
        "[]",
        '"id"',
        "7",
        '{"id": null}',
        '{"id": {}}',
        '{"id": ""}',
        '{"id": true}',
        "[" * 60_000,
        "\x00",
    ],
    ids=lambda params: params[:10] or "empty",
)
def test_params_without_an_id_lose_no_words(params: str) -> None:
    found = content(native(params, body="Sim"))
    assert (found.kind, found.body) == ("text", "Sim")
    assert found.interactive is not None
    assert found.interactive.nfm_reply is not None
    shown = found.interactive.nfm_reply.response_json
    assert shown is None or isinstance(json.loads(shown), dict)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "title", "rows"]) | st.text(), inner),
)


@given(JSON.map(json.dumps) | st.text())
def test_no_params_break_anything(params: str) -> None:
    found = content(native(params.replace("\ud800", ""), quoted=NATIVE) if params.isascii() else native(QUICK))
    assert found.kind == "text"
    found.body.encode()
