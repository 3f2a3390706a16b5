"""The protobuf messages of libsignal, which neonize's own protobufs lack, and the byte of version before them.

Fields and numbers are those of serialize/WhisperTextProtocol.proto in libsignal (Go). The classes are made when this is
imported, so that no generated code is kept here.
"""

from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

VERSION = b"\x33"
"""Before each message: version 3, sent by who has version 3 (`CurrentVersion` in libsignal's protocol)."""

_NUMBER, _BYTES = FieldDescriptorProto.TYPE_UINT32, FieldDescriptorProto.TYPE_BYTES
_PACKAGE = "textsecure"
_FIELDS: dict[str, dict[str, tuple[int, Any]]] = {
    "SignalMessage": {
        "ratchetKey": (1, _BYTES),
        "counter": (2, _NUMBER),
        "previousCounter": (3, _NUMBER),
        "ciphertext": (4, _BYTES),
    },
    "PreKeySignalMessage": {
        "preKeyId": (1, _NUMBER),
        "baseKey": (2, _BYTES),
        "identityKey": (3, _BYTES),
        "message": (4, _BYTES),
        "registrationId": (5, _NUMBER),
        "signedPreKeyId": (6, _NUMBER),
    },
    "SenderKeyMessage": {"id": (1, _NUMBER), "iteration": (2, _NUMBER), "ciphertext": (3, _BYTES)},
    "SenderKeyDistributionMessage": {
        "id": (1, _NUMBER),
        "iteration": (2, _NUMBER),
        "chainKey": (3, _BYTES),
        "signingKey": (4, _BYTES),
    },
}


def _classes() -> dict[str, Any]:
    file = FileDescriptorProto(name="WhisperTextProtocol.proto", package=_PACKAGE, syntax="proto2")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            message.field.add(name=field, number=number, type=kind, label=FieldDescriptorProto.LABEL_OPTIONAL)
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _FIELDS}


_made = _classes()
SignalMessage: Any = _made["SignalMessage"]
PreKeySignalMessage: Any = _made["PreKeySignalMessage"]
SenderKeyMessage: Any = _made["SenderKeyMessage"]
SenderKeyDistributionMessage: Any = _made["SenderKeyDistributionMessage"]


def write(message: Any) -> bytes:
    """Returns the byte of version and the message."""
    return VERSION + bytes(message.SerializeToString())


def read(kind: Any, data: bytes) -> Any:
    """Returns the message of this class after its byte of version. Raises ValueError if it is none, or of another."""
    if data[:1] != VERSION:
        raise ValueError("a message of another version")
    try:
        return kind.FromString(data[1:])
    except DecodeError:
        raise ValueError("not a message of libsignal") from None
