"""Whole conversations in the console, in a real browser: what people send one another on the simulated WhatsApp."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

import attrs
import pytest

from tests.dev.console.conftest import Dev
from tests.dev.console.page import ENTER, Page

NUMBERS = iter(range(5511966660001, 5511966660100))

IN, OUT = "#messages .message.in", "#messages .message.sent"


@pytest.fixture
def chat(page: Page, dev: Dev) -> Page:
    """A chat with somebody who has never written: each test has its own."""
    number = next(NUMBERS)
    page.open(f"{dev.console}?instance=demo&chat={quote(f'{number}@s.whatsapp.net')}")
    return page


def contact_sends(page: Page, kind: str, text: str = "") -> None:
    page.run("document.querySelector('#kind').value = arguments[0]", kind)
    page.run("document.querySelector('#contact-body').value = arguments[0]", text)
    page.run("document.querySelector('#write').requestSubmit()")
    page.wait(lambda: page.run("return document.querySelector('#kind').value") == "")
    assert page.text("#notice") == ""


def we_send(page: Page, text: str, file: str = "") -> None:
    page.run("document.querySelector('#file').value = arguments[0]", file)
    page.type("#body", text + ENTER)


@attrs.frozen
class Sent:
    """What a contact sends, and where and how it is to be read."""

    kind: str
    text: str
    selector: str
    words: str


@pytest.mark.parametrize(
    "sent",
    [
        Sent("document", "Segue", f"{IN} .file a", "price-list.pdf"),
        Sent("place", "Aqui", f"{IN} .box", "PlaceCantina da AnaRua Exemplo, 100-23.5505, -46.6333"),
        Sent("place", "Aqui", f"{IN} .body", "Aqui"),
        Sent("card", "", f"{IN} .box", "ContactBia Exemplo+55 11 98888-0005"),
        Sent("poll", "Quando?", f"{IN} .box", "PollQuando?○ Friday○ Saturday"),
        Sent("forwarded", "Veja", f"{IN} .mark", "forwarded"),
        Sent("view-once", "", f"{IN} .box", "View onceIt can be seen on the phone only."),
        Sent("call", "", f"{IN} .box", "CallMissed call"),
    ],
    ids=lambda sent: f"{sent.kind} {sent.selector[-4:]}",
)
def test_what_a_contact_sends_is_shown(chat: Page, sent: Sent) -> None:
    contact_sends(chat, sent.kind, sent.text)
    chat.wait(lambda: chat.text(sent.selector) == sent.words)


def test_a_picture_is_shown_and_opens_and_a_voice_note_plays(chat: Page) -> None:
    contact_sends(chat, "photo", "Na praia")
    width = "return document.querySelector('#messages .picture img')?.naturalWidth"
    chat.wait(lambda: chat.run(width) == 640)
    assert chat.bodies() == ["Na praia"]
    assert chat.text(f"{IN} .kind") == "image · 11.4 kB"
    contact_sends(chat, "sticker")
    chat.wait(lambda: chat.run("return document.querySelector('#messages .sticker img')?.naturalWidth") == 512)
    contact_sends(chat, "voice-note")
    length = chat.wait(lambda: chat.run("return document.querySelector('#messages audio')?.duration"))
    assert 2.9 < length < 3.1
    chat.run("const audio = document.querySelector('#messages audio'); audio.muted = true; audio.focus()")
    chat.press(" ")
    chat.wait(lambda: chat.run("return document.querySelector('#messages audio').currentTime") > 0.1)
    chat.run("document.querySelector('#messages audio').currentTime = 2.5")  # a part of the file is enough
    chat.wait(lambda: chat.run("return document.querySelector('#messages audio').ended"))
    chat.picture("files")
    assert chat.fits_the_screen()

    picture = chat.run("return document.querySelector('#messages .picture').href")
    chat.driver.get(picture)
    assert chat.run("return document.querySelector('img').naturalWidth") == 640
    assert chat.run("return document.contentType") == "image/jpeg"
    chat.complaints()  # the policy takes the browser's own style from that page


def test_what_is_about_a_message_is_put_to_it(chat: Page) -> None:
    we_send(chat, "Tudo bem?")
    chat.wait(partial(chat.answered, "Tudo bem?"))
    chat.wait(lambda: chat.text(f"{OUT} .ticks.read").startswith("read "))
    contact_sends(chat, "reaction", "❤️")
    chat.wait(lambda: chat.text(f"{OUT} .reactions .emoji") == "❤️")
    contact_sends(chat, "answer", "Tudo!")
    chat.wait(lambda: chat.text(f"{IN} .quote span") == "Tudo bem?")
    assert chat.text(f"{IN} .quote b") == "you"
    contact_sends(chat, "edit", "Tudo ótimo!")
    chat.wait(lambda: chat.bodies()[-1] == "Tudo ótimo!")
    assert chat.text(f"{IN} .mark") == "edited"
    assert chat.text(f"{IN} .before") == "before: Tudo!"
    contact_sends(chat, "delete")
    chat.wait(lambda: chat.texts(f"{IN}.deleted .body") == ["Tudo ótimo!"])
    assert len(chat.all("#messages .message")) == 3
    chat.picture("about")


def test_we_answer_react_and_send_files(chat: Page) -> None:
    contact_sends(chat, "", "Tem foto?")
    chat.wait(lambda: chat.bodies() == ["Tem foto?"])
    chat.click(f"{IN} .answers button[value='👍']")
    chat.wait(lambda: chat.text(f"{IN} .reactions .emoji") == "👍")
    assert len(chat.all("#messages .message")) == 1

    chat.driver.get(chat.run("return document.querySelector('.answers a').href"))
    chat.wait(lambda: chat.text(".replying p").endswith("Tem foto?"))
    we_send(chat, "Tem!", "photo.jpg")
    chat.wait(lambda: "Thank you for the picture" in chat.bodies())
    assert chat.text(f"{OUT} .quote span") == "Tem foto?"
    assert chat.run("return document.querySelector('.sent .picture img').naturalWidth") == 640
    assert chat.all(".replying") == []

    we_send(chat, "", "voice-note.ogg")
    chat.wait(lambda: "Thank you for the voice note" in chat.bodies())
    chat.wait(lambda: "played" in chat.texts(f"{OUT} .ticks")[-1])
    we_send(chat, "A lista", "price-list.pdf")
    chat.wait(lambda: "Thank you for the document" in chat.bodies())
    chat.wait(lambda: len(chat.all(f"{IN} .picture img")) == 1)  # after every third answer: something more
    chat.picture("sent-files")
    chat.look(360, 740, dark=True)
    chat.picture("sent-files-phone")
    assert chat.fits_the_screen()
