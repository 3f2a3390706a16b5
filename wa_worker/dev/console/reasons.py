"""What a status says of why and until when, in words. Unknown ones are shown as they came."""

from __future__ import annotations

from wa_worker.admin.texts import text
from wa_worker.admin.words import REASONS, STEPS, Language, word
from wa_worker.dev.console.display_text import clock
from wa_worker.dev.proxy import InstanceRow


def in_words(row: InstanceRow, language: Language = Language.ENGLISH) -> str:
    """Returns one line, '' if the worker has said nothing. In English the reason is the contract's word, which a
    developer looks for; in other languages it is the admin page's sentence."""
    if row.reason is None:
        return ""
    english = language is Language.ENGLISH
    said = row.reason.replace("_", " ") if english else word(REASONS, row.reason, language)
    if row.until is not None:
        said = f"{said} {text('until', language).format(clock(row.until))}"
    return said if row.action is None else f"{said}: {word(STEPS, row.action, language)}"
