"""What a message says of its chat's timer, and for which chat."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import DisappearingMode

from tests.whatsapp.message_events import GROUP, LID, ME, PHONE, STRANGER, event, known, made, unknown
from wa_worker.messages import ChatTimer
from wa_worker.whatsapp.timers import timer_note

DAY, SENT = 86_400, 1_700_000_000
MINE, OTHERS = DisappearingMode.INITIATED_BY_ME, DisappearingMode.INITIATED_BY_OTHER


def text(**context: Any) -> dict[str, Any]:
    return {"extendedTextMessage": {"text": "Oi", "contextInfo": context}}


def setting(**fields: Any) -> dict[str, Any]:
    return {"protocolMessage": {"type": "EPHEMERAL_SETTING", **fields}}


@attrs.frozen
class Said:
    name: str
    message: dict[str, Any]
    timer: ChatTimer | None
    own: bool = False


SAID = [
    Said("nothing", {"conversation": "Oi"}, None),
    Said("nothing in a context", text(mentionedJID=[PHONE]), None),
    Said("a timer", text(expiration=DAY), ChatTimer(DAY, SENT)),
    Said("since when", text(expiration=DAY, ephemeralSettingTimestamp=SENT - 9), ChatTimer(DAY, SENT - 9)),
    Said("since tomorrow", text(expiration=DAY, ephemeralSettingTimestamp=SENT + DAY), ChatTimer(DAY, SENT)),
    Said("in ms", text(expiration=DAY, ephemeralSettingTimestamp=(SENT - 9) * 1000), ChatTimer(DAY, SENT - 9)),
    Said("off", text(expiration=0), ChatTimer(0, SENT)),
    Said("off since when", text(ephemeralSettingTimestamp=SENT - 9), ChatTimer(0, SENT - 9)),
    Said("of a picture", {"imageMessage": {"contextInfo": {"expiration": DAY}}}, ChatTimer(DAY, SENT)),
    Said("of what is no row", {"albumMessage": {"contextInfo": {"expiration": DAY}}}, ChatTimer(DAY, SENT)),
    Said("wrapped", {"ephemeralMessage": {"message": text(expiration=DAY)}}, ChatTimer(DAY, SENT)),
    Said("of a quoted message", text(quotedMessage=text(expiration=DAY)), None),
    Said("a change", setting(ephemeralExpiration=DAY), ChatTimer(DAY, SENT, changed=True)),
    Said("switched off", setting(), ChatTimer(0, SENT, changed=True)),
    Said(
        "a change, by a clock that is behind",
        setting(ephemeralExpiration=DAY, ephemeralSettingTimestamp=SENT - 600),
        ChatTimer(DAY, SENT, changed=True),
    ),
    Said("a change, wrapped", {"ephemeralMessage": {"message": setting()}}, ChatTimer(0, SENT, changed=True)),
    Said("another change", {"protocolMessage": {"type": "REVOKE"}}, None),
    Said(
        "of a contact's default",
        text(expiration=DAY, disappearingMode={"initiator": MINE, "trigger": "ACCOUNT_SETTING"}),
        ChatTimer(DAY, SENT, initiator=OTHERS, trigger=DisappearingMode.ACCOUNT_SETTING),
    ),
    Said(
        "of our own default",
        text(expiration=DAY, disappearingMode={"initiator": MINE, "trigger": "ACCOUNT_SETTING"}),
        ChatTimer(DAY, SENT, initiator=MINE, trigger=DisappearingMode.ACCOUNT_SETTING),
        own=True,
    ),
]


@pytest.mark.parametrize("said", SAID, ids=lambda said: said.name)
def test_a_message_says(said: Said) -> None:
    message = event(message=made(**said.message), own=said.own, timestamp=SENT * 1000)
    note = timer_note(message, ME, known, known)
    assert (note and note.timer) == said.timer


@attrs.frozen
class Chat:
    name: str
    event: dict[str, Any]
    chats: set[str] | None
    lookup: Any = known


CHATS = [
    Chat("a person", {}, {PHONE, LID}),
    Chat("a person, by LID", {"chat": LID, "sender": LID}, {PHONE, LID}),
    Chat("a person, LID in the event", {"alternative": LID}, {PHONE, LID}, unknown),
    Chat("a stranger", {"chat": STRANGER, "sender": STRANGER}, {STRANGER}),
    Chat("what we write ourselves", {"chat": LID, "sender": ME.jid, "own": True}, {PHONE, LID}),
    Chat("a broadcast list", {"chat": "1600000000@broadcast"}, {PHONE, LID}),
    Chat("a group", {"chat": GROUP}, {GROUP}),
    Chat("our own in a group", {"chat": GROUP, "sender": ME.jid, "own": True}, {GROUP}),
    Chat("our own status", {"chat": "status@broadcast", "sender": ME.jid, "own": True}, None),
    Chat("a person's status", {"chat": "status@broadcast"}, None),
    Chat("a newsletter", {"chat": "1@newsletter", "sender": "1@newsletter"}, None),
]


@pytest.mark.parametrize("chat", CHATS, ids=lambda chat: chat.name)
def test_it_is_for_all_addresses_of_the_person(chat: Chat) -> None:
    note = timer_note(event(message=made(**text(expiration=DAY)), **chat.event), ME, chat.lookup, chat.lookup)
    if chat.chats is None:
        assert note is None
    else:
        assert note is not None
        assert note.account == ME.jid
        assert set(note.chats) == chat.chats
