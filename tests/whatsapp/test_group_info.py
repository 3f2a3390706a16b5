"""What a refusal of a message to a group means, by what WhatsApp says of the group."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from neonize.proto import Neonize_pb2 as pb

from tests.whatsapp.message_events import GROUP, LID, ME, PHONE, jid
from wa_worker.errors import Failure, SendDelayed, SendError, SendRefused
from wa_worker.models import InstanceId, Jid, Secret
from wa_worker.whatsapp.client import QuietClient
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.group_info import explained, why_refused
from wa_worker.whatsapp.native_session import NativeSession

REFUSED = SendRefused("server returned error 420")
assert ME.lid is not None
ME_BY_LID = {"JID": jid(ME.lid), "LID": jid(ME.lid), "PhoneNumber": jid("")}
ME_BY_PHONE = {"JID": jid(ME.jid), "LID": jid(""), "PhoneNumber": jid(ME.jid)}
ANA = {"JID": jid(LID), "LID": jid(LID), "PhoneNumber": jid(PHONE)}


def group(*members: dict[str, Any], announce: bool = False, admin: bool = False) -> pb.GroupInfo:
    participants = [pb.GroupParticipant(**each, IsAdmin=admin and each is not ANA) for each in members]
    return pb.GroupInfo(Participants=participants, GroupAnnounce=pb.GroupAnnounce(IsAnnounce=announce))


def verdict(error: SendError) -> Failure | float:
    assert isinstance(error, SendRefused | SendDelayed)
    return error.failure if isinstance(error, SendRefused) else error.pause


ROWS: list[tuple[pb.GroupInfo, Failure | float]] = [
    (group(ANA, ME_BY_LID, announce=True), Failure.ADMINS_ONLY),
    (group(ANA, ME_BY_PHONE, announce=True), Failure.ADMINS_ONLY),
    (group(ANA, ME_BY_LID, announce=True, admin=True), 60.0),
    (group(ANA, ME_BY_LID), 60.0),
    (group(ANA), Failure.NO_SUCH_GROUP),
    (group(ANA, announce=True), Failure.NO_SUCH_GROUP),
]


@pytest.mark.parametrize(("info", "expected"), ROWS)
def test_what_a_refusal_means(info: pb.GroupInfo, expected: Failure | float) -> None:
    assert verdict(explained(REFUSED, info, ME)) == expected


async def test_a_session_that_closes_is_not_asked() -> None:
    """A call for a session that the library does not know may end the process."""
    gate = StartGate()
    async with trio.open_nursery() as nursery:
        native = NativeSession(
            InstanceId("shop"), QuietClient(Secret("nowhere"), "x", "the device", gate), gate, nursery
        )
        native.closing = True
        error = why_refused(native, Jid(GROUP), ME, REFUSED)
        assert (verdict(error), str(error)) == (10.0, str(REFUSED)), "and nothing of what was asked"
