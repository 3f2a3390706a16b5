"""What a page shows of files, places, cards, polls, calls and whatever else a message holds, as tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wa_worker.dev.console.contents import boxes_of, file_in, file_out, list_of, object_of, size_in_words, text_of
from wa_worker.dev.console.files import Files
from wa_worker.dev.console.page import Box, File
from wa_worker.dev.proxy import Storage, Store

CONSOLE = "http://127.0.0.1:8765"


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    store = Store()
    yield Files(Storage(store, tmp_path / "proxy.db", "s"))
    store.close()


@pytest.mark.parametrize(
    ("kind", "content", "box"),
    [
        ("location", {"location": {"latitude": 1.5, "longitude": -2}}, Box("Place", "1.5, -2", ("1.5, -2",))),
        ("location", {"location": {"latitude": 1, "longitude": 2, "name": "Loja", "live": True}},
         Box("Place, moving", "Loja", ("1, 2",))),
        ("contact", {"contacts": [{"name": {"formatted_name": "Bia"}, "phones": [{"phone": "+55 11"}]}]},
         Box("Contact", "Bia", ("+55 11",))),
        ("event", {"event": {"name": "Festa", "canceled": True, "location": "Casa"}},
         Box("Event, called off", "Festa", ("Casa",))),
        ("order", {"order": {"id": "1", "title": "Pedido", "item_count": 2, "total": "12.00", "currency": "BRL"}},
         Box("Order", "Pedido", ("2 articles", "12.00 BRL"))),
        ("product", {"product": {"id": "1", "price": "3"}}, Box("Article", "1", ("3",))),
        ("text", {"referral": {"headline": "Oferta", "source_url": "https://a.example"}},
         Box("From an advertisement", "Oferta", ("https://a.example",))),
        ("call", {"call": {"id": "1", "video": True, "outcome": "missed"}}, Box("Call", "Missed video call")),
        ("call", {"call": {"id": "1", "group": True, "outcome": "answered"}}, Box("Call", "Answered group call")),
        ("call", {}, Box("Call", "call")),
        ("view_once", {}, Box("View once", "It can be seen on the phone only.")),
    ],
)  # fmt: skip
def test_what_is_in_a_box(kind: str, content: dict[str, Any], box: Box) -> None:
    assert boxes_of(kind, content) == (box,)


def test_there_is_a_box_for_each_card() -> None:
    content = {"contacts": [{"name": {"formatted_name": name}} for name in "abc"]}
    assert [box.title for box in boxes_of("contact", content)] == ["a", "b", "c"]
    assert boxes_of("text", {}) == ()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("pending", "on its way: it takes its time"),
        ("too_large", "larger than MEDIA_MAX_MB"),
        ("of_tomorrow", "of_tomorrow"),
        (None, "not at this proxy"),
    ],
)
def test_a_file_that_is_not_here_says_why(files: Files, error: str | None, said: str) -> None:
    media = {"mime_type": "audio/ogg", "voice": True, "size": 2_500_000, "duration": 75, "error": error}
    assert file_in(media, "audio", files) == File("", "", "", f"voice note · 2.5 MB · 1:15 · {said}")


def test_what_we_send_is_shown_if_it_is_a_sample_and_named_if_not() -> None:
    sample = file_out({"link": f"{CONSOLE}/samples/photo.jpg"}, "image", CONSOLE)
    assert (sample.shown, sample.url) == ("image", "/samples/photo.jpg")
    document = file_out({"link": f"{CONSOLE}/samples/price-list.pdf"}, "document", CONSOLE)
    assert (document.shown, document.url, document.name) == ("", "/samples/price-list.pdf", "price-list.pdf")
    link = "https://a.example/photo.jpg"
    for console in (CONSOLE, ""):
        assert file_out({"link": link}, "image", console) == File("", "", link, "image")
        assert file_out({"link": "photo.jpg"}, "image", console).url == ""


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (10**7, "10.0 MB"), (None, ""), (True, ""), (-1, "")],
)
def test_sizes(size: object, said: str) -> None:
    assert size_in_words(size) == said


def test_what_is_no_text_is_none() -> None:
    said = {"a": "x", "b": 1.5, "c": True, "d": ["x"], "e": {"a": "x"}, "f": None}
    assert [text_of(said, key) for key in "abcdefg"] == ["x", "1.5", "", "", "", "", ""]
    assert [list_of(said, key) for key in "adf"] == [[], ["x"], []]
    assert [object_of(said, key) for key in "aeg"] == [{}, {"a": "x"}, {}]
    assert text_of(["a"], "a") == ""
