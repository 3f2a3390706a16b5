"""Reads what a call's JSON has to have, to the letter. Raises BadRequestError, whose text goes into the answer."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from .rows import DETAILS, StatusDetails

T = TypeVar("T")

LATEST = 2**53
"""Where JSON's numbers stop being exact: no time is near it, and no column has to hold more."""

QR_CODE_PREFIX = "data:image/png;base64,"


class BadRequestError(Exception):
    """The request is not what the contract says; the text goes into the answer."""


def text(body: dict[str, Any], key: str, *, empty: bool = False) -> str:
    """Returns a required string. Raises BadRequestError if it is missing, no string, or wrongly empty."""
    value = body.get(key)
    if not isinstance(value, str) or not (value or empty):
        raise BadRequestError(f"{key} must be a {'' if empty else 'non-empty '}string")
    check_unicode(key, value)
    return value


def member(body: dict[str, Any], key: str, choices: tuple[T, ...]) -> T:
    for choice in choices:
        if body.get(key) == choice and type(body.get(key)) is type(choice):  # true is no 1
            return choice
    raise BadRequestError(f"{key} must be one of {', '.join(map(str, choices))}")


def qr_code(body: dict[str, Any]) -> str | None:
    value = body.get("qr_code", "")
    if value is None or (isinstance(value, str) and value.startswith(QR_CODE_PREFIX)):
        if value is not None:
            check_unicode("qr_code", value)
        return value
    raise BadRequestError(f"qr_code must be null or a string that starts with {QR_CODE_PREFIX}")


def status_details(body: dict[str, Any]) -> StatusDetails:
    """Returns what a worker says besides the status: optional, null allowed, of the right type."""
    if body.get("pairing_error") is not None:
        text(body, "pairing_error", empty=True)  # for people: it is not kept
    for key, kind in DETAILS.items():
        value = body.get(key)
        if kind == "TEXT" and value is not None:
            text(body, key, empty=True)
        elif value is not None and not (is_whole(value) and 0 <= value < LATEST):
            raise BadRequestError(f"{key} must be a whole number of unix seconds or null")
    return StatusDetails(**{key: body.get(key) for key in DETAILS})


def message_id(body: dict[str, Any]) -> int | float | str:
    value = body.get("messageId")
    if isinstance(value, str) and value:
        check_unicode("messageId", value)
        return value
    if is_whole(value):
        return cast(float, value)
    raise BadRequestError("messageId must be a non-empty string or a whole number")


def check_additive(body: dict[str, Any]) -> None:
    """Fields a v1 worker did not send: optional, null allowed, of the right type."""
    for key in ("chat_id", "sender_id", "sender_lid", "push_name", "message_type"):
        value = body.get(key)
        if value is not None and not isinstance(value, str):
            raise BadRequestError(f"{key} must be a string or null")
        check_unicode(key, value or "")
    member(body, "chat_type", (None, "direct", "group"))
    if body.get("timestamp") is not None and not is_whole(body["timestamp"]):
        raise BadRequestError("timestamp must be a whole number of unix seconds or null")
    _check_texts("button", body.get("button"), required=("payload", "text"))
    interactive = body.get("interactive")
    _check_texts("interactive", interactive, required=("type",))
    for key, required, optional in (
        ("button_reply", ("id", "title"), ("description",)),
        ("list_reply", ("id", "title"), ("description",)),
        ("nfm_reply", ("name", "body"), ("response_json",)),
    ):
        if interactive is not None:
            _check_texts(f"interactive.{key}", interactive.get(key), required, optional)


def _check_texts(name: str, value: Any, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    """Raises BadRequestError unless it is null, or an object with these texts; the optional ones may be null."""
    if value is None:
        return
    if not isinstance(value, dict):
        raise BadRequestError(f"{name} must be an object or null")
    for key in required:
        text(value, key, empty=True)
    for key in optional:
        if value.get(key) is not None:
            text(value, key, empty=True)


def is_whole(value: object) -> bool:
    """As JSON Schema means "integer": 5.0 is one, and true, though Python thinks so, is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0


def check_unicode(key: str, value: str) -> None:
    # JSON can spell half of a surrogate pair; no UTF-8 database can store it.
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRequestError(f"{key} holds an unpaired surrogate") from None
