"""Which version of the contract the proxy speaks, and how many calls a day that makes while nothing happens.

Asks `POST /poll` without an instance, and posts two events that no proxy can take: nothing changes at the proxy.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable

import attrs

from wa_worker.check.calling import Answer, Caller, NoAnswer
from wa_worker.check.result import Result, fail, ok, warn
from wa_worker.edge import wire
from wa_worker.edge.answers import NO_SUCH_CALL
from wa_worker.errors import Failure
from wa_worker.models import Secret, Shard

NAME = "contract"
EVENTS = "events"
"""A result that only a proxy of version 2 has."""

HELD = 20
"""Seconds for which a worker lets an answer to `POST /poll` be held: its `wait`."""

TRIAL = 2
"""Seconds for which an answer is let be held here; half of it is enough to say that it was."""

DAY = 86_400

_VERSION_1 = NO_SUCH_CALL | {400}
_PAGE = "see docs/contract.md, version 2"
_LOG = "look into the proxy's own log"


@attrs.frozen
class Usage:
    """Says what decides how often a worker calls; intervals in seconds.

    instances: those on the volume. Those that the proxy lists come on top.
    """

    instance_poll: float = 10.0
    message_poll: float = 2.0
    idle_poll: float = 2.0
    """To what `message_poll` grows in an instance that is idle."""
    instances: frozenset[str] = frozenset()
    shard: Shard | None = None
    """What of the instances the worker runs; None: all of them."""

    def own(self, instances: Iterable[str]) -> frozenset[str]:
        return frozenset(instance for instance in instances if self.shard is None or self.shard.has(instance))


async def poll(
    caller: Caller, secret: Secret | None, shard: Shard | None = None, ids: Iterable[str] = (), wait: int = 0
) -> Answer:
    """`POST /poll` for these instances, none of them ready for messages. Raises NoAnswer."""
    body = wire.poll_body(f"check-{secrets.token_hex(4)}", dict.fromkeys(ids, "DISCONNECTED"), wait, shard)
    return await caller.post("poll", body, secret)


def speaks_2(polled: Answer | NoAnswer | None) -> bool:
    return isinstance(polled, Answer) and _lists(polled) == {"instances", "messages"}


async def check_version(caller: Caller, polled: Answer | NoAnswer, usage: Usage, listed: Iterable[str]) -> list[Result]:
    """Results of NAME and, in version 2, EVENTS. `polled`: what `poll()` got with the right secret."""
    usage = attrs.evolve(usage, instances=usage.own({*usage.instances, *listed}))
    if speaks_2(polled):
        assert isinstance(polled, Answer)
        return [await _version_2(caller, polled, usage), await _events(caller)]
    if isinstance(polled, NoAnswer):
        return [warn(NAME, f"POST /poll: {polled.found}", polled.remedy)]
    if polled.is_success and _lists(polled):
        (there,) = _lists(polled)
        found = f"version 1: the answer to POST /poll has {there}, but not both lists; {_cost_of_1(usage)}"
        return [warn(NAME, found, _PAGE)]
    if polled.is_success or polled.status in _VERSION_1:
        return [ok(NAME, f"version 1: {_cost_of_1(usage)} (version 2: {_calls(DAY / HELD)})")]
    return [warn(NAME, f"POST /poll: {caller.said(polled)}, which tells no version", f"have it, or answer 404; {_LOG}")]


def _lists(answer: Answer) -> set[str]:
    """Returns which of the two lists the answer has."""
    try:
        data = answer.data() if answer.is_success else None
    except ValueError:
        return set()
    return {key for key in ("instances", "messages") if isinstance(data, dict) and isinstance(data.get(key), list)}


async def _version_2(caller: Caller, polled: Answer, usage: Usage) -> Result:
    data = polled.data()
    if many := len(data["messages"]):
        found = (
            f"version 2, but POST /poll lists {many} message{'' if many == 1 else 's'}, though no instance was asked"
        )
        return fail(NAME, found, "list those of instances that were asked with the state CONNECTED, and no others")
    listed = {row["id"] for row in data["instances"] if isinstance(row, dict) and isinstance(row.get("id"), str)}
    own = usage.own(listed)
    try:
        held = await _is_held(caller, polled, own, usage.shard)
    except NoAnswer as no:
        return fail(NAME, f"version 2, but a POST /poll that may be held is not answered: {no.found}", no.remedy)
    if held:
        return ok(NAME, f"version 2, and POST /poll is held: {_idle(DAY / HELD)}, for all instances")
    often = _idle(DAY / usage.message_poll)
    if own < listed:
        others = f"lists other shards, too: {often}, since such an answer is not held ({_calls(DAY / HELD)} if it were)"
        return warn(NAME, f"version 2, but POST /poll {others}", f"have it know `shard`: {_PAGE}")
    return ok(
        NAME, f"version 2, but POST /poll is not held: {often}, for all instances ({_calls(DAY / HELD)} if it were)"
    )


async def _is_held(caller: Caller, at_once: Answer, ids: frozenset[str], shard: Shard | None) -> bool:
    """Says whether an answer waits while there is nothing: all that is listed is asked, as the worker would."""
    answer = await poll(caller, caller.secret, shard, sorted(ids), TRIAL)
    return answer.is_success and answer.seconds - at_once.seconds > TRIAL / 2


def _cost_of_1(usage: Usage) -> str:
    many = len(usage.instances)
    calls = DAY / usage.instance_poll + many * DAY / max(usage.idle_poll, usage.message_poll)
    return f"{_idle(calls)} with {many} instance{'' if many == 1 else 's'}"


def _idle(calls: float) -> str:
    return f"{_calls(calls)} calls a day while idle"


def _calls(calls: float) -> str:
    return f"{calls:,.0f}"


async def _events(caller: Caller) -> Result:
    """Posts an event of a message that does not exist, and one of a type that does not."""
    nobody, nothing = str(uuid.uuid4()), str(uuid.uuid4())
    head = {"event_id": f"check-{secrets.token_hex(8)}", "instanceId": nobody}
    failed = {**head, "type": "failed", **wire.failed_body(nothing, Failure.CHECK)}
    try:
        answer = await caller.post("events", {"events": [failed, {**head, "type": "wa-worker-check"}]}, caller.secret)
    except NoAnswer as no:
        return fail(EVENTS, no.found, no.remedy)
    if answer.status in NO_SUCH_CALL:
        return fail(EVENTS, caller.said(answer), "a proxy that has POST /poll must have POST /events")
    if not answer.is_success:
        remedy = "what is wrong with an event belongs into its result: the call itself is answered 200"
        return fail(EVENTS, caller.said(answer), remedy if answer.status < 500 else _LOG)
    statuses = _statuses(answer)
    if len(statuses) != 2:
        return fail(
            EVENTS,
            f"{len(statuses)} result{'' if len(statuses) == 1 else 's'} for 2 events",
            f"answer one for each, in order: {_PAGE}",
        )
    message, kind = statuses
    if message >= 500 or kind >= 500:
        which, status = ("an unknown message", message) if message >= 500 else ("an unknown type", kind)
        return warn(
            EVENTS, f"{which} is answered {status}", "the worker tells it until it gets a 2xx: refuse it with 4xx"
        )
    if kind < 300:
        remedy = "answer 400 in its result: the worker takes a 2xx for stored"
        return warn(EVENTS, f"an unknown type is answered {kind}", remedy)
    return ok(EVENTS, f"an unknown message is answered {message}, an unknown type {kind} ({answer.seconds:.2f} s)")


def _statuses(answer: Answer) -> list[int]:
    """Returns the results' statuses; none at all if one has none."""
    try:
        statuses = [result["status"] for result in answer.data()["results"]]
    except (ValueError, KeyError, TypeError):
        return []
    return statuses if all(type(status) is int and 200 <= status < 600 for status in statuses) else []
