"""The few exceptions of the project. The class says what the caller should do; the text is for a person.

Faults that no caller can act on are not here: they are bugs, and crash the instance into its barrier.
"""

from __future__ import annotations

import attrs

from wa_worker.models import WaMessageId


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

    def __str__(self) -> str:
        return f"{self.endpoint}: {self.detail}"


class EdgeUnavailable(EdgeError):
    """No answer, or one that can change by itself (edge/answers.py says which). Do: try again later."""


class EdgeForeign(EdgeUnavailable):
    """Something else than the proxy answered, a router or a portal. Do: try again later, and believe no word of it."""


class EdgeRejected(EdgeError):
    """Something refuses this call. Do: set it aside, but only when the proxy has accepted others meanwhile."""


class SendError(Exception):
    """A message was not accepted by WhatsApp."""


class SendRefused(SendError):
    """It never will be (bad destination, not on WhatsApp, too long). Do: record as failed."""


class SendDelayed(SendError):
    """It certainly did not leave, or WhatsApp said no for now. Do: try again after `pause` seconds."""

    def __init__(self, message: str, *, pause: float) -> None:
        super().__init__(message)
        self.pause = pause


class SessionNotOpen(SendDelayed):
    """Nothing can be sent right now, whatever the message. Do: stop the batch, take the intent back."""


class SendUncertain(SendError):
    """It may have left: a time-out or a cut after the frame was handed over. Do: record as uncertain.

    `wa_id`: the id under which it has left if it has, None if that could not be found out.
    """

    def __init__(self, message: str, wa_id: WaMessageId | None = None) -> None:
        super().__init__(message)
        self.wa_id = wa_id


class JournalError(Exception):
    """The journal cannot commit (disk full, broken file). Do: stop taking messages until it can."""


class SessionError(Exception):
    """The native session could not be opened or used. Do: close it, back off, open it anew."""
