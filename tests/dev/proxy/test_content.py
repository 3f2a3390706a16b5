"""What an inbound message holds besides its words is kept, merged with what comes later, and refused if it is wrong."""

from __future__ import annotations

import json
from typing import Any

import attrs
import httpx
import pytest

from wa_worker.dev.proxy import ReferenceProxy

from .test_endpoints import INBOUND

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
PERSON = "5511988887777@s.whatsapp.net"

MEDIA = {
    "mime_type": "audio/ogg; codecs=opus",
    "sha256": SHA256,
    "size": 4,
    "filename": "voz.ogg",
    "voice": True,
    "animated": False,
    "duration": 3,
    "width": 0,
    "height": 0,
    "error": "pending",
}

CONTENT: dict[str, Any] = {
    "from_me": True,
    "media": MEDIA,
    "context": {
        "message_id": "3A00",
        "from": PERSON,
        "body": "",
        "forwarded": True,
        "frequently_forwarded": False,
    },
    "reaction": {"message_id": "3A00", "emoji": ""},
    "edit": {"message_id": "3A00"},
    "revoke": {"message_id": "3A00", "by": PERSON},
    "location": {
        "latitude": -23.5,
        "longitude": -46,
        "name": "Padaria",
        "address": "Rua A, 1",
        "url": "https://padaria.example",
        "live": True,
    },
    "contacts": [
        {
            "name": {"formatted_name": "Ana"},
            "phones": [{"phone": "+55 11 98888-7777", "wa_id": "5511988887777"}],
            "vcard": "BEGIN:VCARD",
        },
        {"name": {"formatted_name": ""}},
    ],
    "order": {"id": "1", "title": "", "text": "Oi", "item_count": 2, "total": "10.50", "currency": "BRL"},
    "product": {
        "id": "1",
        "title": "Pão",
        "description": "de queijo",
        "retailer_id": "p",
        "price": "1.50",
        "currency": "BRL",
        "url": "https://padaria.example",
    },
    "poll": {"name": "Quando?", "options": ["hoje", "amanhã"], "selectable_count": 1},
    "poll_vote": {"message_id": "3A00", "selected": ["hoje"]},
    "event": {
        "name": "Festa",
        "description": "",
        "start_time": 1790000000,
        "end_time": 1790003600,
        "location": "aqui",
        "join_link": "https://call.example",
        "canceled": False,
    },
    "referral": {
        "source_url": "https://fb.example",
        "source_type": "ad",
        "source_id": "7",
        "headline": "Pão",
        "body": "quente",
        "media_type": "image",
        "image_url": "https://fb.example/1.jpg",
        "video_url": "",
        "ctwa_clid": "x",
    },
    "mentions": [PERSON],
    "group": {"id": INBOUND["from"], "subject": "Vizinhos"},
    "call": {"id": "C", "video": False, "group": False, "outcome": "missed"},
    "interactive": {"type": "button_reply", "button_reply": {"id": "1", "title": "Sim"}},
    "button": {"payload": "stop", "text": "Parar"},
}


