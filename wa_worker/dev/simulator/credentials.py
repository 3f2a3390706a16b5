"""What a client must trust to accept a simulated server: its TLS authority and its Noise root key. Both are new."""

import ssl
from pathlib import Path

import trustme

from wa_worker.dev.simulator.media_host import MEDIA_HOST
from wa_worker.dev.simulator.noise import NoiseRoot
from wa_worker.dev.simulator.trust import ROOT_VARIABLE

HOST = "web.whatsapp.com"  # `URL` in whatsmeow socket/constants.go


class Credentials:
    """Holds the keys of one simulated server."""

    def __init__(self) -> None:
        self.root = NoiseRoot()
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority = trustme.CA()
        self._authority.issue_cert(HOST, MEDIA_HOST).configure_cert(self.tls)

    def environment(self, folder: Path) -> dict[str, str]:
        """Write the TLS authority into `folder`; return the variables by which a client process trusts both."""
        file = folder / "simulator-ca.pem"
        self._authority.cert_pem.write_to_path(str(file))
        return {"SSL_CERT_FILE": str(file), ROOT_VARIABLE: self.root.public.hex()}
