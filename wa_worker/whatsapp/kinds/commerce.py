"""Orders that customers send from a basket, and articles of a catalogue. Pure."""

from __future__ import annotations

from collections.abc import Callable

from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from wa_worker.messages import Order, Product
from wa_worker.whatsapp.kinds.content import Content
from wa_worker.whatsapp.kinds.limits import LINK, LONG, amount, clipped, whole
from wa_worker.whatsapp.kinds.words import words


def _order(message: Message) -> Content:
    order = message.orderMessage
    total = amount(order.totalAmount1000) if order.HasField("totalAmount1000") else None
    currency = _currency(order.totalCurrencyCode)
    body = "\n".join(filter(None, (words(order), _price(total, currency))))
    if not (identifier := clipped(order.orderID)):
        return Content("order", body)
    found = Order(
        identifier,
        title=clipped(order.orderTitle),
        text=clipped(order.message, LONG),
        item_count=whole(order.itemCount) if order.HasField("itemCount") else None,
        total=total,
        currency=currency,
    )
    return Content("order", body, order=found)


def _product(message: Message) -> Content:
    product = message.productMessage.product
    price = amount(product.priceAmount1000) if product.HasField("priceAmount1000") else None
    currency = _currency(product.currencyCode)
    body = "\n".join(filter(None, (words(message.productMessage), _price(price, currency))))
    if not (identifier := clipped(product.productID)):
        return Content("product", body)
    found = Product(
        identifier,
        title=clipped(product.title),
        description=clipped(product.description, LONG),
        retailer_id=clipped(product.retailerID),
        price=price,
        currency=currency,
        url=clipped(product.URL, LINK),
    )
    return Content("product", body, product=found)


COMMERCE: dict[str, Callable[[Message], Content]] = {"orderMessage": _order, "productMessage": _product}
"""By the field of the message."""


def _currency(code: str) -> str | None:
    """Returns a code of ISO 4217: three letters."""
    return code.upper() if len(code) == 3 and code.isascii() and code.isalpha() else None


def _price(total: str | None, currency: str | None) -> str:
    return f"{currency} {total}" if total and currency else ""
