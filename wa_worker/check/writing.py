"""The calls of the contract that write, for one instance and only when a person asked: `--instance ID`.

Chosen to change nothing that matters: a status that the instance has, marks of messages that do not exist. `/inbound`
is never called: a message in it would be one for a customer.
"""

from __future__ import annotations

import time
import uuid
from http import HTTPStatus

from wa_worker.check.calling import Answer, Caller, NoAnswer, open_caller
from wa_worker.check.clock import Clock
from wa_worker.check.proxy import REFUSED, refused
from wa_worker.check.result import Result, fail, not_checked, ok, warn
from wa_worker.edge import wire
from wa_worker.edge.answers import NO_SUCH_CALL
from wa_worker.errors import Failure
from wa_worker.models import InstanceId, MessageId, ProxyStatus, Secret, Status, WaMessageId

NAMES = ("update-status", "mark-sent", "mark-failed")

_NOWHERE = "wa-worker-check-no-such-call"
"""A path that no proxy has: what it answers is how it answers a call it does not know."""


async def check_writing(
    base_url: str, secret: Secret, instance: InstanceId, clock: Clock, *, worker_is_running: bool
) -> list[Result]:
    """Results of these NAMES."""
    results: list[Result] = []
    try:
        async with open_caller(base_url, secret, clock) as caller:
            results.append(await _update_status(caller, instance, worker_is_running=worker_is_running))
            unknown = await _unknown_message(caller, instance)
            sent = wire.sent_body(unknown, WaMessageId("WA-WORKER-CHECK"), None, None)
            nowhere = await caller.post(_NOWHERE, sent, secret)
            results.append(_mark_sent(caller, await caller.post("mark-sent", sent, secret), nowhere))
            failed = wire.failed_body(unknown, Failure.CHECK)
            results.append(_mark_failed(caller, await caller.post("mark-failed", failed, secret), nowhere))
    except NoAnswer as no:
        first, *rest = NAMES[len(results) :]
        return [*results, fail(first, no.found, no.remedy), *(not_checked(name, f"{first} failed") for name in rest)]
    return results


async def _update_status(caller: Caller, instance: InstanceId, *, worker_is_running: bool) -> Result:
    name = "update-status"
    if worker_is_running:
        return not_checked(name, "a worker runs here, or may, and tells the status itself")
    try:
        listed = wire.instances_from((await caller.get("disconnected-instances", caller.secret)).data()).good
    except ValueError:
        return not_checked(name, "the proxy lists no instances")
    if instance not in listed:
        found = f"not written: the proxy does not list {instance}, so it is connected or does not exist"
        return warn(name, found, "name an instance that is DISCONNECTED at the proxy")
    answer = await caller.post(
        name, wire.status_body(instance, Status(ProxyStatus.DISCONNECTED, since=int(time.time()))), caller.secret
    )
    if answer.is_success:
        return ok(name, f"DISCONNECTED taken for {instance} ({answer.seconds:.2f} s)")
    if answer.status == HTTPStatus.NOT_FOUND:
        remedy = "404 means that the instance does not exist, and the worker lets go of it: is the path missing?"
        return fail(name, f"{caller.said(answer)} for an instance that the proxy lists", remedy)
    return _bad(caller, name, answer)


async def _unknown_message(caller: Caller, instance: InstanceId) -> MessageId:
    """Returns an id of no message, of the kind the proxy has: a number that no sequence gives out, or a new UUID."""
    answer = await caller.get(f"queued-messages?instanceId={instance}", caller.secret)
    try:
        listed = wire.messages_from(answer.data()).good
    except ValueError:
        listed = ()
    return 0 if listed and isinstance(listed[0].id, int) else str(uuid.uuid4())


def _is_missing(answer: Answer, nowhere: Answer) -> bool:
    """Says whether the proxy answers this call as it answers one that does not exist. 404 can also mean the message."""
    return answer.status in NO_SUCH_CALL and (answer.status, answer.body) == (nowhere.status, nowhere.body)


def _mark_sent(caller: Caller, answer: Answer, nowhere: Answer) -> Result:
    name = "mark-sent"
    if answer.is_success:
        return ok(name, f"an unknown message is answered {answer.status}")
    if _is_missing(answer, nowhere):
        return fail(name, f"{caller.said(answer)}, as any unknown path", "the proxy must have POST /mark-sent")
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in REFUSED:
        return _bad(caller, name, answer)
    return ok(name, f"an unknown message is refused with {answer.status}; 2xx would end the worker's tries")


def _mark_failed(caller: Caller, answer: Answer, nowhere: Answer) -> Result:
    name = "mark-failed"
    if _is_missing(answer, nowhere) or answer.status in {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}:
        return ok(name, "the proxy has none; it is optional")
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in REFUSED:
        return _bad(caller, name, answer)
    return ok(name, f"the proxy has it (an unknown message is answered {answer.status})")


def _bad(caller: Caller, name: str, answer: Answer) -> Result:
    if answer.status in REFUSED:
        return fail(name, *refused(caller, answer))
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and name != "update-status":
        remedy = "the worker asks again until it gets a 2xx: an unknown message should not be an error of the server"
        return warn(name, f"an unknown message: {caller.said(answer)}", remedy)
    return fail(name, caller.said(answer), "look into the proxy's own log")
