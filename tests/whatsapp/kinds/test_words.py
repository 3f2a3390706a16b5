"""The words in content of any kind: what a phone would show of it, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from tests.whatsapp.message_events import made
from wa_worker.whatsapp.kinds.reading import content
from wa_worker.whatsapp.kinds.words import DEEPEST, LONGEST, MOST_FIELDS, label, words

URL, KEY, ID = "https://example.com/x", "bWVkaWEga2V5IGluIGJhc2U2NA==", "8120001"
IMAGE = {"URL": URL, "directPath": "/v/t62", "mimetype": "image/jpeg", "mediaKey": b"k", "caption": "Foto da loja"}

TEMPLATE = {
    "hydratedTitleText": "Pedido 1234",
    "hydratedContentText": "Seu pedido saiu.\nChega hoje.",
    "hydratedFooterText": "Loja Exemplo",
    "templateID": ID,
    "hydratedButtons": [
        {"urlButton": {"displayText": "Acompanhar", "URL": URL}},
        {"callButton": {"displayText": "Ligar", "phoneNumber": "+5511988880005"}},
        {"quickReplyButton": {"displayText": "Parar", "ID": ID}},
    ],
}


@attrs.frozen
class Kind:
    name: str
    fields: dict[str, Any]
    lines: list[str]
    kind: str = "other"


def params(**fields: Any) -> str:
    return json.dumps(fields)


KINDS = [
    Kind(
        "template",
        {
            "templateMessage": {
                "templateID": ID,
                "contextInfo": {"quotedMessage": {"conversation": "o que cita"}},
                "hydratedTemplate": TEMPLATE,
                "hydratedFourRowTemplate": TEMPLATE,
            }
        },
        ["Pedido 1234", "Seu pedido saiu.\nChega hoje.", "Loja Exemplo", "Acompanhar", "Ligar", "Parar"],
    ),
    Kind(
        "template with a picture",
        {"templateMessage": {"hydratedFourRowTemplate": {"imageMessage": IMAGE, "hydratedContentText": "Oferta"}}},
        ["Foto da loja", "Oferta"],
    ),
    Kind(
        "template that the phone looks up",
        {"highlyStructuredMessage": {"namespace": "ns", "elementName": "order_ready", "params": ["Ana", "1234"]}},
        ["Ana", "1234"],
    ),
    Kind(
        "buttons",
        {
            "buttonsMessage": {
                "text": "Agenda",
                "contentText": "Confirma?",
                "footerText": "Loja",
                "buttons": [{"buttonID": ID, "buttonText": {"displayText": "Sim"}}],
            }
        },
        ["Agenda", "Confirma?", "Loja", "Sim"],
    ),
    Kind(
        "list",
        {
            "listMessage": {
                "title": "Cores",
                "description": "Qual?",
                "buttonText": "Ver",
                "sections": [{"title": "Frias", "rows": [{"title": "Azul", "description": "Hoje", "rowID": ID}]}],
                "footerText": "Loja",
            }
        },
        ["Cores", "Qual?", "Ver", "Frias", "Azul", "Hoje", "Loja"],
    ),
    Kind(
        "native flow",
        {
            "interactiveMessage": {
                "header": {"title": "Oferta", "subtitle": "Só hoje", "imageMessage": IMAGE},
                "body": {"text": "Metade do preço"},
                "footer": {"text": "Loja"},
                "nativeFlowMessage": {
                    "buttons": [
                        {"name": "cta_url", "buttonParamsJSON": params(display_text="Abrir", url=URL, id=ID)},
                        {
                            "name": "single_select",
                            "buttonParamsJSON": params(
                                title="Escolha", sections=[{"title": "Cores", "rows": [{"id": ID, "title": "Azul"}]}]
                            ),
                        },
                        {"name": "broken", "buttonParamsJSON": "{"},
                    ],
                    "messageParamsJSON": params(
                        limited_time_offer={"text": "Acaba em 1 h", "url": URL, "copy_code": "X"}
                    ),
                },
            }
        },
        [
            "Oferta",
            "Só hoje",
            "Foto da loja",
            "Metade do preço",
            "Loja",
            "Abrir",
            "Escolha",
            "Cores",
            "Azul",
            "Acaba em 1 h",
        ],
    ),
    Kind(
        "carousel",
        {
            "interactiveMessage": {
                "body": {"text": "Novidades"},
                "carouselMessage": {"cards": [{"body": {"text": "Camisa"}}, {"body": {"text": "Meia"}}]},
            }
        },
        ["Novidades", "Camisa", "Meia"],
    ),
    Kind(
        "product",
        {
            "productMessage": {
                "product": {
                    "productID": ID,
                    "title": "Camisa",
                    "description": "Algodão",
                    "currencyCode": "BRL",
                    "URL": URL,
                },
                "businessOwnerJID": "5511988880005@s.whatsapp.net",
                "body": "Olha esta",
                "footer": "Loja",
            }
        },
        ["Camisa", "Algodão", "Olha esta", "Loja"],
        "product",
    ),
    Kind(
        "order",
        {
            "orderMessage": {
                "orderID": ID,
                "message": "Quero estes",
                "orderTitle": "Loja",
                "token": KEY,
                "sellerJID": "1@s",
            }
        },
        ["Quero estes", "Loja"],
        "order",
    ),
    Kind(
        "invoice",
        {"invoiceMessage": {"note": "Boleto de maio", "token": KEY, "attachmentDirectPath": "/v"}},
        ["Boleto de maio"],
    ),
    Kind(
        "invitation to a group",
        {"groupInviteMessage": {"groupJID": "1@g.us", "inviteCode": KEY, "groupName": "Bairro", "caption": "Entra aí"}},
        ["Bairro", "Entra aí"],
    ),
    Kind(
        "invitation to a channel",
        {
            "newsletterAdminInviteMessage": {
                "newsletterJID": "1@newsletter",
                "newsletterName": "Notícias",
                "caption": "Ajuda?",
            }
        },
        ["Notícias", "Ajuda?"],
    ),
    Kind(
        "invitation to an event",
        {"eventInviteMessage": {"eventID": ID, "eventTitle": "Festa", "callLink": URL}},
        ["Festa"],
    ),
    Kind(
        "payment with a note",
        {
            "sendPaymentMessage": {
                "noteMessage": {"extendedTextMessage": {"text": "Aluguel", "matchedText": URL, "title": "Site"}}
            }
        },
        ["Aluguel"],
    ),
    Kind("comment", {"commentMessage": {"message": {"conversation": "Boa"}, "targetMessageKey": {"ID": ID}}}, ["Boa"]),
    Kind("call that is planned", {"scheduledCallCreationMessage": {"title": "Reunião"}}, ["Reunião"]),
    Kind(
        "stickers",
        {"stickerPackMessage": {"stickerPackID": ID, "name": "Gatos", "stickers": [{"fileName": "a.webp"}]}},
        ["Gatos"],
    ),
    Kind(
        "several at once",
        {"invoiceMessage": {"note": "Boleto"}, "sendPaymentMessage": {"noteMessage": {"conversation": "Quero"}}},
        ["Quero", "Boleto"],
    ),
    Kind("for a bot", {"botInvokeMessage": {"message": {"invoiceMessage": {"note": "Oi"}}}}, ["Oi"]),
    Kind("no words", {"invoiceMessage": {"token": KEY, "note": " "}}, []),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_words_of(kind: Kind) -> None:
    found = content(made(**kind.fields, messageContextInfo={"messageSecret": b"secret"}))
    assert (found.kind, found.body) == (kind.kind, "\n".join(kind.lines))


def test_they_are_bounded() -> None:
    long = made(listMessage={"title": "a" * LONGEST, "description": "b" * LONGEST})
    assert words(long) == "a" * LONGEST
    many = made(listMessage={"sections": [{"title": f"{n}"} for n in range(MOST_FIELDS)]})
    assert 100 < len(words(many).split("\n")) < MOST_FIELDS
    deep = made(interactiveMessage={"body": {"text": "no fundo"}})
    for _ in range(DEEPEST):
        deep = made(
            interactiveMessage={"body": {"text": "em cima"}, "carouselMessage": {"cards": [deep.interactiveMessage]}}
        )
    assert words(deep) == "em cima"


@pytest.mark.parametrize(
    "text", ["{" * 100_000, "[" * 60_000, '{"a":' * 5_000 + "1" + "}" * 5_000, "é", '{"title": "\\ud83d"}']
)
def test_json_of_a_sender_breaks_nothing(text: str) -> None:
    flow = made(interactiveMessage={"nativeFlowMessage": {"buttons": [{"name": "x", "buttonParamsJSON": text}]}})
    assert words(flow) in ("", "\ufffd")
    assert label(flow, "7") == ""