async def test_each_object_is_kept_as_it_came(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    """The same by both versions; what is null is not kept, and what is not of the contract neither."""
    every = {**INBOUND, **CONTENT}
    bare = {**INBOUND, **dict.fromkeys(CONTENT), "wa_message_id": "3A02"}
    assert (await client.post("/inbound", json=every)).status_code == 200
    assert (await client.post("/inbound", json=bare)).status_code == 200
    event = {**every, "event_id": "e", "type": "inbound", "wa_message_id": "3A03"}
    results = (await client.post("/events", json={"events": [event]})).json()["results"]
    assert results == [{"status": 200}]
    first, second, third = proxy.store.inbound("shop")
    assert (first.content, second.content, third.content) == (CONTENT, {}, CONTENT)
    assert first.payload == every


@attrs.frozen
class Later:
    """What a message's media becomes when it is posted first with one and then with another."""

    name: str
    first: dict[str, Any]
    then: dict[str, Any]
    became: dict[str, Any]
    update: bool | None = True


PENDING = {"mime_type": "image/jpeg", "size": 4, "error": "pending"}
URL = {"mime_type": "image/jpeg", "size": 4, "url": "https://files.example/1"}

LATER = [
    Later("a file that came after all", PENDING, URL, URL),
    Later("one that does not say so", PENDING, URL, URL, update=None),
    Later("one that adds what it knows now", PENDING, {**URL, "sha256": SHA256}, {**URL, "sha256": SHA256}),
    Later("another reason", PENDING, {**PENDING, "error": "expired"}, {**PENDING, "error": "expired"}),
    Later("a repeat", PENDING, {**PENDING, "error": "expired"}, PENDING, update=None),
    Later("a file that is there stays", URL, {**PENDING}, URL),
    Later("and no other takes its place", URL, {**URL, "url": "https://files.example/2"}, URL),
]


@pytest.mark.parametrize("later", LATER, ids=lambda later: later.name)
async def test_what_comes_later_is_merged(proxy: ReferenceProxy, client: httpx.AsyncClient, later: Later) -> None:
    context = {"message_id": "3A00"}
    await client.post("/inbound", json={**INBOUND, "media": later.first, "context": context})
    again = {**INBOUND, "body": "other words", "media": later.then, "update": later.update}
    assert (await client.post("/inbound", json=again)).json() == {"ok": True, "duplicate": True}
    (row,) = proxy.store.inbound()
    assert row.content == {"media": later.became, "context": context}
    assert (row.body, row.payload["media"], row.times_posted) == (INBOUND["body"], later.first, 2)


async def test_an_update_of_what_is_not_there_is_a_message(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    answer = await client.post("/inbound", json={**INBOUND, "media": URL, "update": True})
    assert answer.json() == {"ok": True, "duplicate": False}
    assert proxy.store.inbound()[0].content == {"media": URL}


async def test_reactions_edits_and_deletes_have_rows_of_their_own(
    proxy: ReferenceProxy, client: httpx.AsyncClient
) -> None:
    for number, kind in enumerate(("reaction", "edit", "revoke")):
        body = {**INBOUND, "wa_message_id": f"3B0{number}", "message_type": kind, kind: CONTENT[kind]}
        assert (await client.post("/inbound", json=body)).json() == {"ok": True, "duplicate": False}
    assert [list(row.content) for row in proxy.store.inbound()] == [["reaction"], ["edit"], ["revoke"]]


BAD: dict[str, dict[str, Any]] = {
    "media is a text": {"media": "image/jpeg"},
    "media without a type": {"media": {"size": 4}},
    "a size of text": {"media": {**MEDIA, "size": "4"}},
    "a size below 0": {"media": {**MEDIA, "size": -1}},
    "a hash in capitals": {"media": {**MEDIA, "sha256": SHA256.upper()}},
    "a hash that is short": {"media": {**MEDIA, "sha256": SHA256[:-1]}},
    "voice is 1": {"media": {**MEDIA, "voice": 1}},
    "both a file and why there is none": {"media": {**MEDIA, "url": "https://files.example/1"}},
    "an empty error": {"media": {**MEDIA, "error": ""}},
    "half a pair in a file's name": {"media": {**MEDIA, "filename": "\ud83d"}},
    "a quote of nothing": {"context": {"message_id": ""}},
    "forwarded is a number": {"context": {"forwarded": 4}},
    "a reaction to nothing": {"reaction": {"emoji": "👍"}},
    "a reaction without an emoji": {"reaction": {"message_id": "3A00"}},
    "a reaction of nothing": {"reaction": {"message_id": "3A00", "emoji": None}},
    "a message that is a reaction, and has none": {"message_type": "reaction"},
    "a message that is an edit, and has none": {"message_type": "edit", "edit": None},
    "a message that is a delete, and has none": {"message_type": "revoke"},
    "an edit of nothing": {"edit": {}},
    "deleted by nobody": {"revoke": {"message_id": "3A00", "by": ""}},
    "beyond the pole": {"location": {"latitude": 90.1, "longitude": 0}},
    "beyond the date line": {"location": {"latitude": 0, "longitude": -181}},
    "a place that is true": {"location": {"latitude": True, "longitude": 0}},
    "half a place": {"location": {"latitude": 1}},
    "no cards": {"contacts": []},
    "a card that is an object": {"contacts": CONTENT["contacts"][0]},
    "a card without a name": {"contacts": [{"phones": []}]},
    "a number that is a number": {"contacts": [{"name": {"formatted_name": "A"}, "phones": [{"phone": 5511}]}]},
    "an order without an id": {"order": {"total": "1"}},
    "a price that is a number": {"product": {"id": "1", "price": 1.5}},
    "a poll without options": {"poll": {"name": "x"}},
    "an option that is a number": {"poll": {"name": "x", "options": [1]}},
    "a vote for nothing": {"poll_vote": {"selected": []}},
    "an event without a name": {"event": {"start_time": 1}},
    "an event at half past": {"event": {"name": "x", "start_time": 1.5}},
    "an ad of numbers": {"referral": {"source_id": 7}},
    "a mention of nobody": {"mentions": [""]},
    "mentions that are a text": {"mentions": PERSON},
    "a group without an id": {"group": {"subject": "x"}},
    "a call without an id": {"call": {"video": True}},
    "from_me is a text": {"from_me": "true"},
    "update is 1": {"update": 1},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
async def test_what_is_wrong_is_refused_with_a_reason(
    proxy: ReferenceProxy, client: httpx.AsyncClient, change: dict[str, Any]
) -> None:
    body = {**INBOUND, **change}
    answer = await client.post("/inbound", content=json.dumps(body).encode())
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(str(next(iter(change if "message_type" not in change else [""]))))
    event = {**body, "event_id": "e", "type": "inbound"}
    answer = await client.post("/events", content=json.dumps({"events": [event]}).encode())
    assert [result["status"] for result in answer.json()["results"]] == [400]
    assert proxy.store.inbound() == []
