"""Files to try things with: those that the console lets one send, and those that the simulated people send.

They were made for this: no photograph, no voice, and no price in them is anybody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import attrs

_FOLDER = Path(__file__).parent


@attrs.frozen
class Sample:
    """Describes a file. `type`: that of the message which it makes; `title`: what a person calls it."""

    name: str
    title: str
    type: str
    mime_type: str
    voice: bool = False

    @property
    def data(self) -> bytes:
        return (_FOLDER / self.name).read_bytes()


PHOTO = Sample("photo.jpg", "a picture", "image", "image/jpeg")
VOICE_NOTE = Sample("voice-note.ogg", "a voice note", "audio", "audio/ogg; codecs=opus", voice=True)
DOCUMENT = Sample("price-list.pdf", "a document", "document", "application/pdf")
STICKER = Sample("sticker.webp", "a sticker", "sticker", "image/webp")

SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {sample.name: sample for sample in (PHOTO, VOICE_NOTE, DOCUMENT, STICKER)}
)
"""By their names."""
