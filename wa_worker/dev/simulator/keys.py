"""Prekey bundles and Signal sessions of one party. No I/O, no clock.

Owns the cryptographic state of a remote phone: its identity, its signed prekey, one-time prekeys (made when they
are first asked for) and one Signal session per device it talks to; the protocol of those is in sessions.py. Every
method is synchronous: a session is a ratchet, so whoever encrypts must put the result on the wire before the next
encryption for the same address, and without an await in between nobody can come first.
"""

import secrets
import struct

import attrs

from wa_worker.dev.simulator.curve import CURVE, KeyPair, SigningKeyPair, is_signed
from wa_worker.dev.simulator.sessions import CannotRead, Ours, Session, Theirs
from wa_worker.dev.simulator.signal_messages import PreKeySignalMessage, read
from wa_worker.dev.simulator.stanza import Node, child, content_bytes

_SIGNED_PREKEY_ID = 1
_PREKEY_MESSAGE = "pkmsg"

Address = tuple[str, int]  # user, device number


class Undecryptable(Exception):
    """The ciphertext fits no session of this party. Nothing was changed."""


@attrs.frozen
class Bundle:
    """Says what one needs to know of a device to send it a first message."""

    registration_id: int
    identity: bytes
    signed_prekey_id: int
    signed_prekey: bytes
    signature: bytes
    prekey: tuple[int, bytes] | None  # None: the one-time prekeys are used up

    @classmethod
    def from_node(cls, node: Node) -> "Bundle":
        """From a `<keys>` of a retry receipt with its `<registration>` beside it (whatsmeow retry.go)."""
        keys = child(node, "keys") or node
        signed, prekey = child(keys, "skey"), child(keys, "key")
        return cls(
            registration_id=int.from_bytes(content_bytes(child(node, "registration")), "big"),
            identity=content_bytes(child(keys, "identity")),
            signed_prekey_id=_id_of(signed),
            signed_prekey=content_bytes(child(signed, "value")),
            signature=content_bytes(child(signed, "signature")),
            prekey=None if prekey is None else (_id_of(prekey), content_bytes(child(prekey, "value"))),
        )

    def as_node(self, jid: str) -> Node:
        """One `<user>` of the answer to a prekey query (`nodeToPreKeyBundle` in whatsmeow prekeys.go)."""
        return Node("user", {"jid": jid}, [self.registration, *self._keys()])

    def as_keys(self) -> Node:
        """Returns the `<keys>` of a retry receipt; the registration goes beside it."""
        return Node("keys", {}, self._keys())

    @property
    def registration(self) -> Node:
        return Node("registration", {}, struct.pack(">I", self.registration_id))

    def _keys(self) -> list[Node]:
        nodes = [
            Node("type", {}, CURVE),
            Node("identity", {}, self.identity),
            Node(
                "skey",
                {},
                [
                    Node("id", {}, self.signed_prekey_id.to_bytes(3, "big")),
                    Node("value", {}, self.signed_prekey),
                    Node("signature", {}, self.signature),
                ],
            ),
        ]
        if self.prekey is not None:
            number, public = self.prekey
            nodes.append(Node("key", {}, [Node("id", {}, number.to_bytes(3, "big")), Node("value", {}, public)]))
        return nodes


class SignalParty:
    """Holds one phone's keys and sessions."""

    def __init__(self) -> None:
        self.identity = SigningKeyPair.new()
        self.registration_id = secrets.randbelow(16380) + 1
        self._ours = Ours(self.identity, self.registration_id)
        self._signed_prekey = KeyPair.new()
        self._signature = self.identity.sign(CURVE + self._signed_prekey.public)
        self._prekeys: dict[int, KeyPair] = {}
        self._sessions: dict[Address, Session] = {}

    def new_bundle(self) -> Bundle:
        """Returns a bundle with a fresh one-time prekey."""
        number = len(self._prekeys) + 1
        self._prekeys[number] = KeyPair.new()
        return Bundle(
            registration_id=self.registration_id,
            identity=self.identity.public,
            signed_prekey_id=_SIGNED_PREKEY_ID,
            signed_prekey=self._signed_prekey.public,
            signature=self._signature,
            prekey=(number, self._prekeys[number].public),
        )

    def has_session(self, address: Address) -> bool:
        return address in self._sessions

    def start_session(self, address: Address, bundle: Bundle) -> None:
        """Start a new session; the one before, if any, is archived and still decrypts.

        Raises ValueError if the bundle's keys are none, or not signed by its identity.
        """
        if not is_signed(bundle.identity, CURVE + bundle.signed_prekey, bundle.signature):
            raise ValueError("the signed prekey is not signed by this identity")
        theirs = Theirs(bundle.identity, bundle.signed_prekey_id, bundle.signed_prekey, bundle.prekey)
        session = self._sessions.get(address, Session())
        session.start(self._ours, theirs)
        self._sessions[address] = session

    def encrypt(self, address: Address, plaintext: bytes) -> tuple[str, bytes]:
        """(type, ciphertext), where type is "pkmsg" until the other side has answered, then "msg"."""
        return self._sessions[address].encrypt(self._ours, pad(plaintext))

    def decrypt(self, address: Address, kind: str, ciphertext: bytes) -> bytes:
        """Raises Undecryptable."""
        session = self._sessions.get(address, Session())
        try:
            if kind == _PREKEY_MESSAGE:
                padded = self._decrypt_first(session, ciphertext)
            else:
                padded = session.decrypt(self._ours, ciphertext)
        except (CannotRead, ValueError, LookupError) as error:  # no message of libsignal, and an unknown prekey id
            raise Undecryptable(str(error)) from None
        self._sessions[address] = session
        return unpad(padded)

    def _decrypt_first(self, session: Session, ciphertext: bytes) -> bytes:
        first = read(PreKeySignalMessage, ciphertext)
        if first.signedPreKeyId != _SIGNED_PREKEY_ID:
            raise LookupError("no such signed prekey")
        prekey = self._prekeys[first.preKeyId] if first.HasField("preKeyId") else None
        return session.decrypt_first(self._ours, self._signed_prekey, prekey, first)


def pad(plaintext: bytes) -> bytes:
    """1 to 15 bytes that each tell how many they are (`padMessage` in whatsmeow message.go)."""
    count = secrets.randbelow(15) + 1
    return plaintext + bytes([count]) * count


def unpad(padded: bytes) -> bytes:
    return padded[: -padded[-1]] if padded else b""


def _id_of(node: Node | None) -> int:
    return int.from_bytes(content_bytes(child(node, "id")), "big")
