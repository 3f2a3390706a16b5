"""Files that WhatsApp has, as messages. The kind of message says with which keys the file is decrypted."""

from __future__ import annotations

import time
from typing import Any

from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import (
    AudioMessage,
    ContextInfo,
    DocumentMessage,
    FutureProofMessage,
    ImageMessage,
    Message,
    StickerMessage,
    VideoMessage,
)

from wa_worker.messages import MediaKind, UploadedMedia


def caption(kind: MediaKind, words: str, context: ContextInfo | None) -> Message:
    """Returns a file's message with nothing but a caption: what an edit puts in the place of the old one. A text there
    would take the caption away. Kinds without captions are no edits."""
    match kind:
        case MediaKind.IMAGE:
            return Message(imageMessage=ImageMessage(caption=words, contextInfo=context))
        case MediaKind.VIDEO:
            return Message(videoMessage=VideoMessage(caption=words, contextInfo=context))
        case MediaKind.DOCUMENT:
            document = Message(documentMessage=DocumentMessage(caption=words, contextInfo=context))
            return Message(documentWithCaptionMessage=FutureProofMessage(message=document))
        case _:
            raise AssertionError("a file without a caption is not edited")


def media(sent: UploadedMedia, context: ContextInfo | None) -> Message:
    """Returns a message with the file."""
    named, facts, file = sent.media, sent.facts, sent.file
    parts: dict[str, Any] = {
        "URL": file.url,
        "directPath": file.direct_path,
        "mediaKey": file.media_key,
        "mediaKeyTimestamp": int(time.time()),
        "fileSHA256": file.sha256,
        "fileEncSHA256": file.encrypted_sha256,
        "fileLength": file.size,
        "mimetype": facts.mime_type,
        "contextInfo": context,
    }
    size = {"width": facts.width, "height": facts.height}
    match named.kind:
        case MediaKind.IMAGE:
            image = ImageMessage(**parts, **size, caption=named.caption, JPEGThumbnail=facts.thumbnail)
            return Message(imageMessage=image)
        case MediaKind.VIDEO:
            video = VideoMessage(**parts, **size, caption=named.caption, seconds=facts.duration)
            return Message(videoMessage=video)
        case MediaKind.AUDIO:
            audio = AudioMessage(**parts, PTT=named.voice, seconds=facts.duration, waveform=facts.waveform)
            return Message(audioMessage=audio)
        case MediaKind.STICKER:
            return Message(stickerMessage=StickerMessage(**parts, **size))
        case MediaKind.DOCUMENT:
            name = named.filename or "file"
            document = Message(
                documentMessage=DocumentMessage(**parts, fileName=name, title=name, caption=named.caption)
            )
            if not named.caption:
                return document
            return Message(documentWithCaptionMessage=FutureProofMessage(message=document))
