"""What was chosen in a vote: decrypts it, with the secret that came with the poll.

whatsmeow writes the secrets of all messages that have one into the session store, by chat, sender and id. The key of a
vote (whatsmeow msgsecret.go, Baileys process-message.ts) is HKDF-SHA256 of that secret, without salt, for the poll's
id, its sender, the voter and "Poll Vote"; the vote is AES-256-GCM with the id, a zero byte and the voter beside it.
Either person has two addresses, and the voter's phone has decided which: the tag of GCM says which ones are right. What
is decrypted is the SHA-256 of each option that is chosen now.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from google.protobuf.message import DecodeError
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import PollEncValue, PollVoteMessage

from wa_worker.errors import SessionError
from wa_worker.jid import is_lid
from wa_worker.models import Jid
from wa_worker.whatsapp.identity import Identity
from wa_worker.whatsapp.message_secrets import senders
from wa_worker.whatsapp.parsing import parsed
from wa_worker.whatsapp.store import SessionStore

MOST_CHOICES = 100
"""Options that a vote may choose; phones write 12 at the most."""


@attrs.frozen
class Vote:
    """Describes a decrypted vote. `secret`: that of the poll. `hashes`: the SHA-256 of each chosen option."""

    secret: bytes = attrs.field(repr=False)
    hashes: tuple[bytes, ...]

    def of(self, options: Iterable[str]) -> tuple[str, ...] | None:
        """Returns what was chosen of the poll's options, None if one of them is not there."""
        known = {hashlib.sha256(option.encode()).digest(): option for option in options}
        chosen = [known[each] for each in self.hashes if each in known]
        return tuple(chosen) if len(chosen) == len(self.hashes) else None


def decrypted(
    encrypted: PollEncValue, poll: str, chat: Jid, voters: Iterable[Jid], me: Identity, store: SessionStore
) -> Vote | None:
    """Returns what a vote in the message `poll` of a chat says. `voters`: the addresses of who has voted.

    None: the store knows no such poll or cannot be read now, or the vote is not in its place. Blocking.
    """
    try:
        written = senders(store, chat, poll)
    except SessionError:
        return None
    for (creator, secret), voter in itertools.product(written, voters):
        for author in _addresses(creator, me, store):
            plain = _opened(encrypted, poll, author, voter, secret)
            if plain is not None:
                return Vote(secret, plain)
    return None


def vote_key(secret: bytes, poll: str, author: str, voter: str) -> bytes:
    """Returns the key of a vote in the message `poll` of `author`."""
    info = f"{poll}{author}{voter}Poll Vote".encode()
    return HKDF(hashes.SHA256(), 32, None, info).derive(secret)


def beside(poll: str, voter: str) -> bytes:
    """Returns what a vote is authenticated with."""
    return f"{poll}\0{voter}".encode()


def _opened(encrypted: PollEncValue, poll: str, author: str, voter: str, secret: bytes) -> tuple[bytes, ...] | None:
    cipher = AESGCM(vote_key(secret, poll, author, voter))
    try:
        plain = cipher.decrypt(encrypted.encIV, encrypted.encPayload, beside(poll, voter))
        return tuple(parsed(PollVoteMessage, plain).selectedOptions[:MOST_CHOICES])
    except (InvalidTag, ValueError, DecodeError):  # ValueError: of what is no initial vector
        return None


def _addresses(person: Jid, me: Identity, store: SessionStore) -> list[Jid]:
    """Returns the addresses of a person, the known one first."""
    mine = {me.jid, me.lid}
    other = (mine - {person}).pop() if person in mine else (store.phone_of if is_lid(person) else store.lid_of)(person)
    return [person, other] if other else [person]
