"""Pictures, videos, voice notes, documents and stickers: what their message says of the file. Pure.

It says where the file is, too: that is for who fetches it, and so is whether all this is true.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from wa_worker.messages import Media
from wa_worker.whatsapp.kinds.content import Content
from wa_worker.whatsapp.kinds.limits import EXACT, clipped, hash_in_hex, mime_type, pixels, whole

LONGEST_NAME = 255
"""Characters of a file's name: what file systems take."""


def _image(message: Message) -> Content:
    image = message.imageMessage
    return Content("image", image.caption, media=_media(image, "image/jpeg", **_size_of(image)))


def _video(message: Message) -> Content:
    return _moving(message.videoMessage)


def _round_video(message: Message) -> Content:
    return _moving(message.ptvMessage)


def _moving(video: Any) -> Content:
    more = {"animated": video.gifPlayback, "duration": _seconds(video), **_size_of(video)}
    return Content("video", video.caption, media=_media(video, "video/mp4", **more))


def _audio(message: Message) -> Content:
    audio = message.audioMessage
    return Content("audio", media=_media(audio, "audio/ogg", voice=audio.PTT, duration=_seconds(audio)))


def _document(message: Message) -> Content:
    document = message.documentMessage
    name = clipped(document.fileName, LONGEST_NAME) or clipped(document.title, LONGEST_NAME)
    return Content("document", document.caption, media=_media(document, "application/octet-stream", filename=name))


def _sticker(message: Message) -> Content:
    sticker = message.stickerMessage
    moves = sticker.isAnimated or sticker.isLottie
    return Content("sticker", media=_media(sticker, "image/webp", animated=moves, **_size_of(sticker)))


MEDIA: dict[str, Callable[[Message], Content]] = {
    "imageMessage": _image,
    "videoMessage": _video,
    "ptvMessage": _round_video,
    "audioMessage": _audio,
    "documentMessage": _document,
    "stickerMessage": _sticker,
}
"""By the field of the message."""


def _media(file: Any, usual: str, **more: Any) -> Media:
    """`usual`: the type of media that phones send where this one says none, or none that can be."""
    size = whole(file.fileLength, EXACT) if file.HasField("fileLength") else None
    return Media(mime_type(file.mimetype) or usual, sha256=hash_in_hex(file.fileSHA256), size=size, **more)


def _seconds(file: Any) -> int | None:
    return whole(file.seconds) if file.HasField("seconds") else None


def _size_of(file: Any) -> dict[str, int | None]:
    return {"width": pixels(file.width), "height": pixels(file.height)}
