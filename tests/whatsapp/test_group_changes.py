"""What changed in a group, from the library's events: whom it names, and that the same one is known again."""

from __future__ import annotations

from typing import Any

import pytest
from neonize.proto import Neonize_pb2 as pb

from tests.whatsapp.message_events import GROUP, LID, ME, PHONE, STRANGER, jid, known
from wa_worker.messages import ChatTimer, GroupAction, GroupChange
from wa_worker.models import Jid
from wa_worker.whatsapp.group_changes import Subject, changes, joined, subject_of, timer_of
from wa_worker.whatsapp.parsing import parsed

AT = 1_700_000_000


def changed(by: str = LID, at: int = AT, version: str = "", **fields: Any) -> pb.GroupInfoEvent:
    whole = pb.GroupInfoEvent(JID=jid(GROUP), Sender=jid(by), Timestamp=at, ParticipantVersionID=version, **fields)
    made: pb.GroupInfoEvent = parsed(pb.GroupInfoEvent, whole.SerializePartialToString())
    return made


def read(event: pb.GroupInfoEvent, subject: str | None = "Loja") -> list[GroupChange]:
    return [each.group_change for each in changes(event, ME, subject, known) if each.group_change is not None]


BOTH = (Jid(PHONE), Jid(STRANGER))
ROWS = [
    ({"Name": {"Name": "Nova", "NameSetAt": AT}}, GroupChange(GroupAction.SUBJECT, (), Jid(PHONE))),
    ({"Join": [jid(LID), jid(STRANGER)]}, GroupChange(GroupAction.ADD, BOTH, Jid(PHONE))),
    ({"Leave": [jid(STRANGER)]}, GroupChange(GroupAction.REMOVE, (Jid(STRANGER),), Jid(PHONE))),
    ({"Leave": [jid(LID)]}, GroupChange(GroupAction.LEAVE, (Jid(PHONE),), Jid(PHONE))),
    ({"Leave": [jid(PHONE)]}, GroupChange(GroupAction.LEAVE, (Jid(PHONE),), Jid(PHONE))),
    ({"Leave": [jid(LID), jid(STRANGER)]}, GroupChange(GroupAction.REMOVE, BOTH, Jid(PHONE))),
    ({"Promote": [jid(LID)]}, GroupChange(GroupAction.PROMOTE, (Jid(PHONE),), Jid(PHONE))),
    ({"Demote": [jid(LID)]}, GroupChange(GroupAction.DEMOTE, (Jid(PHONE),), Jid(PHONE))),
    ({"Announce": {"IsAnnounce": True}}, GroupChange(GroupAction.ANNOUNCE, (), Jid(PHONE), announce=True)),
    ({"Announce": {"IsAnnounce": False}}, GroupChange(GroupAction.ANNOUNCE, (), Jid(PHONE), announce=False)),
    ({"Topic": {"Topic": "x"}}, GroupChange(GroupAction.DESCRIPTION, (), Jid(PHONE), description="x")),
    ({"Topic": {"Topic": "x", "TopicDeleted": True}}, GroupChange(GroupAction.DESCRIPTION, (), Jid(PHONE), None, "")),
]


@pytest.mark.parametrize(("fields", "change"), ROWS)
def test_a_change(fields: dict[str, Any], change: GroupChange) -> None:
    event = changed(**fields)
    assert read(event) == [change]
    (message,) = changes(event, ME, "Loja", known)
    assert message.group is not None
    assert message.group.subject == ("Nova" if "Name" in fields else "Loja")
    assert (message.chat, message.timestamp, message.message_type) == (GROUP, AT, "group_change")


def test_several_changes_of_one_event_are_several() -> None:
    event = changed(Join=[jid(LID)], Promote=[jid(LID)], Name={"Name": "Nova", "NameSetAt": AT})
    assert [each.action for each in read(event)] == [GroupAction.SUBJECT, GroupAction.ADD, GroupAction.PROMOTE]
    assert len({each.wa_id for each in changes(event, ME, None, known)}) == 3


