"""What the phone makes of a device's own signature. That those of neonize and Baileys are right, each pairing shows."""

from __future__ import annotations

from wa_worker.dev.simulator.curve import SigningKeyPair
from wa_worker.dev.simulator.phone import has_signed
from wa_worker.dev.simulator.protobufs import ADVSignedDeviceIdentity


def test_a_device_signs_for_one_account() -> None:
    device, account = SigningKeyPair.new(), SigningKeyPair.new().public
    signature = device.sign(b"\x06\x01" + b"details" + device.public + account)
    identity = ADVSignedDeviceIdentity(details=b"details", deviceSignature=signature)
    assert has_signed(device.public, identity, account)
    assert not has_signed(device.public, identity, device.public)
    assert not has_signed(account, identity, account)
    identity.details = b"others"
    assert not has_signed(device.public, identity, account)
