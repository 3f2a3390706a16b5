"""The templates of the admin page. They escape every text, and undefined names are errors."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import jinja2
from markupsafe import Markup

from wa_worker.admin.answers import StaticFile
from wa_worker.admin.texts import moment, span, text
from wa_worker.admin.words import BY, REASONS, STATES, Language, word
from wa_worker.jid import masked, masked_address


class Renderer:
    """Holds the templates. `render()` may be called from any thread."""

    def __init__(self, files: dict[str, StaticFile]) -> None:
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("wa_worker.admin"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["file"] = {name: file.path for name, file in files.items()}
        self._templates.globals["htmx_config"] = HTMX
        self._templates.filters |= {
            "moment": moment,
            "iso": iso,
            "seen": seen,
            "masked": masked,
            "address": masked_address,
        }

    def render(self, name: str, language: Language, **values: Any) -> str:
        """Returns a page. In it `t(key)` is a text, and `ago(at)` a moment as so long ago or ahead."""
        now = time.time()

        def t(key: str, *arguments: object) -> str:
            return text(key, language).format(*arguments) if arguments else text(key, language)

        def ago(at: float, key: str = "ago") -> str:
            return t(key, span(at - now if key == "in" else now - at))

        def ahead(at: float) -> str:
            return t("left", span(at - now))

        words = {
            "state_word": partial(word, STATES, language=language),
            "reason_word": partial(word, REASONS, language=language),
            "by_word": partial(word, BY, language=language),
        }
        return self._templates.get_template(name).render(
            t=t, ago=ago, ahead=ahead, lang=language.value, now=now, **words, **values
        )


HTMX = Markup(
    '{"includeIndicatorStyles":false,"allowEval":false,"allowScriptTags":false,"selfRequestsOnly":true,'
    '"historyCacheSize":0,"scrollBehavior":"auto"}'
)
"""htmx's settings: nothing that the policy of the pages forbids, and no page in the browser's storage."""


def iso(at: float) -> str:
    """Returns a moment as HTML's `time` wants it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def seen(text: str) -> str:
    """Returns a text with what cannot be seen as its code point: an override of direction could make it look like
    another one."""
    return "".join(char if char.isprintable() else f"[U+{ord(char):04X}]" for char in text)
