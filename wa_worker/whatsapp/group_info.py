"""What WhatsApp says of a group when it is asked: its name, and whether the account may write there."""

from __future__ import annotations

from neonize.exc import NeonizeError
from neonize.proto import Neonize_pb2 as pb

from wa_worker.errors import Failure, SendDelayed, SendError, SendRefused
from wa_worker.models import Jid
from wa_worker.whatsapp import outgoing
from wa_worker.whatsapp.identity import Identity
from wa_worker.whatsapp.native_session import NativeSession
from wa_worker.whatsapp.send_errors import RATE_PAUSE, TROUBLE_PAUSE, send_error


def look_up(native: NativeSession, group: Jid) -> pb.GroupInfo | None:
    """Asks WhatsApp for a group, which takes up to 75 s. Blocks. None: the session is closing. Raises NeonizeError."""
    with native.in_use():
        if native.closing:
            return None
        return native.client.get_group_info(outgoing.address(group))


def why_refused(native: NativeSession, group: Jid, me: Identity, refused: SendRefused) -> SendError:
    """Returns what it means that WhatsApp refused a message to a group, by what it says of the group. Blocks.

    The number that it refuses with is documented nowhere, and the same may speak of the moment. So only what the group
    itself shows is final: that the account is not in it, or that only admins may write.
    """
    try:
        info = look_up(native, group)
    except NeonizeError as error:
        meant = send_error(str(error))
        if isinstance(meant, SendRefused) and meant.failure is Failure.NO_SUCH_GROUP:
            return meant
        return SendDelayed(f"{refused}; the group cannot be asked for now: {error}", pause=TROUBLE_PAUSE)
    if info is None:
        return SendDelayed(str(refused), pause=TROUBLE_PAUSE)
    return explained(refused, info, me)


def explained(refused: SendRefused, info: pb.GroupInfo, me: Identity) -> SendError:
    """Returns what a refusal means, given the group as it is. Pure."""
    member = next((each for each in info.Participants if _is_me(each, me)), None)
    if member is None:
        return SendRefused(f"{refused}: the account is not in the group", Failure.NO_SUCH_GROUP)
    if info.GroupAnnounce.IsAnnounce and not member.IsAdmin:
        return SendRefused(f"{refused}: only admins may write in the group", Failure.ADMINS_ONLY)
    return SendDelayed(f"{refused}, though the group lets the account write", pause=RATE_PAUSE)


def _is_me(member: pb.GroupParticipant, me: Identity) -> bool:
    users = {address.partition("@")[0] for address in (me.jid, me.lid) if address is not None}
    return any(name.User in users for name in (member.JID, member.LID, member.PhoneNumber))
