"""A file that WhatsApp keeps for a message: where it is, how it is read, and why it may not be had. Frozen values."""

from __future__ import annotations

import enum

import attrs

from wa_worker.messages.outgoing import MediaKind


class MediaError(enum.StrEnum):
    """Why a message comes without its file: the closed list of what `media.error` says (docs/contract.md has it, too).

    They are for programs. A word that was released is not changed: proxies compare it.
    """

    PENDING = "pending"
    """It is not there yet. The message comes once more when that is decided."""
    EXPIRED = "expired"
    """WhatsApp does not have it any more."""
    TOO_LARGE = "too_large"
    """It is larger than MEDIA_MAX_MB."""
    DAMAGED = "damaged"
    """It is not what the message says: another hash, or no way to find it."""
    NO_UPLOAD = "no_upload"
    """The proxy takes no files."""
    OFF = "off"
    """MEDIA_IN is off."""


@attrs.frozen
class MediaReference:
    """Says where a file is and how it is read. `direct_path`: its path at WhatsApp's media host, with a query.

    sha256: of its bytes; enc_sha256: of its encrypted ones, as they are kept there. size: bytes, by the sender's word.
    """

    kind: MediaKind
    direct_path: str = attrs.field(repr=False)
    media_key: bytes = attrs.field(repr=False)
    enc_sha256: bytes = attrs.field(repr=False)
    sha256: bytes = attrs.field(repr=False)
    size: int
