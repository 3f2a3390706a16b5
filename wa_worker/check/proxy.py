"""The worker-proxy's contract, by reading only: does it answer, whom does it let in, what does it list.

Nothing it asks changes anything at the proxy. Which version of the contract it is: version.py.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs
import trio

from wa_worker.check import version
from wa_worker.check.calling import Answer, Caller, NoAnswer, open_caller
from wa_worker.check.clock import Clock
from wa_worker.check.result import Result, fail, not_checked, ok, quoted, warn
from wa_worker.check.shard import check_shard
from wa_worker.check.version import Usage
from wa_worker.edge import wire
from wa_worker.models import InstanceId, Secret

T = TypeVar("T")

NAMES = ("proxy", "secret", "wrong secret", "disconnected-instances", "queued-messages", version.NAME)
"""And version.EVENTS, where there is such a call; and shard.NAME, where the worker runs one."""

SLOW = 2.0
"""Seconds: the worker's usual pause between two polls of an instance."""

REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

_LOG = "look into the proxy's own log"
_ADDRESS = (
    "EDGE_BASE_URL must be the proxy's address with its path, such as "
    "https://<project>.supabase.co/functions/v1/worker-proxy"
)
_SECRET = "set WORKER_SECRET to the proxy's, without quotation marks or a line break"  # noqa: S105 - advice
_JWT = "it is Supabase that wants a JWT of its own: deploy the function with --no-verify-jwt"
_FASTER = "if it is slow again: an index on what it selects? the function in the database's region?"


async def check_proxy(base_url: str, secret: Secret | None, clock: Clock, usage: Usage) -> list[Result]:
    """Results of these NAMES. `secret` None: it is not known, and what needs it is not checked."""
    try:
        async with open_caller(base_url, secret, clock) as caller:
            return await _check(caller, usage)
    except NoAnswer as no:
        rest = [not_checked(name, "the proxy does not answer") for name in NAMES[1:]]
        return [fail("proxy", f"{base_url}: {no.found}", no.remedy), *rest]


async def _check(caller: Caller, usage: Usage) -> list[Result]:
    first = await caller.get("disconnected-instances", caller.secret)  # alone: it wakes an Edge Function
    answers: dict[str, Answer | NoAnswer] = {}

    async def ask(call: str, send: Callable[[], Awaitable[Answer]]) -> None:
        try:
            answers[call] = await send()
        except NoAnswer as no:
            answers[call] = no

    lists = "disconnected-instances"
    queue = f"queued-messages?instanceId={uuid.uuid4()}"  # a UUID, for proxies whose ids are nothing else
    wrong = Secret(f"wa-worker-check-{secrets.token_hex(16)}")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, "GET /disconnected-instances with a wrong secret", partial(caller.get, lists, wrong))
        nursery.start_soon(ask, "GET /disconnected-instances without a secret", partial(caller.get, lists, None))
        nursery.start_soon(ask, "GET /queued-messages with a wrong secret", partial(caller.get, queue, wrong))
        if caller.secret is not None:
            nursery.start_soon(ask, "queue", partial(caller.get, queue, caller.secret))
            nursery.start_soon(ask, "poll", partial(version.poll, caller, caller.secret, usage.shard))
    queued, polled = answers.pop("queue", None), answers.pop("poll", None)
    if version.speaks_2(polled):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "POST /poll with a wrong secret", partial(version.poll, caller, wrong))
            nursery.start_soon(ask, "POST /poll without a secret", partial(version.poll, caller, None))
    refusals = _wrong_secret(caller, first, dict(sorted(answers.items())))
    proxy = ok("proxy", f"{caller.base_url} answers ({first.seconds:.2f} s)")
    if caller.secret is None or queued is None or polled is None:
        unknown = not_checked("secret", "WORKER_SECRET is not usable")
        return [proxy, unknown, refusals, *(attrs.evolve(unknown, name=name) for name in NAMES[3:])]
    if first.status in REFUSED:
        rest = [not_checked(name, "the secret is refused") for name in NAMES[3:]]
        return [proxy, fail("secret", *refused(caller, first)), refusals, *rest]
    results = [proxy, _secret(first), refusals, _instances(caller, first), _messages(caller, queued)]
    listed = _listed_by(first)
    if usage.shard is not None:
        results.append(check_shard(usage.shard, listed, usage.instances))
    return [*results, *await version.check_version(caller, polled, usage, listed)]


def refused(caller: Caller, answer: Answer) -> tuple[str, str]:
    """Says what was found and its remedy, for an answer that refuses the right secret."""
    return caller.said(answer), _JWT if b"jwt" in answer.body.lower() else _SECRET


def _secret(answer: Answer) -> Result:
    if not _is_json(answer):
        return not_checked("secret", f"no answer of a worker-proxy ({answer.status})")
    return ok("secret", "accepted")


def _is_json(answer: Answer) -> bool:
    try:
        answer.data()
    except ValueError:
        return False
    return answer.is_success


