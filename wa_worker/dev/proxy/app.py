"""The worker's side of the reference proxy: both versions of the contract, checked to the letter.

Owns the routes, and how a request is read and an answer is made; what a call does is in calls.py, events.py and
polling.py. A worker that passes here may still meet a laxer proxy; one that does not has broken the contract, and the
`error` of the 400 says where.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn, cast

from quart import Quart, Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, NotFound

from wa_worker.models import Secret
from wa_worker.monitoring.bearer import is_allowed

from . import calls
from .calls import Outcome
from .content import MEDIA_UPLOAD
from .events import MOST_EVENTS, REFUSALS, Refusals, events_of, take_events
from .fields import BadRequestError, check_unicode
from .polling import Polling, TooManyError
from .storage import Storage
from .store import Store

VERSION_2 = ("/poll", "/events")
"""The paths that a proxy of version 1 does not know."""


def create_app(store: Store, polling: Polling, storage: Storage, *, secret: str) -> Quart:
    """Returns all endpoints but the storage's own. The caller adds those and the admin side, and serves it."""
    app: Quart = QuartTrio("wa_worker.dev.proxy")
    # Worker and operator only: without this Quart would answer OPTIONS by itself.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False

    @app.before_request
    async def authorize() -> Response | None:
        return None if request.path.startswith("/admin/") else unauthorized(secret)

    @app.before_request
    async def has_the_call() -> None:
        if polling.contract == 1 and request.path in VERSION_2:
            raise NotFound

    @app.get("/disconnected-instances")
    async def disconnected_instances() -> Response:
        return answer(store.listed())

    @app.post("/update-status")
    async def update_status() -> Response:
        return _answered(calls.update_status(store, await json_object()))

    @app.get("/queued-messages")
    async def queued_messages() -> Response:
        return answer(store.queued(query("instanceId")))

    @app.post("/mark-sent")
    async def mark_sent() -> Response:
        return _answered(calls.mark_sent(store, await json_object()))

    @app.post("/mark-failed")
    async def mark_failed() -> Response:
        # Who has no such call does not look at what comes with it.
        return _answered(calls.mark_failed(store, await json_object() if store.has_mark_failed else {}))

    @app.post("/inbound")
    async def inbound() -> Response:
        return _answered(calls.inbound(store, await json_object(), await _raw_text()))

    @app.post("/media-upload")
    async def media_upload() -> Response:
        if not store.has_media_upload:
            raise NotFound
        body = await json_object()
        MEDIA_UPLOAD.check_fields(body)
        if body["size"] > storage.most_bytes:
            return error(413, f"a file may have {storage.most_bytes} bytes")
        if store.instance(body["instanceId"]) is None:
            return _answered(calls.UNKNOWN_INSTANCE)
        return answer(storage.announce(body, request.host_url.rstrip("/")))

    @app.post("/message-status")
    async def message_status() -> Response:
        return _answered(calls.message_status(store, await json_object() if store.has_message_status else {}))

    @app.post("/event")
    async def event() -> Response:
        return _answered(calls.event(store, await json_object() if store.has_event else {}))

    @app.post("/poll")
    async def poll() -> Response:
        text = await polling.answer(await json_object())
        if text is None:
            raise NotFound
        return Response(text, 200, content_type="application/json")

    @app.post("/events")
    async def events() -> Response:
        posted = events_of(await json_object())
        if len(posted) > MOST_EVENTS:
            raise TooManyError(f"more than {MOST_EVENTS} events")
        refusals = cast(Refusals | None, request.scope.get(REFUSALS))
        return answer({"results": take_events(store, posted, refusals)})

    @app.errorhandler(BadRequestError)
    async def bad_request(problem: BadRequestError) -> Response:
        return error(400, str(problem))

    @app.errorhandler(TooManyError)
    async def too_many(problem: TooManyError) -> Response:
        return error(413, problem.text)

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


def _answered(outcome: Outcome) -> Response:
    if outcome.error is not None:
        return error(outcome.status, outcome.error)
    return answer({"ok": True, **outcome.data}) if outcome.data else ok()


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


def query(key: str) -> str:
    value: str = request.args.get(key, "")
    if not value:
        raise BadRequestError(f"the query parameter {key} is missing")
    check_unicode(key, value)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
