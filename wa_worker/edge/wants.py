"""Which kinds of received messages the proxy wants: as its answers to `/poll` say, else as the setting says.

What is not wanted is dropped for good. So one odd answer to `/poll`, or none, does not turn what was wanted a moment
ago into what is not: for a while then that is not known.

Trio thread only.
"""

from __future__ import annotations

from wa_worker.edge.version import ContractVersion
from wa_worker.messages import InboundMessage, Wanted, has_to_be_wanted


class Wants:
    """One per client. `setting`: what goes out to a proxy that does not say."""

    def __init__(self, version: ContractVersion, setting: frozenset[Wanted] = frozenset()) -> None:
        self._version = version
        self._setting = setting
        self._said: frozenset[Wanted] | None = None

    def said(self, want: frozenset[Wanted] | None) -> None:
        """An answer to `/poll` names these kinds; None: it names none, and the setting counts."""
        self._said = want

    def includes(self, message: InboundMessage) -> bool | None:
        """Says whether a message is to go out. None: that is not known yet, for the proxy has not shown for sure which
        version it speaks."""
        needed = has_to_be_wanted(message)
        if not needed:
            return True
        if not self._version.sure:
            return None
        now = self._setting if self._said is None or not self._version.two else self._said
        return needed <= now
