"""The few exceptions of the project. The class says what the caller should do; the text is for a person.

Faults that no caller can act on are not here: they are bugs, and crash the instance into its barrier.
"""

from __future__ import annotations

import enum

import attrs

from wa_worker.models import WaMessageId


class Failure(enum.StrEnum):
    """Why a message will not be sent: the closed list of what `/mark-failed` says (docs/contract.md has it, too).

    They are for people, and the same for every message: none holds an address, a number, a body, or the words of a
    library or a server. Those are for the log. A text that was released is not changed: proxies may compare it.
    """

    NOT_ON_WHATSAPP = "the number is not on WhatsApp"
    BAD_NUMBER = "to is not a phone number, or lacks its country code"
    BAD_LID = "to is not a LID: digits before @lid"
    BAD_GROUP = "to is not a group: digits, or digits-digits, before @g.us"
    BAD_SERVER = "to is an address that nothing can be sent to: use a phone number, @s.whatsapp.net, @lid or @g.us"
    NO_SUCH_GROUP = "the group does not exist, or this account is not in it"
    ADMINS_ONLY = "only admins may write in this group"
    NO_TO = "to is missing, empty or not a text"
    NO_BODY = "body is missing, empty or not a text"
    LONG_BODY = "body is too long"
    NOT_UNICODE = "to or body holds half of a surrogate pair, which is no character"
    BAD_ROW = "the row is not as the contract describes it"
    BAD_TYPE = "type is none that can be sent"
    BAD_MEDIA = "media is missing, or not as the contract describes it"
    BAD_LINK = "media.link is not an https address"
    BAD_LOCATION = "location is missing, or is not a place"
    BAD_CONTACTS = "contacts is missing, or not as the contract describes it"
    BAD_REACTION = "reaction is missing, or not as the contract describes it"
    BAD_EDIT = "edit is missing, or names no message"
    BAD_REVOKE = "revoke is missing, or names no message"
    BAD_POLL = "poll is missing, or lacks its name, or has too few or too many options"
    BAD_CONTEXT = "context is not as the contract describes it"
    BAD_MENTIONS = "mentions is not a list of numbers or JIDs"
    BAD_TYPING = "typing_ms is not a whole number, or too large"
    UNKNOWN_AUTHOR = "who wrote the message that this one is about is not known: name them in from"
    NOT_OURS = "only a message of this account can be edited, or deleted for all"
    PRIVATE_LINK = "media.link leads to an address that is not public"
    GONE_LINK = "media.link is gone: its host has no such file"
    NO_FILE = "media.link could not be fetched: given up after several tries"
    LARGE_FILE = "the file is larger than MEDIA_MAX_MB"
    BAD_FILE = "the file has no format that WhatsApp shows for this type"
    REFUSED = "WhatsApp refuses the message"
    LIMITED = "WhatsApp does not let this account write first to so many people: given up after several tries"
    GIVEN_UP = "given up after several tries"
    DISCARDED = "discarded by a person"
    OTHER = "the message could not be sent"
    CHECK = "a check of wa-worker: there is no such message"

    @classmethod
    def of(cls, text: str | None) -> Failure:
        """Returns the failure with this text, OTHER for any other text: a ledger may hold what older versions wrote."""
        return next((failure for failure in cls if failure.value == text), cls.OTHER)


class ConfigError(Exception):
    """The settings are not usable. Do: print every fault, exit 2."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class StartupError(Exception):
    """The program cannot start here (port taken, volume not writable...). Do: print it, exit 1."""


@attrs.define(eq=False, slots=False)
class EdgeError(Exception):
    """A call to the worker-proxy did not succeed. `status` is None when there was no usable answer at all."""

    endpoint: str
    detail: str
    status: int | None = None
    retry_after: float | None = None
    """Seconds the proxy asked us to wait (`Retry-After`), already bounded."""
    trace: str | None = None
    """Of the call and its other tries, as its `traceparent` names it."""

    @property
    def traced(self) -> dict[str, str]:
        """Returns the field of a log line that names the trace, if there is one."""
        return {} if self.trace is None else {"trace": self.trace}

    def __str__(self) -> str:
        return f"{self.endpoint}: {self.detail}"


class EdgeUnavailable(EdgeError):
    """No answer, or one that can change by itself (edge/answers.py says which). Do: try again later."""


class EdgeForeign(EdgeUnavailable):
    """Something else than the proxy answered, a router or a portal. Do: try again later, and believe no word of it."""


class NoSuchVersion(EdgeUnavailable):
    """The proxy has no call of version 2. Do: use those of version 1, and ask again later."""


class NoUploads(EdgeUnavailable):
    """The proxy has no call for files, by one answer. Do: ask again, and then post messages without their files."""


class EdgeRejected(EdgeError):
    """Something refuses this call. Do: set it aside, but only when the proxy has accepted others meanwhile."""


class RowError(ValueError):
    """A row of the proxy cannot be sent, whatever WhatsApp says. Do: mark it as failed. `message` is for the log."""

    def __init__(self, failure: Failure, message: str | None = None) -> None:
        super().__init__(message or failure.value)
        self.failure = failure


class SendError(Exception):
    """A message was not accepted by WhatsApp."""


class SendRefused(SendError):
    """It never will be (not on WhatsApp, no such group). Do: record as failed. `message` is for the log only."""

    def __init__(self, message: str, failure: Failure = Failure.REFUSED) -> None:
        super().__init__(message)
        self.failure = failure


class SendDelayed(SendError):
    """It certainly did not leave, or WhatsApp said no for now. Do: try again after `pause` seconds.

    `failure` is what the proxy hears when it is given up. `message` is for the log only.
    """

    def __init__(self, message: str, *, pause: float, failure: Failure = Failure.GIVEN_UP) -> None:
        super().__init__(message)
        self.pause = pause
        self.failure = failure


class SessionNotOpen(SendDelayed):
    """Nothing can be sent right now, whatever the message. Do: stop the batch, take the intent back."""


class WorkerTrouble(SendDelayed):
    """It is this worker that cannot, and the message is no cause of it: the disk is full, uploads hang. Do: try again
    after `pause` seconds, and count no try."""


class SendUncertain(SendError):
    """It may have left: a time-out or a cut after the frame was handed over. Do: record as uncertain.

    `wa_id`: the id under which it has left if it has, None if that could not be found out.
    """

    def __init__(self, message: str, wa_id: WaMessageId | None = None) -> None:
        super().__init__(message)
        self.wa_id = wa_id


class JournalError(Exception):
    """The journal cannot commit (disk full, broken file). Do: stop taking messages until it can."""


class StateError(Exception):
    """The PostgreSQL database of STATE_URL cannot be reached, or refuses. Do: keep what it holds closed, try again."""


class UnfitState(StateError):
    """It answers, and no worker can work with what it is, a pooler in transaction mode, say. Do: at the start print it
    and exit 1; later as any StateError. `remedy` says what a person can do."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(f"{found}. Do: {remedy}.")
        self.found = found
        self.remedy = remedy


class LeaseLost(StateError, JournalError):
    """This worker's lease has ended: others may run its instances by now. Do: close all without a word, exit 1.

    Of the journal it is one of its errors, too: who holds a message back until it is committed goes on holding it, so
    WhatsApp delivers it to the next owner.
    """


class SessionError(Exception):
    """The native session could not be opened or used. Do: close it, back off, open it anew."""


class BackupError(Exception):
    """A backup cannot be made or restored. Do: print it, leave everything as it was, exit 1."""


class TransferError(Exception):
    """Instances cannot be moved to PostgreSQL, or back. Do: print it, exit 1. What was moved stays moved."""
