"""The console in Portuguese: each text of ours has one, nothing of others is translated, and the browser decides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import wa_worker.dev.console
from tests.dev.console.test_server import Desk, open_desk
from wa_worker.admin.words import Language
from wa_worker.dev.console.contents import _BOXES, _MISSING
from wa_worker.dev.console.notes import _ACTIONS
from wa_worker.dev.console.page import At
from wa_worker.dev.console.portuguese import PORTUGUESE
from wa_worker.dev.console.texts import Said, in_language, joined
from wa_worker.dev.console.ticks import _ORDER
from wa_worker.dev.console.view import _FILES, _STATES, _STATUSES, View
from wa_worker.dev.console.worker_state import WorkerState
from wa_worker.dev.proxy import StatusDetails, open_proxy
from wa_worker.dev.world.phone_messages import KINDS

FOLDER = Path(wa_worker.dev.console.__file__).parent
ALIKE = {"{} {}", "{}: {}", "{} {}: {}"}
SENTENCE = r'(?:\b_|\bSaid|\bbutton)\((?:card, "[a-z-]+", )?(?:f?")((?:[^"\\]|\\.)+)"'


def said_by_the_code() -> set[str]:
    """Every text of ours, as far as reading the source tells."""
    sources = [file.read_text("utf-8") for file in (*FOLDER.glob("templates/*.html"), *FOLDER.glob("*.py"))]
    found = {text for source in sources for text in re.findall(SENTENCE, source)}
    for word in re.findall(r"""\b_\(((?:['"][^'"]+['"] if .+? else )+['"][^'"]+['"])\)""", "\n".join(sources)):
        found |= {re.split("['\"]", part)[1] for part in word.split(" else ")}
    found |= {badge.text for badge in (*_STATES.values(), *_STATUSES.values())} | {
        *_MISSING.values(),
        *_ORDER,
        *_ACTIONS.values(),
    }
    found |= {"Letting go", "Waiting for a scan", "With", "Sends", "words", "a missed call"}
    return found | {title for _, title in _FILES} | {title for title, _ in KINDS.values()}


def test_each_text_has_a_portuguese_one() -> None:
    assert len(_BOXES) > 5
    assert sorted(said_by_the_code() - PORTUGUESE.keys()) == []


def test_each_pair_is_one() -> None:
    for english, portuguese in PORTUGUESE.items():
        assert english != portuguese or english in ALIKE, english
        assert english.count("{}") == portuguese.count("{}"), english


def test_a_sentence_is_said_later_in_another_language() -> None:
    said = Said("failed: {}", "queued")
    assert said == "failed: queued"
    assert in_language(said, Language.ENGLISH) == "failed: queued"
    assert in_language(said, Language.PORTUGUESE) == "falhou: queued", "what others said stays"
    parts = joined(" · ", (Said("voice note"), "queued {} %s"))
    assert parts == "voice note · queued {} %s"
    assert in_language(parts, Language.PORTUGUESE) == "mensagem de voz · queued {} %s"
    assert in_language("Connected", Language.PORTUGUESE) == "Connected"
    assert in_language(Said("not in the table {}"), Language.PORTUGUESE) == "not in the table {}"


async def get(desk: Desk, language: str) -> str:
    return (await desk.http.get("/", headers={"Accept-Language": language})).text


async def test_the_browser_decides() -> None:
    async with open_desk() as desk:
        desk.proxy.store.queue("shop", "5511988880002", "Connected")
        for language in ("pt-BR,en;q=0.5", "pt"):
            page = await get(desk, language)
            assert '<html lang="pt-BR">' in page
            assert "Adicionar uma instância" in page
            assert "Esperando o worker" in page
            assert re.search(r'class="body" dir="auto">Connected<', page), "a message stays as it is"
        assert '<html lang="en">' in await get(desk, "de")
        asked = {"Accept-Language": "pt-BR"}
        answer = await desk.http.post("/do/add", data={"instance": "shop"}, headers=asked)
        assert (answer.status_code, "Não foi adicionada: já existe uma instância shop." in answer.text) == (409, True)


@pytest.mark.parametrize(("language", "words"), [(Language.PORTUGUESE, "baniu"), (Language.ENGLISH, "banned")])
async def test_the_filter_looks_through_the_words_that_are_shown(language: Language, words: str) -> None:
    async with open_proxy(secret="s") as proxy:
        proxy.store.add_instance("shop")
        proxy.store.add_instance("pub")
        proxy.store.update_status("pub", "DISCONNECTED", None, StatusDetails(reason="banned"))
        page = View(proxy.store, WorkerState(), None).page(At(q=words), language)
        assert [card.id for card in page.cards] == ["pub"]
