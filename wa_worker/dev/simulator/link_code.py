"""Linking a device by a code that is typed on the phone: the server's and the phone's half (whatsmeow pair-code.go).

One LinkCode is what one unpaired client has asked for: its code lives as long as the client's connection, and a new one
takes its place. The phone knows a wrong code by what the client sends at the end, which it cannot read then.
"""

import base64
import hashlib
import os
import secrets
import time
from collections.abc import Callable

import attrs
import trio
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wa_worker.dev.simulator.curve import KeyPair, hkdf
from wa_worker.dev.simulator.stanza import Node, child, children, content_bytes, phone_of

_TAG = "link_code_companion_reg"
_ITERATIONS = 2 << 16
_ANSWER_PATIENCE = 20.0  # seconds for the client to answer the phone


class UnknownCode(Exception):
    """No waiting client has asked for a code for this phone, or the one that did is gone: the code has expired."""


class WrongCode(Exception):
    """The client has asked for a code for this phone, and it is another one."""


@attrs.define(eq=False)
class LinkCode:
    """What a client has asked for: `hello` and, once a code was typed, its `bundle` of keys."""

    phone: str
    hello: dict[str, bytes]
    ref: bytes
    bundle: dict[str, bytes] = attrs.Factory(dict)
    finished: trio.Event = attrs.Factory(trio.Event)

    @property
    def server_key(self) -> bytes:
        """The client's Noise key."""
        return self.hello["companion_server_auth_key_pub"]

    def answer(self) -> Node:
        return Node(_TAG, {"stage": "companion_hello"}, [Node("link_code_pairing_ref", {}, self.ref)])

    async def qr_fields(self, code: str, phone: KeyPair, request: Callable[[Node], object]) -> list[str]:
        """Types a code on the phone. Returns what the client would have shown as a QR code, from its Noise key on.
        request: sends to the client.

        Raises WrongCode, or UnknownCode if the client does not answer.
        """
        code = code.replace("-", "")
        wrapped = self.hello["link_code_pairing_wrapped_companion_ephemeral_pub"]
        companion = _ctr(await _key(code, wrapped[:32]), wrapped[32:48], wrapped[48:80])
        mine, salt, iv = KeyPair.new(), os.urandom(32), os.urandom(16)
        hello = salt + iv + _ctr(await _key(code, salt), iv, mine.public)
        self.finished = trio.Event()
        request(
            Node(
                "notification",
                {"type": _TAG, "t": str(int(time.time()))},
                [
                    Node(
                        _TAG,
                        {"stage": "primary_hello"},
                        [
                            Node("link_code_pairing_wrapped_primary_ephemeral_pub", {}, hello),
                            Node("primary_identity_pub", {}, phone.public),
                            Node("link_code_pairing_ref", {}, self.ref),
                        ],
                    )
                ],
            )
        )
        with trio.move_on_after(_ANSWER_PATIENCE):
            await self.finished.wait()
        if not self.finished.is_set():
            raise UnknownCode("the client does not answer")
        identity, sealed = self.bundle["companion_identity_public"], self.bundle["link_code_pairing_wrapped_key_bundle"]
        shared = mine.agree(companion)
        key = hkdf(shared, 32, sealed[:32], b"link_code_pairing_key_bundle_encryption_key")
        try:
            plain = AESGCM(key).decrypt(sealed[32:44], sealed[44:], None)
        except InvalidTag:
            raise WrongCode("the client shows another code") from None
        secret = shared + phone.agree(identity) + plain[64:]
        adv = hkdf(secret, 32, b"", b"adv_secret")
        return [base64.b64encode(each).decode() for each in (self.server_key, identity, adv)]


def asked(iq: Node, known: LinkCode | None) -> LinkCode | None:
    """Takes a client's request. Returns what it has asked for now, None for a request that is about something else."""
    registration = child(iq, _TAG)
    if registration is None:
        return None
    fields = {node.tag: content_bytes(node) for node in children(registration)}
    if registration.attrs.get("stage") == "companion_hello":
        return LinkCode(phone_of(registration.attrs["jid"]), fields, b"3@" + secrets.token_bytes(12))
    if known is not None:
        known.bundle = fields
        known.finished.set()
    return known


async def _key(code: str, salt: bytes) -> bytes:
    return await trio.to_thread.run_sync(hashlib.pbkdf2_hmac, "sha256", code.encode(), salt, _ITERATIONS, 32)


def _ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return cipher.update(data) + cipher.finalize()