def _wrong_secret(caller: Caller, first: Answer, answers: Mapping[str, Answer | NoAnswer]) -> Result:
    """Returns the worst of them. `first` is what the right secret got, if there is one."""
    name = "wrong secret"
    for call, answer in answers.items():
        if isinstance(answer, Answer) and _lists(answer):
            found = f"{call} is answered {answer.status} and a list: anybody can read your customers' messages"
            return fail(name, found, "the proxy must compare the bearer token and answer 401, in every call")
    for call, answer in answers.items():
        if isinstance(answer, NoAnswer):
            return warn(name, f"{call}: {answer.found}", answer.remedy)
        if answer.is_success and not _is_json(answer):
            return not_checked(name, f"no answer of a worker-proxy ({answer.status})")
        if answer.status not in REFUSED and not first.is_success and answer.status == first.status:
            # a wrong path, a gateway, a function that does not start: nobody has looked at the secret
            return not_checked(name, f"{answer.status} is the answer whatever the secret")
        if answer.status not in REFUSED:
            return warn(name, f"{call}: {caller.said(answer)}", "refuse a wrong secret with 401, before anything else")
    statuses = {str(answer.status) for answer in answers.values() if isinstance(answer, Answer)}
    return ok(name, f"refused ({', '.join(sorted(statuses))})")


def _lists(answer: Answer) -> bool:
    """Says whether it is a success with a list, of whatever."""
    if not answer.is_success:
        return False
    for structure in (wire.instances_from, wire.messages_from):
        try:
            structure(answer.data())
        except ValueError:  # NotTheContract is one
            continue
        return True
    return False


def _instances(caller: Caller, answer: Answer) -> Result:
    name = "disconnected-instances"
    rows = _rows(caller, name, answer, wire.instances_from)
    if isinstance(rows, Result):
        return rows
    many = len(rows.good)
    return _listed(name, rows, answer, f"{many} instance{'' if many == 1 else 's'} to connect")


def _listed_by(answer: Answer) -> tuple[InstanceId, ...]:
    try:
        return wire.instances_from(answer.data()).good if answer.is_success else ()
    except ValueError:  # NotTheContract is one
        return ()


def _messages(caller: Caller, answer: Answer | NoAnswer) -> Result:
    name = "queued-messages"
    if isinstance(answer, NoAnswer):
        return fail(name, answer.found, answer.remedy)
    if answer.status == HTTPStatus.NOT_FOUND:
        remedy = "answer an unknown instance with an empty list; or is the path missing at the proxy?"
        return warn(name, f"an unknown instance: {caller.said(answer)}", remedy)
    rows = _rows(caller, name, answer, wire.messages_from)
    if isinstance(rows, Result):
        return rows
    if rows.good or rows.bad:
        many = len(rows.good) + len(rows.bad)
        found = f"{many} message{'' if many == 1 else 's'} for an instance that does not exist"
        return fail(name, found, "select by instanceId: each instance would send the messages of all")
    return _listed(name, rows, answer, "an unknown instance has an empty list")


def _listed(name: str, rows: wire.Rows[Any], answer: Answer, found: str) -> Result:
    if rows.bad:
        bad = f"{len(rows.bad)} of {len(rows.good) + len(rows.bad)} rows are skipped: {quoted(rows.bad[0].reason)}"
        return warn(name, bad, "see docs/contract.md for what a row has")
    if answer.seconds > SLOW:
        return warn(name, f"{found}, but that took {answer.seconds:.1f} s", _FASTER)
    return ok(name, f"{found} ({answer.seconds:.2f} s)")


def _rows(
    caller: Caller, name: str, answer: Answer, structure: Callable[[object], wire.Rows[T]]
) -> wire.Rows[T] | Result:
    """Returns the rows, or what is wrong with the answer as a whole."""
    if answer.is_success:
        try:
            return structure(answer.data())
        except wire.NotTheContract as error:
            return fail(name, quoted(error, caller.secret), "answer the list that docs/contract.md shows")
        except ValueError as error:
            return fail(name, f"the answer {error}", _ADDRESS if "HTML" in str(error) else "answer plain JSON")
    status = answer.status
    if status in REFUSED:
        return fail(name, *refused(caller, answer))
    if 300 <= status < 400:
        where = _address(answer.headers.get("location", ""))
        remedy = "redirects are not followed: set EDGE_BASE_URL to where it leads, if that is your proxy"
        return fail(name, f"answered {status} to {where}", remedy)
    if status == HTTPStatus.NOT_FOUND:
        return fail(name, caller.said(answer), f"is the path right? {_ADDRESS}")
    return fail(name, caller.said(answer), _LOG)


def _address(location: str) -> str:
    """Without a query: a login page's holds tokens."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "?"
    return quoted(f"{parts.scheme}://{parts.hostname}{parts.path}" if parts.hostname else parts.path) or "?"
