"""What changed in a group, from the library's events, as what goes to the proxy in order with its messages. Pure.

One event may tell of several changes. WhatsApp tells a device of each until it has acknowledged that, so the same one
may come twice; it has no id that the library hands over, and gets one made of what it says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

import attrs
from neonize.proto import Neonize_pb2 as pb

from wa_worker.journal import TimerNote
from wa_worker.messages import (
    GROUP_CHANGE,
    ChatTimer,
    ChatType,
    Group,
    GroupAction,
    GroupChange,
    InboundMessage,
)
from wa_worker.models import Jid, WaMessageId
from wa_worker.whatsapp.identity import Identity, Lookup, bare, phone_number


@attrs.frozen
class Subject:
    """Says what a group is called, since when (unix seconds)."""

    group: Jid = attrs.field(repr=False)
    text: str = attrs.field(repr=False)
    set_at: int


@attrs.frozen
class _Change:
    """Describes a change and what tells it from others of its kind."""

    change: GroupChange
    mark: tuple[object, ...]


def changes(event: pb.GroupInfoEvent, me: Identity, known: str | None, phone_of: Lookup) -> list[InboundMessage]:
    """Returns what changed, in the order of GroupAction; nothing for what only concerns the look of the group.

    known: what the group was called so far. phone_of: see identity.py.
    """
    chat = bare(event.JID)
    by = phone_number(bare(event.Sender), None, phone_of) if event.Sender.User else None
    group = Group(chat, event.Name.Name if event.HasField("Name") else known)
    return [
        _message(group, each, by, event.Timestamp, me)
        for each in _changes(event, by, lambda raw: _people(raw, phone_of))
    ]


def joined(event: pb.JoinedGroup, me: Identity, now: int, phone_of: Lookup) -> InboundMessage:
    """Returns that the account was added to a group. `now`: unix seconds; the library does not say when it was."""
    info = event.GroupInfo
    sender = event.SenderPN if event.SenderPN.User else event.Sender
    by = phone_number(bare(sender), None, phone_of) if sender.User else None
    change = GroupChange(GroupAction.ADD, (me.jid,), by)
    mark = (info.ParticipantVersionID, int(info.GroupCreated))
    return _message(Group(bare(info.JID), info.GroupName.Name), _Change(change, mark), by, now, me)


def subject_of(event: pb.GroupInfoEvent | pb.JoinedGroup | pb.GroupInfo) -> Subject | None:
    """Returns what the group is called from now on; None if the event does not say."""
    if isinstance(event, pb.GroupInfoEvent):
        name = event.Name if event.HasField("Name") else None
        return None if name is None else Subject(bare(event.JID), name.Name, max(name.NameSetAt, 0))
    info = event.GroupInfo if isinstance(event, pb.JoinedGroup) else event
    return Subject(bare(info.JID), info.GroupName.Name, max(info.GroupName.NameSetAt, 0))


def timer_of(event: pb.GroupInfoEvent, me: Identity) -> TimerNote | None:
    """Returns what the event says of the group's timer (disappearing messages)."""
    if not event.HasField("Ephemeral"):
        return None
    expiration = event.Ephemeral.DisappearingTimer if event.Ephemeral.IsEphemeral else 0
    return TimerNote(me.jid, frozenset({bare(event.JID)}), ChatTimer(expiration, event.Timestamp, changed=True))


def _changes(
    event: pb.GroupInfoEvent, by: Jid | None, people: Callable[[Iterable[pb.JID]], tuple[Jid, ...]]
) -> Iterator[_Change]:
    at = (event.Timestamp,)
    of_members = (event.ParticipantVersionID,) if event.ParticipantVersionID else at
    if event.HasField("Name"):
        yield _Change(GroupChange(GroupAction.SUBJECT, (), by), (*at, event.Name.Name))
    for action, raw in (
        (GroupAction.ADD, event.Join),
        (GroupAction.REMOVE, event.Leave),
        (GroupAction.PROMOTE, event.Promote),
        (GroupAction.DEMOTE, event.Demote),
    ):
        if members := people(raw):
            left = action is GroupAction.REMOVE and members == (by,)
            yield _Change(GroupChange(GroupAction.LEAVE if left else action, members, by), of_members)
    if event.HasField("Announce"):
        on = event.Announce.IsAnnounce
        yield _Change(
            GroupChange(GroupAction.ANNOUNCE, (), by, announce=on), (*at, event.Announce.AnnounceVersionID, on)
        )
    if event.HasField("Topic"):
        text = "" if event.Topic.TopicDeleted else event.Topic.Topic
        yield _Change(GroupChange(GroupAction.DESCRIPTION, (), by, description=text), (*at, event.Topic.TopicID))


def _people(raw: Iterable[pb.JID], phone_of: Lookup) -> tuple[Jid, ...]:
    return tuple(phone_number(bare(each), None, phone_of) for each in raw)


def _message(group: Group, what: _Change, by: Jid | None, timestamp: int, me: Identity) -> InboundMessage:
    change = what.change
    said = repr((group.id, change.action.value, sorted(change.participants), what.mark))
    return InboundMessage(
        wa_id=WaMessageId("group-" + hashlib.sha256(said.encode()).hexdigest()[:26]),
        chat=group.id,
        chat_type=ChatType.GROUP,
        to=by or me.jid,
        sender=by or me.jid,
        sender_lid=None,
        push_name=None,
        body="",
        message_type=GROUP_CHANGE,
        timestamp=timestamp,
        group=group,
        group_change=change,
    )
