"""QR codes as the proxy shows them: PNG data URLs, sharp and large enough to scan from a phone's screen."""

from __future__ import annotations

import base64
from io import BytesIO

MODULE_PIXELS = 8
"""A WhatsApp code has about 61 modules a side with its border: ~550 pixels."""


def png_data_url(code: str) -> str:
    """`data:image/png;base64,...` of a QR code. CPU-bound, tens of milliseconds: call it on a thread."""
    import qrcode  # here, since most boots pair nothing
    from qrcode.constants import ERROR_CORRECT_L

    picture = qrcode.QRCode(error_correction=ERROR_CORRECT_L, box_size=MODULE_PIXELS, border=4)
    picture.add_data(code)
    file = BytesIO()
    picture.make_image().save(file, format="PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