def test_nobody_is_named_who_is_not_known() -> None:
    (change,) = read(changed(by="", Join=[jid(STRANGER)]))
    assert (change.by, change.participants) == (None, (STRANGER,))


@pytest.mark.parametrize("fields", [{}, {"Locked": {"isLocked": True}}, {"NewInviteLink": "https://x"}])
def test_what_is_no_news_to_a_proxy(fields: dict[str, Any]) -> None:
    assert read(changed(**fields)) == []


def ids(event: pb.GroupInfoEvent) -> list[str]:
    return [each.wa_id for each in changes(event, ME, None, known)]


SAME_NAME: dict[str, Any] = {"Name": {"Name": "Nova", "NameSetAt": AT}}
OTHERS = [
    (changed(**SAME_NAME), changed(**SAME_NAME), True),
    (changed(**SAME_NAME), changed(at=AT + 1, **SAME_NAME), False),
    (changed(**SAME_NAME), changed(Name={"Name": "Outra", "NameSetAt": AT}), False),
    (changed(Join=[jid(LID)], version="2"), changed(at=AT + 1, Join=[jid(LID)], version="2"), True),
    (changed(Join=[jid(LID)], version="2"), changed(Join=[jid(LID)], version="4"), False),
    (changed(Join=[jid(LID)]), changed(Leave=[jid(LID)]), False),
    (changed(Join=[jid(LID)]), changed(Join=[jid(STRANGER)]), False),
    (changed(Announce={"IsAnnounce": True}), changed(Announce={"IsAnnounce": False}), False),
]


@pytest.mark.parametrize(("first", "then", "same"), OTHERS)
def test_the_same_change_is_known_again_and_no_other(
    first: pb.GroupInfoEvent, then: pb.GroupInfoEvent, same: bool
) -> None:
    assert (ids(first) == ids(then)) is same


def test_what_a_group_is_called() -> None:
    assert subject_of(changed(**SAME_NAME)) == Subject(Jid(GROUP), "Nova", AT)
    assert subject_of(changed(Join=[jid(LID)])) is None
    info = pb.GroupInfo(JID=jid(GROUP), GroupName=pb.GroupName(Name="Loja", NameSetAt=-62_135_596_800))
    assert subject_of(info) == Subject(Jid(GROUP), "Loja", 0), "Go's time of nothing is long ago"
    assert subject_of(pb.JoinedGroup(GroupInfo=info)) == Subject(Jid(GROUP), "Loja", 0)


def test_an_account_that_was_added() -> None:
    info = pb.GroupInfo(JID=jid(GROUP), GroupName=pb.GroupName(Name="Loja"), ParticipantVersionID="7")
    event = pb.JoinedGroup(GroupInfo=info, Sender=jid(STRANGER), SenderPN=jid(PHONE))
    message = joined(event, ME, AT, known)
    assert message.group_change == GroupChange(GroupAction.ADD, (ME.jid,), Jid(PHONE))
    assert (message.timestamp, message.chat) == (AT, GROUP)
    assert joined(event, ME, AT + 60, known).wa_id == message.wa_id
    assert joined(pb.JoinedGroup(GroupInfo=info), ME, AT, known).group_change == GroupChange(GroupAction.ADD, (ME.jid,))


def test_the_timer_of_a_group() -> None:
    note = timer_of(changed(Ephemeral={"IsEphemeral": True, "DisappearingTimer": 86_400}), ME)
    assert note is not None
    assert (note.account, list(note.chats)) == (ME.jid, [Jid(GROUP)])
    assert note.timer == ChatTimer(86_400, AT, changed=True)
    off = timer_of(changed(Ephemeral={"IsEphemeral": False, "DisappearingTimer": 86_400}), ME)
    assert off is not None
    assert off.timer.expiration == 0
    assert timer_of(changed(**SAME_NAME), ME) is None
