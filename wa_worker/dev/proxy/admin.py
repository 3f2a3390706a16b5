"""The operator's side of the reference proxy: JSON under /admin, for `curl` and other processes.

Rides on the same loopback listener as the worker's endpoints. It has no part in the contract: no worker
calls it. The dev console and the benchmarks, in the same process, use the Store itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs
from quart import Blueprint, Response, request

from .app import answer, error, json_object, ok, unauthorized
from .faults import Faults, faults_from_json, faults_to_json
from .fields import BadRequestError, member, text
from .polling import CONTRACTS, Polling
from .rows import MESSAGE_STATUSES, STATUSES
from .shapes import ListOf, some_text
from .storage import Storage
from .store import Store

_ROW = {
    "type": str,
    "body": str,
    "media": dict,
    "location": dict,
    "contacts": list,
    "reaction": dict,
    "edit": dict,
    "revoke": dict,
    "poll": dict,
    "context": dict,
    "mentions": list,
    "typing_ms": int,
}
"""The fields of a queued message besides its id and `to`, and what each is in Python."""

_PHONE = re.compile(r"[0-9]{6,15}", re.ASCII)


def create_admin(
    store: Store,
    faults: Faults,
    polling: Polling,
    storage: Storage,
    *,
    secret: str,
    connections: Callable[[], int],
) -> Blueprint:
    """`connections` tells how many were accepted so far."""
    admin = Blueprint("admin", __name__, url_prefix="/admin")

    @admin.before_request
    async def authorize() -> Response | None:
        return unauthorized(secret)

    @admin.get("/instances")
    async def instances() -> Response:
        return answer([attrs.asdict(row) for row in store.instances()])

    @admin.post("/instances")
    async def add_instance() -> Response:
        body = await json_object()
        status = member(body, "status", STATUSES) if "status" in body else "DISCONNECTED"
        added = store.add_instance(text(body, "id"), status, pair_phone=_pair_phone(body))
        return answer(_instance(store, text(body, "id")), 201 if added else 200)

    # `path`, since a hostile id with a slash is one of the things to try on a worker.
    @admin.put("/instances/<path:instance_id>")
    async def set_status(instance_id: str) -> Response:
        """Sets the status, the `pair_phone` (null: none) and the `proxy` (null: none), or some of them."""
        body = await json_object()
        others = "pair_phone" in body or "proxy" in body
        status = None if others and "status" not in body else member(body, "status", STATUSES)
        phone = _pair_phone(body)
        try:
            if status is not None:
                store.set_status(instance_id, status)
            if "pair_phone" in body:
                store.set_pair_phone(instance_id, phone)
            if "proxy" in body:
                store.set_proxy(instance_id, None if body["proxy"] is None else text(body, "proxy", empty=True))
        except LookupError:
            return error(404, "unknown instance")
        return answer(_instance(store, instance_id))

    @admin.delete("/instances/<path:instance_id>")
    async def remove_instance(instance_id: str) -> Response:
        return ok() if store.remove_instance(instance_id) else error(404, "unknown instance")

    @admin.get("/statuses")
    async def statuses() -> Response:
        return answer([attrs.asdict(row) for row in store.statuses(request.args.get("instanceId", ""))])

    @admin.get("/messages")
    async def messages() -> Response:
        return answer([attrs.asdict(row) for row in store.messages(request.args.get("instanceId"))])

    @admin.post("/messages")
    async def queue() -> Response:
        body = await json_object()
        """A text, or a row of any `type`: what its objects hold is not looked at, as `queue_rows()` says."""
        row = {"to": text(body, "to", empty=True), **_fields(body)}
        copies = body.get("copies", 1)
        if not isinstance(copies, int) or isinstance(copies, bool) or not 1 <= copies <= 100_000:
            raise BadRequestError("copies must be a number from 1 to 100000")
        try:
            ids = store.queue_rows(text(body, "instanceId"), [row] * copies)
        except LookupError:
            return error(404, "unknown instance")
        return answer({"id": ids[0], "ids": ids}, 201)

    @admin.get("/inbound")
    async def inbound() -> Response:
        rows = [attrs.asdict(row) for row in store.inbound(request.args.get("instanceId"))]
        return answer([{"from" if key == "from_" else key: row[key] for key in row} for row in rows])

    @admin.get("/receipts")
    async def receipts() -> Response:
        rows = store.receipts(request.args.get("instanceId"), request.args.get("wa_message_id"))
        return answer([{**attrs.asdict(row), "status": row.status} for row in rows])

    @admin.get("/events")
    async def group_events() -> Response:
        return answer([attrs.asdict(row) for row in store.group_events(request.args.get("instanceId"))])

    @admin.get("/files")
    async def files() -> Response:
        return answer([attrs.asdict(row) for row in store.files(request.args.get("instanceId"))])

    @admin.get("/read-url")
    async def read_url() -> Response:
        """Signs the `url` of a message's media, for whoever is to see it."""
        signed = storage.read_url(request.args.get("url", ""))
        return error(404, "no such file") if signed is None else answer({"url": signed})

    @admin.get("/want")
    async def get_want() -> Response:
        return answer({"want": polling.want})

    @admin.put("/want")
    async def put_want() -> Response:
        want = (await json_object()).get("want")
        if want is not None:
            ListOf(some_text)("want", want)
        polling.want = None if want is None else tuple(want)
        return answer({"want": polling.want})

    @admin.get("/counts")
    async def counts() -> Response:
        instance_id = request.args.get("instanceId")
        return answer(
            {
                "messages": {s: store.count_messages(s, instance_id=instance_id) for s in MESSAGE_STATUSES},
                "inbound": store.count_inbound(instance_id),
                "requests": store.requests,
                "events": store.events,
                "connections": connections(),
            }
        )

    @admin.get("/contract")
    async def get_contract() -> Response:
        return answer({"contract": polling.contract})

    @admin.put("/contract")
    async def put_contract() -> Response:
        polling.contract = member(await json_object(), "contract", CONTRACTS)
        return answer({"contract": polling.contract})

    @admin.post("/play-older")
    async def play_older() -> Response:
        """Makes it a proxy of before files, receipts, events, codes and shards, until it is started anew."""
        store.play_older()
        polling.want = None
        polling.knows_shards = False
        return ok()

    @admin.get("/faults")
    async def get_faults() -> Response:
        return answer(faults_to_json(faults.in_force()))

    @admin.put("/faults")
    async def put_faults() -> Response:
        """Replaces them all, or none if one of them is wrong."""
        try:
            new = faults_from_json(await json_object())
            faults.replace(new)
        except ValueError as problem:
            raise BadRequestError(str(problem)) from problem
        return answer(faults_to_json(faults.in_force()))

    @admin.delete("/faults")
    async def delete_faults() -> Response:
        faults.clear()
        return ok()

    return admin


def _instance(store: Store, instance_id: str) -> dict[str, object]:
    row = store.instance(instance_id)
    assert row is not None
    return attrs.asdict(row)


def _fields(body: dict[str, Any]) -> dict[str, Any]:
    """Returns a message's fields as they came. Without a type it is a text, and has to have one."""
    if body.get("type") is None:
        text(body, "body", empty=True)
    for key, kind in _ROW.items():
        if body.get(key) is not None and (not isinstance(body[key], kind) or isinstance(body[key], bool)):
            raise BadRequestError(f"{key} is of the wrong type")
    if isinstance(body.get("body"), str):
        text(body, "body", empty=True)
    return {key: body[key] for key in _ROW if body.get(key) is not None}


def _pair_phone(body: dict[str, Any]) -> str | None:
    phone = body.get("pair_phone")
    if phone is not None and not _PHONE.fullmatch(text(body, "pair_phone")):
        raise BadRequestError("pair_phone must be 6 to 15 digits, with the country code, or null")
    return phone
