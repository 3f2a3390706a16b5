"""What a status says of why and until when, in words. Unknown ones are shown as they came."""

from __future__ import annotations

from wa_worker.dev.console.display_text import clock
from wa_worker.dev.proxy import InstanceRow
from wa_worker.models import NextStep

_STEPS: dict[str, str] = {
    NextStep.SCAN: "scan the code",
    NextStep.WAIT: "the worker goes on by itself",
    NextStep.UPGRADE: "upgrade wa-worker",
    NextStep.CHECK_PHONE: "look at the phone",
    NextStep.CHECK_PROXY: "look at the proxy of this instance",
    NextStep.PASSKEY: "WhatsApp wants a passkey, see docs/troubleshooting.md",
}


def in_words(row: InstanceRow) -> str:
    """Returns one line, '' if the worker has said nothing."""
    if row.reason is None:
        return ""
    said = row.reason.replace("_", " ")
    if row.until is not None:
        said = f"{said} until {clock(row.until)}"
    return said if row.action is None else f"{said}: {_STEPS.get(row.action, row.action)}"
