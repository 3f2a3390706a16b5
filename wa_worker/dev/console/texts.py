"""The console's texts in Brazilian Portuguese, and texts that can be said in it later than they are made.

English is the key: what is made in English and is not here is shown as it is. What others wrote is never translated:
only a `Said`, and what a template names itself. The languages are the admin page's.
"""

from __future__ import annotations

from collections.abc import Mapping

from wa_worker.admin.words import Language
from wa_worker.dev.console.portuguese import PORTUGUESE


class Said(str):
    """An English text that remembers the sentence it was made of. `arguments`: what stands for each {}; of these, too,
    only a Said is translated."""

    __slots__ = ("arguments", "sentence")
    sentence: str
    arguments: tuple[object, ...]

    def __new__(cls, sentence: str, *arguments: object) -> Said:
        made = super().__new__(cls, sentence.format(*arguments) if arguments else sentence)
        made.sentence, made.arguments = sentence, arguments
        return made


def joined(separator: str, texts: tuple[str, ...]) -> Said:
    """Returns texts as one, each of which stays what it is."""
    return Said(separator.join(["{}"] * len(texts)), *texts)


def text(english: str, language: Language) -> str:
    """Returns a text of ours in a language."""
    return _TABLES[language].get(english, english)


def in_language(said: object, language: Language) -> str:
    """Returns a Said in a language, and anything else as it is."""
    if not isinstance(said, Said) or language is Language.ENGLISH:
        return str(said)
    sentence = text(said.sentence, language)
    return sentence.format(*(in_language(each, language) for each in said.arguments)) if said.arguments else sentence


_TABLES: Mapping[Language, Mapping[str, str]] = {Language.ENGLISH: {}, Language.PORTUGUESE: PORTUGUESE}
