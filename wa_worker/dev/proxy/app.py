"""The worker's side of the reference proxy: contract v1, checked to the letter.

Owns what a request must look like and which status answers it. A worker that passes here may still meet a
laxer proxy; one that does not has broken the contract, and the `error` of the 400 says where.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn, TypeVar, cast

from quart import Quart, Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from wa_worker.models import Secret
from wa_worker.monitoring.bearer import is_allowed

from .rows import STATUSES
from .store import Store

T = TypeVar("T")

QR_CODE_PREFIX = "data:image/png;base64,"


class BadRequestError(Exception):
    """The request is not what the contract says; the text goes into the answer."""


def create_app(store: Store, *, secret: str) -> Quart:
    """Returns the six endpoints. The caller adds the admin side and serves it."""
    app: Quart = QuartTrio("wa_worker.dev.proxy")
    # Worker and operator only: without this Quart would answer OPTIONS by itself.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False

    @app.before_request
    async def authorize() -> Response | None:
        return None if request.path.startswith("/admin/") else unauthorized(secret)

    @app.get("/disconnected-instances")
    async def disconnected_instances() -> Response:
        return answer([{"id": id_} for id_ in store.unconnected()])

    @app.post("/update-status")
    async def update_status() -> Response:
        body = await json_object()
        status = member(body, "status", STATUSES)
        known = store.update_status(text(body, "instanceId"), status, _qr_code(body))
        return ok() if known else error(404, "unknown instance")

    @app.get("/queued-messages")
    async def queued_messages() -> Response:
        return answer(store.queued(query("instanceId")))

    @app.post("/mark-sent")
    async def mark_sent() -> Response:
        body = await json_object()
        sent_to = text(body, "to") if "to" in body else None
        known = store.mark_sent(_message_id(body), text(body, "wa_message_id"), sent_to)
        return ok() if known else error(404, "unknown message")

    @app.post("/mark-failed")
    async def mark_failed() -> Response:
        if not store.has_mark_failed:
            return error(404, "Not Found")
        body = await json_object()
        known = store.mark_failed(_message_id(body), text(body, "error", empty=True))
        return ok() if known else error(404, "unknown message")

    @app.post("/inbound")
    async def inbound() -> Response:
        body = await json_object()
        from_ = text(body, "from")
        _check_additive(body)
        outcome = store.add_inbound(
            instance_id=text(body, "instanceId"),
            chat=body.get("chat_id") or from_,
            from_=from_,
            to=text(body, "to"),
            body=text(body, "body", empty=True),
            wa_message_id=text(body, "wa_message_id"),
            payload=await _raw_text(),
        )
        if outcome == "unknown":
            return error(404, "unknown instance")
        return answer({"ok": True, "duplicate": outcome == "repeat"})

    @app.errorhandler(BadRequestError)
    async def bad_request(problem: BadRequestError) -> Response:
        return error(400, str(problem))

    @app.errorhandler(HTTPException)
    async def http_error(problem: HTTPException) -> Response:
        headers = {k: v for k, v in problem.get_headers() if k.lower() in {"allow", "location"}}
        return error(problem.code or 500, problem.name, headers)

    return app


def unauthorized(secret: str) -> Response | None:
    """Returns the 401 for a request without this bearer token. None: it has it."""
    if is_allowed(request.headers.get("Authorization"), Secret(secret)):
        return None
    return error(401, "missing or wrong bearer token", {"WWW-Authenticate": "Bearer"})


def answer(data: object, status: int = 200) -> Response:
    return Response(json.dumps(data, separators=(",", ":")), status, content_type="application/json")


def ok() -> Response:
    return Response('{"ok":true}', 200, content_type="application/json")


def error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps({"error": message}), status, headers, content_type="application/json")


async def json_object() -> dict[str, Any]:
    """Returns the body. Raises BadRequestError if it is not a JSON object in UTF-8."""
    try:
        data = json.loads(await _raw_text(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadRequestError("the body must be JSON in UTF-8") from None
    if not isinstance(data, dict):
        raise BadRequestError("the body must be a JSON object")
    return data


async def _raw_text() -> str:
    return cast(bytes, await request.get_data(as_text=False)).decode()


def text(body: dict[str, Any], key: str, *, empty: bool = False) -> str:
    """Returns a required string. Raises BadRequestError if it is missing, no string, or wrongly empty."""
    value = body.get(key)
    if not isinstance(value, str) or not (value or empty):
        raise BadRequestError(f"{key} must be a {'' if empty else 'non-empty '}string")
    _check_unicode(key, value)
    return value


def member(body: dict[str, Any], key: str, choices: tuple[T, ...]) -> T:
    for choice in choices:
        if body.get(key) == choice:
            return choice
    raise BadRequestError(f"{key} must be one of {', '.join(map(str, choices))}")


def query(key: str) -> str:
    value: str = request.args.get(key, "")
    if not value:
        raise BadRequestError(f"the query parameter {key} is missing")
    _check_unicode(key, value)
    return value


def _qr_code(body: dict[str, Any]) -> str | None:
    value = body.get("qr_code", "")
    if value is None or (isinstance(value, str) and value.startswith(QR_CODE_PREFIX)):
        if value is not None:
            _check_unicode("qr_code", value)
        return value
    raise BadRequestError(f"qr_code must be null or a string that starts with {QR_CODE_PREFIX}")


def _message_id(body: dict[str, Any]) -> int | float | str:
    value = body.get("messageId")
    if isinstance(value, str) and value:
        _check_unicode("messageId", value)
        return value
    if _is_whole(value):
        return cast(float, value)
    raise BadRequestError("messageId must be a non-empty string or a whole number")


def _check_additive(body: dict[str, Any]) -> None:
    """Fields a v1 worker did not send: optional, null allowed, of the right type."""
    for key in ("chat_id", "sender_id", "sender_lid", "push_name", "message_type"):
        value = body.get(key)
        if value is not None and not isinstance(value, str):
            raise BadRequestError(f"{key} must be a string or null")
        _check_unicode(key, value or "")
    member(body, "chat_type", (None, "direct", "group"))
    if body.get("timestamp") is not None and not _is_whole(body["timestamp"]):
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


def _is_whole(value: object) -> bool:
    """As JSON Schema means "integer": 5.0 is one, and true, though Python thinks so, is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0


def _check_unicode(key: str, value: str) -> None:
    # JSON can spell half of a surrogate pair; no UTF-8 database can store it.
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRequestError(f"{key} holds an unpaired surrogate") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
