"""Sends the messages of one session: to which JID, with which timer, and what is known of a send that fails."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from neonize.exc import NeonizeError
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message
from neonize.utils.enum import ReceiptType

from wa_worker.errors import Failure, JournalError, SendDelayed, SendRefused, SendUncertain, SessionError
from wa_worker.jid import is_group, is_number
from wa_worker.messages import Accepted, OutgoingMessage
from wa_worker.models import Jid, WaMessageId
from wa_worker.whatsapp import outgoing
from wa_worker.whatsapp.authors import target_key
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.group_info import why_refused
from wa_worker.whatsapp.identity import Identity
from wa_worker.whatsapp.native_session import NativeSession
from wa_worker.whatsapp.receiving import Receiver
from wa_worker.whatsapp.registration import KnownAccounts, account_of
from wa_worker.whatsapp.send_errors import (
    NOT_CONNECTED_PAUSE,
    TROUBLE_PAUSE,
    asks_for_a_look,
    look_up_error,
    send_error,
    session_not_open,
)
from wa_worker.whatsapp.send_tracking import SendTracking
from wa_worker.whatsapp.store import SessionStore

log = structlog.get_logger(__name__)


class SessionSender:
    """Sends for one session. One message after another."""

    def __init__(
        self,
        native: NativeSession,
        gate: StartGate,
        store: SessionStore,
        receiver: Receiver,
        accounts: KnownAccounts,
        tracking: SendTracking,
    ) -> None:
        self._native = native
        self._gate = gate
        self._store = store
        self._receiver = receiver
        self._accounts = accounts
        self._tracking = tracking
        self._log = log.bind(instance=native.instance)

    def send(self, message: OutgoingMessage, me: Identity | None) -> Accepted:
        """Sends a message of the account `me`. Blocks, up to ~75 s, or twice that for a number or group that is
        looked up.

        Raises SendRefused, SendDelayed, SessionNotOpen or SendUncertain.
        """
        if me is None:
            raise session_not_open()
        known = self._accounts.get(message.to)
        try:
            return self._send_to(known, message, me)
        except SendRefused as error:
            if error.failure is not Failure.NOT_ON_WHATSAPP or not is_number(message.to):
                raise
        # the library found no account and let nothing leave: whose number it is, WhatsApp says
        account = self._look_up(message.to)
        if account != known:
            self._accounts.put(message.to, account)
            self._log.info("the account is registered under another number", to=message.to, number=account)
        try:
            return self._send_to(account, message, me)
        except SendRefused as error:
            if error.failure is not Failure.NOT_ON_WHATSAPP:
                raise
            raise SendDelayed(
                f"WhatsApp names an account and does not find it: {error}", pause=TROUBLE_PAUSE
            ) from error

    def mark_read(self, chat: Jid, sender: Jid, wa_ids: Sequence[WaMessageId]) -> None:
        """Says that messages of a chat were read. Blocks, up to 75 s: the library first asks whether the account lets
        others know. Raises SessionError."""
        with self._native.in_use():
            self._gate.pass_through()
            if self._native.closing:
                raise SessionError("the session is not open")
            try:
                self._native.client.mark_read(
                    *wa_ids, chat=outgoing.address(chat), sender=outgoing.address(sender), receipt=ReceiptType.READ
                )
            except NeonizeError as error:
                raise SessionError(str(error)) from error

    def show_typing(self, to: Jid, *, recording: bool, over: bool) -> None:
        """Shows in the chat that somebody writes or records, or that this is over. Whatever fails is only logged: it is
        a nicety. Blocks."""
        if self._native.closing:
            return
        try:
            self._native.client.show_typing(outgoing.address(self._accounts.get(to)), recording=recording, over=over)
        except NeonizeError as error:
            self._log.info("it is not shown that somebody writes", reason=str(error))

    def _send_to(self, to: Jid, message: OutgoingMessage, me: Identity) -> Accepted:
        content = self._content(to, message, me)
        address = outgoing.address(to)
        self._gate.pass_through()
        if self._native.closing:
            raise session_not_open()
        self._tracking.begin()
        try:
            response = self._native.client.send_message(address, content)
        except Exception as error:
            if not isinstance(error, NeonizeError):
                self._log.exception("a send failed in a way nobody expected")
            failure = send_error(str(error)) if isinstance(error, NeonizeError) else SendUncertain(str(error))
            if is_group(to) and isinstance(failure, SendRefused) and asks_for_a_look(str(error)):
                failure = why_refused(self._native, to, me, failure)
            if not isinstance(failure, SendUncertain):
                raise failure from error
            return self._tracking.find_out(failure, message.secret)
        finally:
            self._tracking.end()
        own = [address.partition("@")[0] for address in (me.jid, me.lid) if address is not None]
        # in a group, who has no copy asks for one
        if not is_group(to) and not self._tracking.reached(WaMessageId(response.ID), own):
            raise SendDelayed("the keys of the receiver's phone could not be fetched", pause=NOT_CONNECTED_PAUSE)
        return Accepted(WaMessageId(response.ID), response.Timestamp, None if to == message.to else to)

    def _content(self, to: Jid, message: OutgoingMessage, me: Identity) -> Message:
        """Builds the protobuf. Before the gate: what has passed it must call the library at once."""
        try:
            timer = self._receiver.timer(self._native.instance, me, to)
        except JournalError as error:
            raise SendDelayed("the chat's timer cannot be read now", pause=TROUBLE_PAUSE) from error
        return outgoing.protobuf(message, timer, target_key(message, to, me, self._store))

    def _look_up(self, to: Jid) -> Jid:
        """Asks WhatsApp for the account of a number, which takes up to 75 s. Raises SendRefused or SendDelayed."""
        with self._native.in_use():
            self._gate.pass_through()
            if self._native.closing:
                raise session_not_open()
            try:
                answers = self._native.client.is_on_whatsapp("+" + to.partition("@")[0])
            except NeonizeError as error:
                raise look_up_error(str(error)) from error
        return account_of(to, answers, self._store.phone_of)
