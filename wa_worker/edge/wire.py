"""Proxy JSON to models and back (docs/contract.md). Pure; the only place that knows the wire's names.

Tolerant where the contract says so (bare list or `{"instances": [...]}`), strict in the rows: a row that is not a
model is returned beside the good ones with its reason, never raised into a loop (P4).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import attrs

from wa_worker.edge.egress_url import egress_from
from wa_worker.edge.queued_row import queued_message
from wa_worker.edge.row_values import message_id, shape
from wa_worker.errors import Failure, RowError
from wa_worker.messages import MessageStatus, QueuedMessage, Wanted, wanted
from wa_worker.messages.pacing import HeldMessage
from wa_worker.models import Egress, InstanceId, Jid, MessageId, PairingCode, Shard, Status, WaMessageId, instance_id

T = TypeVar("T")

MAX_PHONE = 40
"""Longest number taken for pairing by a code, in characters, with all that people write between the digits."""


@attrs.frozen
class Rows(Generic[T]):
    """Holds the rows of an answer: those that are models, and the reasons of those that are not."""

    good: tuple[T, ...]
    bad: tuple[BadRow, ...]


@attrs.frozen
class BadRow:
    """A row that is not a model. `id` is what stands in the place of its id, if that can be one: a message can then be
    marked as failed, and of an instance the proxy can be told that nothing is known.

    `reason` is for the log, `failure` for the proxy.
    """

    reason: str
    id: MessageId | None = None
    failure: Failure = Failure.BAD_ROW


@attrs.frozen
class InstanceRows(Rows[InstanceId]):
    """Holds the instances to connect. `phones`: the numbers of those that are to be paired by a code, as written; ""
    for what is no text. egress: the proxies of those that are listed with one, or with null; what is not named says
    nothing of it."""

    phones: Mapping[InstanceId, str] = attrs.field(factory=dict, repr=False)
    egress: Mapping[InstanceId, Egress] = attrs.field(factory=dict)

    def of(self, shard: Shard) -> InstanceRows:
        """Returns what is said of the instances of a shard. A bad row whose id is no text is in each."""
        return InstanceRows(
            tuple(instance for instance in self.good if shard.has(instance)),
            tuple(bad for bad in self.bad if not isinstance(bad.id, str) or shard.has(bad.id)),
            {instance: phone for instance, phone in self.phones.items() if shard.has(instance)},
            {instance: egress for instance, egress in self.egress.items() if shard.has(instance)},
        )


@attrs.frozen
class Polled:
    """Holds an answer of `/poll`: the instances to connect, the messages of each, and rows that name no instance.

    want: which kinds of received messages the proxy wants; None if it does not say.
    """

    instances: InstanceRows
    messages: dict[InstanceId, Rows[QueuedMessage]]
    stray: tuple[BadRow, ...] = ()
    want: frozenset[Wanted] | None = None


@attrs.frozen
class Result:
    """Says what `/events` answered to one event. `status` None: what stands there is no result."""

    status: int | None
    error: str = ""


class NotTheContract(ValueError):
    """The whole answer is not what the contract says (HTML, an error object, truncated JSON...)."""


def instances_from(answer: object) -> InstanceRows:
    """`GET /disconnected-instances`: `[{"id": ..., "pair_phone"?, "proxy"?}]` or `{"instances": [...]}`."""
    phones: dict[InstanceId, str] = {}
    egress: dict[InstanceId, Egress] = {}

    def row(item: object) -> InstanceId:
        if not isinstance(item, dict):
            return instance_id(item)
        instance = instance_id(item["id"])
        if item.get("pair_phone") is not None:
            phones[instance] = _phone(item["pair_phone"])
        if "proxy" in item:
            egress[instance] = egress_from(item["proxy"])
        return instance

    rows = _rows(_listing(answer, "instances"), row, _id_if_any)
    return InstanceRows(rows.good, rows.bad, phones, egress)


def _phone(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if 0 < value < 10**MAX_PHONE else ""  # a number column in the proxy's table
    return value if isinstance(value, str) and len(value) <= MAX_PHONE and value.isprintable() else ""


def messages_from(answer: object) -> Rows[QueuedMessage]:
    """`GET /queued-messages`: `[{"id", "to", "body"}]` or `{"messages": [...]}`. Duplicate ids count once."""
    rows = _rows(_listing(answer, "messages"), queued_message, _id_if_any)
    unique = {_identity(m.id): m for m in reversed(rows.good)}
    return attrs.evolve(rows, good=tuple(m for m in rows.good if unique.get(_identity(m.id)) is m))


def polled_from(answer: object) -> Polled:
    """`POST /poll`: `{"instances": [{"id": ...}], "messages": [{"instanceId", "id", "to", "body"}], "want": [...]}`."""
    if not isinstance(answer, dict) or not all(isinstance(answer.get(key), list) for key in ("instances", "messages")):
        raise NotTheContract(f'expected {{"instances": [...], "messages": [...]}}, got {shape(answer)}')
    messages: dict[InstanceId, list[object]] = {}
    stray: list[BadRow] = []
    for item in answer["messages"]:
        try:
            messages.setdefault(instance_id(item.get("instanceId")), []).append(item)
        except (ValueError, AttributeError):
            stray.append(BadRow("a row of messages names no instance", _id_if_any(item)))
    each = {instance: messages_from(items) for instance, items in messages.items()}
    want = answer.get("want")
    return Polled(
        instances_from(answer["instances"]), each, tuple(stray), wanted(want) if isinstance(want, list) else None
    )


def results_from(answer: object, count: int) -> list[Result]:
    """`POST /events`: `{"results": [{"status": 200}, ...]}`, one for each event, in order."""
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list):
        raise NotTheContract(f'expected {{"results": [...]}}, got {shape(answer)}')
    if len(results) != count:
        raise NotTheContract(f"answered {len(results)} results to {count} events: none of them counts")
    return [_result(item) for item in results]


def _result(item: object) -> Result:
    status, error = (item.get("status"), item.get("error")) if isinstance(item, dict) else (None, None)
    known = isinstance(status, int) and 100 <= status <= 599
    return Result(status if known else None, error if isinstance(error, str) else "")


def _identity(message_id: MessageId) -> tuple[type, MessageId]:
    return (type(message_id), message_id)


def _listing(answer: object, key: str) -> list[object]:
    if isinstance(answer, dict) and isinstance(answer.get(key), list):
        answer = answer[key]
    if not isinstance(answer, list):
        raise NotTheContract(f'expected a JSON list or {{"{key}": [...]}}, got {shape(answer)}')
    return answer


def _rows(items: list[object], model: Callable[[object], T], id_of: Callable[[object], MessageId | None]) -> Rows[T]:
    good: list[T] = []
    bad: list[BadRow] = []
    for item in items:
        try:
            good.append(model(item))
        except (ValueError, TypeError, KeyError) as error:
            reason = f"missing {error}" if isinstance(error, KeyError) else str(error)
            bad.append(BadRow(reason, id_of(item), _failure(error)))
    return Rows(tuple(good), tuple(bad))


def _failure(error: ValueError | TypeError | KeyError) -> Failure:
    if isinstance(error, KeyError):
        return {"to": Failure.NO_TO, "body": Failure.NO_BODY}.get(error.args[0], Failure.BAD_ROW)
    return error.failure if isinstance(error, RowError) else Failure.BAD_ROW


def _id_if_any(item: object) -> MessageId | None:
    try:
        return message_id(item["id"]) if isinstance(item, dict) else None
    except (ValueError, KeyError):
        return None


def poll_body(
    worker: str, asked: Mapping[str, str], wait: int, shard: Shard | None = None, *, peers: bool = False
) -> dict[str, Any]:
    """`POST /poll`. `asked`: the state of each instance that runs; `wait`: seconds for which it may be held.

    Of several workers: shard: the one that is asked for; peers: others run instances that are not asked for.
    """
    return {
        "worker": worker,
        "instances": [{"id": instance, "state": state} for instance, state in asked.items()],
        "wait": wait,
        **({} if shard is None else {"shard": str(shard)}),
        **({"peers": True} if peers else {}),
    }


def status_body(instance: InstanceId, status: Status) -> dict[str, Any]:
    """`POST /update-status`: the v1 fields and the additive ones, which say why."""
    account, pairing = status.account, status.pairing
    asked = {} if pairing is None else _pairing(pairing)
    return {
        "instanceId": instance,
        "status": status.status.value,
        "qr_code": status.qr_code,
        "reason": status.why.reason.value,
        "until": status.until,
        "action": status.why.action.value if status.why.action else None,
        "jid": account.jid if account else None,
        "push_name": account.push_name if account else None,
        "since": status.since,
        **asked,
    }


def _pairing(pairing: PairingCode) -> dict[str, Any]:
    fields = {"pairing_code": pairing.code, "pairing_expires_at": pairing.expires_at}
    return fields if pairing.fault is None else {**fields, "pairing_error": pairing.fault.value}


def sent_body(message_id: MessageId, wa_id: WaMessageId, to: Jid | None, timestamp: int | None) -> dict[str, Any]:
    """`POST /mark-sent`. `to` and `timestamp` are additive; None where an older version has not noted them."""
    body: dict[str, Any] = {"messageId": message_id, "wa_message_id": wa_id}
    return body | {key: value for key, value in (("to", to), ("timestamp", timestamp)) if value is not None}


def message_status_body(status: MessageStatus) -> dict[str, Any]:
    """`POST /message-status`: how far a message has come with a receiver."""
    return {
        "instanceId": status.instance,
        "messageId": status.message_id,
        "wa_message_id": status.wa_id,
        "chat_id": status.chat,
        "status": status.progress.word,
        "timestamp": status.timestamp,
        "recipient_id": status.recipient,
    }


def held_body(held: HeldMessage) -> dict[str, Any]:
    """`message_status` of version 2: a message is held back, and until when it need not be listed."""
    return {
        "instanceId": held.instance,
        "messageId": held.message_id,
        "chat_id": held.chat,
        "status": "held",
        "reason": held.reason.value,
        "until": math.ceil(held.until),
        "timestamp": int(time.time()),
    }


def failed_body(message_id: MessageId, failure: Failure) -> dict[str, Any]:
    """`POST /mark-failed`. The type sees to it that nobody else's words get there."""
    return {"messageId": message_id, "error": failure.value}
