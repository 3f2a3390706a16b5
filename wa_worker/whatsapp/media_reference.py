"""Where the file of a message is, from its protobuf. Pure.

Every field is the sender's word. So only the path is taken and never the host (`URL` could name any), a path is one,
and keys and hashes have their lengths.
"""

from __future__ import annotations

from typing import Any

import attrs
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from wa_worker.messages import InboundMessage, Media, MediaError, MediaKind, MediaReference
from wa_worker.whatsapp.kinds.limits import EXACT
from wa_worker.whatsapp.kinds.wrappers import unwrapped

KINDS = {
    "imageMessage": MediaKind.IMAGE,
    "videoMessage": MediaKind.VIDEO,
    "ptvMessage": MediaKind.VIDEO,
    "audioMessage": MediaKind.AUDIO,
    "documentMessage": MediaKind.DOCUMENT,
    "stickerMessage": MediaKind.STICKER,
}
"""The fields of a message that refer to a file."""

TYPES = frozenset({"image", "video", "audio", "document", "sticker"})
"""The types of messages that have a file."""

LONGEST_PATH = 2048
"""Characters of a path; those of WhatsApp have some 150."""

_HASH = 32
_KEY = 32


class NoReference(ValueError):
    """What a message says of its file leads to none."""


def media_reference(message: Message) -> MediaReference | None:
    """Returns where the file is that a message refers to, None if it refers to none. Raises NoReference."""
    found = _file_of(message)
    if found is None:
        return None
    kind, file = found
    path = file.directPath
    if not path.startswith("/") or len(path) > LONGEST_PATH or not path.isascii() or not path.isprintable():
        raise NoReference("the path is none")
    if " " in path or path.startswith("//"):
        raise NoReference("the path is none")
    if len(file.mediaKey) != _KEY:
        raise NoReference("the key is none")
    if len(file.fileEncSHA256) != _HASH or len(file.fileSHA256) != _HASH:
        raise NoReference("a hash is none")
    size = min(file.fileLength, EXACT)  # 64 bits without a sign are more than the journal's numbers have
    return MediaReference(kind, path, file.mediaKey, file.fileEncSHA256, file.fileSHA256, size)


def with_file(
    message: InboundMessage, content: Message, *, wanted: bool
) -> tuple[InboundMessage, MediaReference | None]:
    """Returns a message with what is known of its file, and where that is, if it can be had.

    wanted: whether files are passed on at all; if not the message says so.
    """
    found = _file_of(content)
    if message.message_type not in TYPES or found is None:
        return message, None
    media = message.media or Media(found[1].mimetype)
    if not wanted:
        return attrs.evolve(message, media=attrs.evolve(media, error=MediaError.OFF.value)), None
    try:
        reference = media_reference(content)
    except NoReference:
        return attrs.evolve(message, media=attrs.evolve(media, error=MediaError.DAMAGED.value)), None
    return attrs.evolve(message, media=media), reference


def _file_of(message: Message) -> tuple[MediaKind, Any] | None:
    inner = unwrapped(message)
    return next(((kind, getattr(inner, name)) for name, kind in KINDS.items() if inner.HasField(name)), None)
