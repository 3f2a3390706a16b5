"""A vote in a poll, as a phone encrypts it (Baileys process-message.ts, decryptPollVote, the other way round)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wa_worker.dev.simulator.protobufs import Message


def vote(secret: bytes, poll: str, author: str, voter: str, chosen: Iterable[str], *, chat: str) -> Message:
    """Returns the vote of `voter` for the options `chosen` in the message `poll`, which `author` has sent to `chat`.

    secret: that of the poll's message. author, voter: JIDs, as the chat addresses them.
    """
    extracted = hmac.digest(bytes(32), secret, "sha256")
    key = hmac.digest(extracted, f"{poll}{author}{voter}Poll Vote\x01".encode(), "sha256")
    plain = b"".join(b"\x0a\x20" + hashlib.sha256(option.encode()).digest() for option in chosen)
    vector = secrets.token_bytes(12)
    encrypted = AESGCM(key).encrypt(vector, plain, f"{poll}\0{voter}".encode())
    named = {"remoteJID": chat, "fromMe": author == voter, "ID": poll}
    if author != voter:
        named["participant"] = author
    return Message(
        pollUpdateMessage={"pollCreationMessageKey": named, "vote": {"encPayload": encrypted, "encIV": vector}}
    )
