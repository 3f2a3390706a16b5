"""The account's primary phone, as far as linking a device goes: it scans a QR code and signs the new device.

Plays `pair-device` (the codes), `pair-success` (the signed identity) and the client's confirmation,
`pair-device-sign`; the counterpart is whatsmeow pair.go. Plays a request for a passkey, but takes
no answer to it. Pairing by a code is in link_code.py. Does not play app state: a freshly linked device has no chats.
"""

import base64
import binascii
import hmac
import json
import secrets
import time
from typing import Any

import trio

from wa_worker.dev.simulator.connection import Connection
from wa_worker.dev.simulator.curve import SigningKeyPair, is_signed
from wa_worker.dev.simulator.device import Device
from wa_worker.dev.simulator.link_code import LinkCode, UnknownCode, asked
from wa_worker.dev.simulator.protobufs import (
    ADVDeviceIdentity,
    ADVSignedDeviceIdentity,
    ADVSignedDeviceIdentityHMAC,
    DeviceProps,
)
from wa_worker.dev.simulator.stanza import Node, child, content_bytes, lid_of

_ACCOUNT_SIGNATURE = b"\x06\x00"  # `AdvAccountSignaturePrefix` in whatsmeow pair.go
_DEVICE_SIGNATURE = b"\x06\x01"  # `AdvDeviceSignaturePrefix` there
_RESTART = Node("stream:error", {"code": "515"})


class UnknownQR(Exception):
    """No waiting client shows this code: it was mistyped, or its connection is gone."""


class PairingFailed(Exception):
    """The client was told of the scan, but refused it or went away before it confirmed."""


_PASSKEY = {"challenge": "AAAA", "timeout": 60000, "rpId": "whatsapp.com", "allowCredentials": []}
"""What a browser would hand to `navigator.credentials.get()` (`WebAuthnPublicKey` in whatsmeow types)."""


