"""Reads QR codes out of PNG data URLs, as a phone's camera would: with a decoder that is not ours."""

from __future__ import annotations

import base64
from io import BytesIO


def read_png_data_url(url: str) -> str:
    """Returns the text of the QR code in a `data:image/png;base64,...` URL. Raises ValueError if there is none."""
    import zxingcpp
    from PIL import Image

    head, comma, data = url.partition(",")
    if head != "data:image/png;base64" or not comma:
        raise ValueError("not a PNG data URL")
    with Image.open(BytesIO(base64.b64decode(data, validate=True))) as picture:
        # a QR code's modules now and then look like some other kind of barcode
        codes = zxingcpp.read_barcodes(picture.convert("L"), formats=zxingcpp.BarcodeFormat.QRCode)
    if len(codes) != 1:
        raise ValueError(f"{len(codes)} codes in the picture, not one")
    return str(codes[0].text)
