"""A contact card in words: its name and its phone numbers (RFC 6350; phones write version 3.0). Pure."""

from __future__ import annotations

MOST_NUMBERS = 10
"""Numbers of a card that go into its words."""

LONGEST = 16_384
"""Characters of a card that are read: a picture in it may be large, and comes last."""


def words(display_name: str, card: str) -> str:
    """Returns the name and the numbers with commas between them: 'Bia, +55 11 98888-0005'."""
    name = display_name.strip()
    numbers: list[str] = []
    for line in card[:LONGEST].replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "").split("\n"):
        head, _, value = line.partition(":")
        field = head.partition(";")[0].rpartition(".")[2].upper()  # 'item1.TEL;waid=5511988880005'
        value = value.strip().replace("\\,", ",").replace("\\;", ";").replace("\\\\", "\\")
        if field == "FN" and not name:
            name = value
        elif field == "TEL" and value and len(numbers) < MOST_NUMBERS:
            numbers.append(value.removeprefix("tel:"))
    return ", ".join(filter(None, (name, *dict.fromkeys(numbers))))