class WaitingClient:
    """Plays an unpaired client that shows QR codes."""

    def __init__(self, connection: Connection, noise_key: bytes, payload: Any, refs: int) -> None:
        self._connection = connection
        self._noise_key = noise_key
        self._registration = payload.devicePairingData
        self._refs = [base64.b64encode(secrets.token_bytes(12)).decode() for _ in range(refs)]
        self._answer: trio.Event | None = None
        self._signed = b""
        self._error = "the client went away"
        self.link_code: LinkCode | None = None  # the last one that it has asked for

    def show_codes(self) -> None:
        refs = [Node("ref", {}, ref.encode()) for ref in self._refs]
        self._connection.request(Node("iq", {"type": "set", "xmlns": "md"}, [Node("pair-device", {}, refs)]))

    def shows(self, qr: str) -> bool:
        return _fields(qr)[0] in self._refs

    async def link(self, qr: str, phone: SigningKeyPair, jid: str) -> Device:
        """The phone with this identity scans the code: sign the device, wait for its confirmation.

        Raises PairingFailed, or UnknownQR if the code was scanned before or is not this client's.
        """
        noise, identity, adv = (_decode(field) for field in _fields(qr)[1:4])
        if self._answer is not None or noise != self._noise_key or identity != self._registration.eIdent:
            raise UnknownQR("this code was already scanned, or parts of it belong to another client")
        self._answer = trio.Event()
        container = _sign(phone, identity, adv)
        self._connection.request(
            Node(
                "iq",
                {"type": "set", "xmlns": "md", "t": str(int(time.time()))},
                [
                    Node(
                        "pair-success",
                        {},
                        [
                            Node("device-identity", {}, container),
                            Node("biz", {"name": ""}),
                            Node("device", {"jid": jid, "lid": lid_of(jid)}),
                            Node("platform", {"name": "android"}),
                        ],
                    )
                ],
            )
        )
        await self._answer.wait()
        signed = ADVSignedDeviceIdentity.FromString(self._signed)
        if not signed.deviceSignature:
            raise PairingFailed(self._error)
        if not has_signed(identity, signed, phone.public):
            raise PairingFailed("the device's own signature is wrong")
        registration = self._registration
        return Device(
            jid=jid,
            noise_key=noise,
            identity=identity,
            registration_id=int.from_bytes(registration.eRegid, "big"),
            signed_prekey=(
                int.from_bytes(registration.eSkeyID, "big"),
                registration.eSkeyVal,
                registration.eSkeySig,
            ),
        )

    @property
    def device_props(self) -> Any:
        """What the client has said of itself."""
        return DeviceProps.FromString(self._registration.deviceProps)

    def take_link_code(self, iq: Node) -> Node | None:
        """Take a request for a code to be typed on the phone, or what follows it; return what it is answered with."""
        link = asked(iq, self.link_code)
        if link is None:
            return None
        new, self.link_code = link is not self.link_code, link
        return link.answer() if new else None

    async def link_by_code(self, code: str, phone: SigningKeyPair, jid: str) -> Device:
        """The phone with this identity types the code: as `link()`, without a scan. Raises WrongCode, UnknownCode."""
        if self.link_code is None:
            raise UnknownCode("the client has asked for none")
        fields = await self.link_code.qr_fields(code, phone, self._connection.request)
        return await self.link("#" + ",".join([self._refs[0], *fields]), phone, jid)

    def ask_for_passkey(self, *, readable: bool) -> None:
        """The phone has scanned the code, and WhatsApp wants more (`handlePasskeyNotification` in whatsmeow)."""
        options = json.dumps(_PASSKEY).encode() if readable else b"{"
        self._connection.request(
            Node(
                "notification",
                {"type": "passkey_prologue_request", "t": str(int(time.time()))},
                [Node("passkey_request_options", {}, options)],
            )
        )

    def take_answer(self, iq: Node) -> None:
        """Take the client's answer to a request of the server's."""
        sign, error = child(iq, "pair-device-sign"), child(iq, "error")
        if self._answer is None or (sign is None and error is None):
            return
        if error is not None:
            self._error = f"the client refused: {error.attrs}"
        self._signed = content_bytes(child(sign, "device-identity"))
        self._answer.set()

    def restart(self) -> None:
        """Tell the client to log in, as the device that is now registered."""
        self._connection.finish(_RESTART)

    def connection_lost(self) -> None:
        if self._answer is not None:
            self._answer.set()


def _sign(phone: SigningKeyPair, identity: bytes, adv: bytes) -> bytes:
    """Returns the signed identity of the device, as `handlePair` in whatsmeow pair.go verifies it."""
    details = ADVDeviceIdentity(rawID=1, timestamp=int(time.time()), keyIndex=1).SerializeToString()
    signed = ADVSignedDeviceIdentity(
        details=details,
        accountSignatureKey=phone.public,
        accountSignature=phone.sign(_ACCOUNT_SIGNATURE + details + identity),
    ).SerializeToString()
    container = ADVSignedDeviceIdentityHMAC(details=signed, HMAC=hmac.digest(adv, signed, "sha256"))
    return bytes(container.SerializeToString())


def has_signed(device: bytes, identity: Any, account: bytes) -> bool:
    """Says whether the device with this key has signed its identity for this account (`handlePair` in whatsmeow)."""
    return is_signed(device, _DEVICE_SIGNATURE + identity.details + device + account, identity.deviceSignature)


def _fields(qr: str) -> list[str]:
    """`https://wa.me/settings/linked_devices#ref,noise key,identity key,ADV secret,client type`."""
    fields = qr.rpartition("#")[2].split(",")
    if len(fields) < 4:
        raise UnknownQR("this is not a code of a WhatsApp client")
    return fields


def _decode(field: str) -> bytes:
    try:
        return base64.b64decode(field, validate=True)
    except binascii.Error:
        raise UnknownQR("this is not a code of a WhatsApp client") from None
