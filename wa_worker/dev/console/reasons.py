"""What a status says of why and until when, in words. Unknown ones are shown as they came."""

from __future__ import annotations

from wa_worker.admin.words import STEPS, word
from wa_worker.dev.console.display_text import clock
from wa_worker.dev.proxy import InstanceRow


def in_words(row: InstanceRow) -> str:
    """Returns one line, '' if the worker has said nothing."""
    if row.reason is None:
        return ""
    said = row.reason.replace("_", " ")
    if row.until is not None:
        said = f"{said} until {clock(row.until)}"
    return said if row.action is None else f"{said}: {word(STEPS, row.action)}"
