from __future__ import annotations

import pytest

from wa_worker.whatsapp.unfinished import Unfinished

ID = "3ADBE03FDFA34A6EA994"
LINE = f'Closing handler queue loop in the middle of handling <message from="5@s.whatsapp.net" id="{ID}" t="1">'


def in_the_middle() -> Unfinished:
    unfinished = Unfinished()
    unfinished.on_log(LINE)
    assert unfinished
    return unfinished


def test_nothing_is_waited_for_until_the_library_says_so() -> None:
    unfinished = Unfinished()
    unfinished.on_event(ID.encode())
    unfinished.on_log(f"Failed to send receipt for {ID}")
    assert not unfinished


def test_its_event_ends_the_wait_and_no_other() -> None:
    unfinished = in_the_middle()
    unfinished.on_event(b"\x0a\x14another message")
    assert unfinished
    unfinished.on_event(b"\x0a\x14" + ID.encode() + b"\x12\x02")
    assert not unfinished


def test_another_word_of_it_ends_the_wait() -> None:
    unfinished = in_the_middle()
    unfinished.on_log("Failed to send receipt for 3A00: websocket not connected")
    assert unfinished
    unfinished.on_log(f"Failed to send receipt for {ID}: websocket not connected")
    assert not unfinished


@pytest.mark.parametrize("tag", ["receipt", "notification", "ack", "messages"])
def test_only_messages_are_decrypted_once(tag: str) -> None:
    unfinished = Unfinished()
    unfinished.on_log(LINE.replace("<message ", f"<{tag} "))
    assert not unfinished
