"""Message events as models for `/inbound`: who wrote, in which chat, under which address."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
from neonize.proto import Neonize_pb2 as pb
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from tests.whatsapp.message_events import DIRECT, GROUP, LID, ME, PHONE, STRANGER, event, known, read, unknown
from wa_worker.messages import ChatType, Group, InboundMessage
from wa_worker.models import Jid, WaMessageId
from wa_worker.whatsapp.parsing import parsed

IN_GROUP = attrs.evolve(DIRECT, chat=Jid(GROUP), chat_type=ChatType.GROUP, to=Jid(PHONE), group=Group(Jid(GROUP)))
OWN = attrs.evolve(DIRECT, to=Jid(PHONE), sender=ME.jid, sender_lid=ME.lid, from_me=True)


def spoiled(message: pb.Message) -> pb.Message:
    data = message.SerializePartialToString().replace(b"??", b"\xff\xfe")
    return parsed(pb.Message, data)


@attrs.frozen
class From:
    name: str
    event: pb.Message
    message: InboundMessage | None
    lookup: Callable[[Jid], Jid | None] = known


FROM = [
    From("a phone number", event(), DIRECT),
    From("a phone number, no LID known", event(), attrs.evolve(DIRECT, sender_lid=None), unknown),
    From("a phone number, LID in the event", event(alternative=LID), DIRECT, unknown),
    From("a linked device", event(device=12), DIRECT),
    From("a LID, number in the event", event(LID, LID, alternative=PHONE), DIRECT, unknown),
    From("a LID, number in the store", event(LID, LID), DIRECT),
    From(
        "a LID, number unknown",
        event(LID, LID),
        attrs.evolve(DIRECT, chat=Jid(LID), sender=Jid(LID)),
        unknown,
    ),
    From("a LID, with a LID beside it", event(LID, LID, alternative=STRANGER), DIRECT),
    From("a group", event(GROUP), IN_GROUP),
    From("a group, by LID", event(GROUP, LID, alternative=PHONE), IN_GROUP, unknown),
    From("a group, by LID in the store", event(GROUP, LID), IN_GROUP),
    From(
        "a group, by an unknown LID",
        event(GROUP, STRANGER),
        attrs.evolve(IN_GROUP, to=Jid(STRANGER), sender=Jid(STRANGER), sender_lid=Jid(STRANGER)),
    ),
    From("a broadcast list is a direct message", event("1600000000@broadcast"), DIRECT),
    From("no name", event(push_name=""), attrs.evolve(DIRECT, push_name=None)),
    From(
        "the character 0, which PostgreSQL cannot store",
        event(message=Message(conversation="O\0i"), push_name="A\0", wa_id="3EB0\0"),
        attrs.evolve(DIRECT, body="O\ufffdi", push_name="A\ufffd", wa_id=WaMessageId("3EB0\ufffd")),
    ),
    From(
        "somebody whose texts are not UTF-8",
        spoiled(event(message=Message(conversation="Oi ??"), push_name="Ana??", wa_id="3EB??")),
        attrs.evolve(DIRECT, body="Oi \ufffd\ufffd", push_name="Ana\ufffd\ufffd", wa_id=WaMessageId("3EB\ufffd\ufffd")),
    ),
    From("time in seconds", event(timestamp=1_700_000_000), DIRECT),
    From("no time", event(timestamp=0), attrs.evolve(DIRECT, timestamp=0)),
    From("myself", event(own=True), OWN),
    From("myself, to a LID", event(LID, ME.jid, own=True), OWN),
    From("myself, to a LID, number in the event", event(LID, ME.jid, own=True, recipient=PHONE), OWN, unknown),
    From(
        "myself, to a LID of which no number is known",
        event(STRANGER, str(ME.lid), own=True),
        attrs.evolve(OWN, chat=Jid(STRANGER), to=Jid(STRANGER)),
    ),
    From("myself, to myself", event(ME.jid, ME.jid, own=True), attrs.evolve(OWN, chat=ME.jid, to=ME.jid)),
    From(
        "myself, to myself, by LID",
        event(str(ME.lid), str(ME.lid), own=True),
        attrs.evolve(OWN, chat=ME.jid, to=ME.jid),
        unknown,
    ),
    From(
        "myself in a group",
        event(GROUP, ME.jid, own=True),
        attrs.evolve(IN_GROUP, to=ME.jid, sender=ME.jid, sender_lid=ME.lid, from_me=True),
    ),
    From("myself, to a broadcast list", event("1600000000@broadcast", ME.jid, own=True), None),
    From("myself, a status", event("status@broadcast", ME.jid, own=True), None),
    From("a status", event("status@broadcast"), None),
    From("a newsletter", event("120363041234567890@newsletter", "120363041234567890@newsletter"), None),
]


@pytest.mark.parametrize("case", FROM, ids=lambda case: case.name)
def test_a_message_from(case: From) -> None:
    assert read(case.event, case.lookup) == case.message


@pytest.mark.parametrize(
    "broken",
    [
        event(wa_id=""),
        event(sender=""),
        event(chat="@g.us", sender="@lid"),
        event(GROUP, "@s.whatsapp.net"),
        event("@g.us"),
    ],
    ids=["no id", "no sender", "no user", "no participant", "no group"],
)
def test_what_has_no_address_or_id_is_refused(broken: pb.Message) -> None:
    with pytest.raises(ValueError, match="without"):
        read(broken)
