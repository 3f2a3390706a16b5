"""A session's own identity from the library's device."""

from __future__ import annotations

from neonize.proto import Neonize_pb2 as pb

from tests.whatsapp.message_events import ME, jid
from wa_worker.whatsapp.identity import Identity, identity


def test_who_we_are() -> None:
    device = pb.Device(JID=jid(ME.jid, 12), LID=jid("11111111111111@lid", 12))
    assert identity(device) == ME
    assert identity(pb.Device(JID=jid(ME.jid))) == Identity(ME.jid, None)
    assert identity(pb.Device()) is None
