"""The operator's side of the reference proxy: JSON under /admin, for `curl` and other processes.

Rides on the same loopback listener as the worker's endpoints. It has no part in the contract: no worker
calls it. The dev console and the benchmarks, in the same process, use the Store itself.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from quart import Blueprint, Response, request

from .app import answer, error, json_object, ok, unauthorized
from .faults import Faults, faults_from_json, faults_to_json
from .fields import BadRequestError, member, text
from .polling import CONTRACTS, Polling
from .rows import MESSAGE_STATUSES, STATUSES
from .store import Store


def create_admin(
    store: Store, faults: Faults, polling: Polling, *, secret: str, connections: Callable[[], int]
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
        added = store.add_instance(text(body, "id"), status)
        return answer(_instance(store, text(body, "id")), 201 if added else 200)

    # `path`, since a hostile id with a slash is one of the things to try on a worker.
    @admin.put("/instances/<path:instance_id>")
    async def set_status(instance_id: str) -> Response:
        status = member(await json_object(), "status", STATUSES)
        try:
            store.set_status(instance_id, status)
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
        row = (text(body, "to", empty=True), text(body, "body", empty=True))
        copies = body.get("copies", 1)
        if not isinstance(copies, int) or isinstance(copies, bool) or not 1 <= copies <= 100_000:
            raise BadRequestError("copies must be a number from 1 to 100000")
        try:
            ids = store.queue_many(text(body, "instanceId"), [row] * copies)
        except LookupError:
            return error(404, "unknown instance")
        return answer({"id": ids[0], "ids": ids}, 201)

    @admin.get("/inbound")
    async def inbound() -> Response:
        rows = [attrs.asdict(row) for row in store.inbound(request.args.get("instanceId"))]
        return answer([{"from" if key == "from_" else key: row[key] for key in row} for row in rows])

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
