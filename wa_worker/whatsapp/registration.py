"""Under which JID the account of a phone number is registered: WhatsApp's answer, never digits of ours.

A number can be written as no account is registered: with Brazil's ninth digit, without Mexico's 1. The library then
says that it finds no LID, before anything has left. Only then is WhatsApp asked, once for each number, and what it
answered is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from neonize.proto import Neonize_pb2 as pb

from wa_worker.errors import Failure, JournalError, SendDelayed, SendRefused
from wa_worker.jid import is_lid, is_number
from wa_worker.journal.accounts import Accounts
from wa_worker.models import Jid
from wa_worker.whatsapp.send_errors import TROUBLE_PAUSE

log = structlog.get_logger(__name__)


def account_of(to: Jid, answers: Sequence[pb.IsOnWhatsAppResponse], phone_of: Callable[[Jid], Jid | None]) -> Jid:
    """Returns the JID that WhatsApp names for the number `to`: a phone number's, or a LID where no number is known.

    Raises SendRefused if WhatsApp says that nobody has the number, SendDelayed if it does not speak of it.
    """
    number = to.partition("@")[0]
    spoken_of = [answer for answer in answers if answer.Query.lstrip("+") == number]
    if len(spoken_of) != 1:
        raise SendDelayed(f"WhatsApp does not say whose number it is ({len(answers)} answers)", pause=TROUBLE_PAUSE)
    (answer,) = spoken_of
    if not answer.IsIn:
        raise SendRefused("WhatsApp says that nobody has this number", Failure.NOT_ON_WHATSAPP)
    named = Jid(f"{answer.JID.User}@{answer.JID.Server}")
    if not answer.JID.User:
        raise SendDelayed("WhatsApp knows the number and names no account", pause=TROUBLE_PAUSE)
    return (phone_of(named) or named) if is_lid(named) else named


class KnownAccounts:
    """Remembers what WhatsApp has answered, in the journal if there is one. A journal in trouble is no obstacle."""

    def __init__(self, accounts: Accounts | None) -> None:
        self._accounts = accounts

    def get(self, to: Jid) -> Jid:
        """Returns the JID to send to: `to` itself unless another is known."""
        if self._accounts is None or not is_number(to):
            return to
        try:
            return self._accounts.get(to) or to
        except JournalError:
            return to

    def put(self, to: Jid, account: Jid) -> None:
        if self._accounts is None:
            return
        try:
            self._accounts.put(to, account)
        except JournalError as error:
            log.warning("an account's number is not remembered", reason=str(error))
