"""The message classes of neonize's own protobufs, without its native library.

`import neonize` loads the Go core (0.5 s, threads, `logging.basicConfig`), which a server has no use for. Its
generated modules import each other by top-level name from `neonize/proto`, so that folder goes on the path; the
classes are the very same objects that `neonize.proto` gives out.
"""

import importlib
import sys
from importlib.util import find_spec
from typing import Any


def _generated(module: str) -> Any:
    spec = find_spec("neonize")  # finds the package, does not run it
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("the simulator needs neonize's protobufs: neonize is not installed")
    folder = f"{spec.submodule_search_locations[0]}/proto"
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(module)


_adv = _generated("waAdv.WAAdv_pb2")
_wa6 = _generated("waWa6.WAWebProtobufsWa6_pb2")

ADVDeviceIdentity: Any = _adv.ADVDeviceIdentity
ADVSignedDeviceIdentity: Any = _adv.ADVSignedDeviceIdentity
ADVSignedDeviceIdentityHMAC: Any = _adv.ADVSignedDeviceIdentityHMAC
CertChain: Any = _generated("waCert.WACert_pb2").CertChain
ClientPayload: Any = _wa6.ClientPayload
DeviceProps: Any = _generated("waCompanionReg.WAWebProtobufsCompanionReg_pb2").DeviceProps
HandshakeMessage: Any = _wa6.HandshakeMessage
HistorySync: Any = _generated("waHistorySync.WAWebProtobufsHistorySync_pb2").HistorySync
Message: Any = _generated("waE2E.WAWebProtobufsE2E_pb2").Message
WebMessageInfo: Any = _generated("waWeb.WAWebProtobufsWeb_pb2").WebMessageInfo
