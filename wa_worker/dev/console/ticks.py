"""What has become of what was sent, as the ticks of a phone: from the receipts that the proxy has of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import attrs

from wa_worker.dev.console.display_text import clock
from wa_worker.dev.console.texts import Said, joined
from wa_worker.dev.proxy import ReceiptRow


@attrs.frozen
class Ticks:
    """`rank`: failed, delivered, read or played, "" if nothing is known; `words`: the same, with its time or, where it
    went to several, of how many."""

    rank: str = ""
    words: str = ""


def ticks_of(receipts: Iterable[ReceiptRow]) -> dict[str, Ticks]:
    """Returns the ticks of each message, by its WhatsApp id."""
    rows: dict[str, list[ReceiptRow]] = {}
    for row in receipts:
        rows.setdefault(row.wa_message_id, []).append(row)
    return {wa_id: _ticks(of) for wa_id, of in rows.items()}


def _ticks(rows: list[ReceiptRow]) -> Ticks:
    if len(rows) == 1:
        (row,) = rows
        at = getattr(row, f"{row.status}_at")
        if row.status == "failed" and row.error:
            return Ticks(row.status, Said("{} {}: {}", Said(row.status), clock(at), row.error))
        return Ticks(row.status, Said("{} {}", Said(row.status), clock(at)))
    counted = Counter(row.status for row in rows)
    each = (Said("{} by {}", Said(status), counted[status]) for status in _ORDER if counted[status])
    words = joined(", ", tuple(each))
    return Ticks(next(status for status in reversed(_ORDER) if counted[status]), words)


_ORDER = ("played", "read", "delivered", "failed")
"""With several readers the message has the ticks that all of them have given it, as on a phone: the last of these."""
