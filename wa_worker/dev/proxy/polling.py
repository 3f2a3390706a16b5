"""POST /poll: what there is for a worker, and an answer that is held while there is nothing.

A held answer waits for a change and asks the store again; it ends when there is something, when its time is over, and,
since its task is the request's own, when its client leaves or the proxy stops.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable
from typing import Any, Literal

import attrs
import trio

from wa_worker.models import Shard

from .changes import Changes
from .fields import BadRequestError, is_whole, text
from .outbound import Outbound
from .store import Store

Contract = Literal[1, 2]

CONTRACTS: tuple[Contract, ...] = (1, 2)

LONGEST_WAIT = 60
"""Seconds that a worker may ask for: below what proxies and load balancers on the way allow an idle request."""

MOST_ASKED = 10_000
"""Instances in one call."""

PAGE_ROWS = 200

PAGE_BYTES = 2**20
"""Of the answer's JSON; a message that is longer by itself goes alone."""

_SHARD = re.compile(r"([1-9][0-9]{0,2}|1000)/([1-9][0-9]{0,2}|1000)", re.ASCII)
"""As contract and openapi.yaml have it. The fourth of three is one, which has no instances."""
_WORKER = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

_READY = "CONNECTED"
_LISTED = ("CONNECTING", "DISCONNECTED")
"""What a worker believes of an instance whose status says the same, so that it is listed."""
_NOT_LISTED = (_READY, "SENDING")
_ELSEWHERE = "ELSEWHERE"
"""What a worker says of an instance that it does not run, and has seen listed."""


@attrs.frozen
class Asked:
    """Holds a request: what the worker believes of each instance it runs, and how many seconds it would wait.

    shard: it is asked for the instances of this one, and `states` has no others; None: for all. peers: other workers
    run instances that are not named.
    """

    states: dict[str, str]
    wait: float
    shard: Shard | None = None
    peers: bool = False

    @property
    def ready(self) -> set[str]:
        return {id_ for id_, state in self.states.items() if state == _READY}

    def is_for(self, id_: str, called_back: Container[str]) -> bool:
        """Says whether an instance that is listed is to be listed in this answer. `called_back`: those whose status is
        CONNECTED, and which are listed for the worker that runs them."""
        if self.shard is not None and not self.shard.has(id_):
            return False
        return not self.peers or id_ not in called_back or self.states.get(id_, _ELSEWHERE) != _ELSEWHERE


@attrs.frozen
class TooManyError(Exception):
    """More than fits into one call: 413. The text goes into the answer."""

    text: str


def asked_from(body: dict[str, Any]) -> Asked:
    """Raises BadRequestError and TooManyError."""
    if not _WORKER.fullmatch(text(body, "worker")):
        raise BadRequestError("worker must be 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'")
    instances = body.get("instances")
    if not isinstance(instances, list) or not all(isinstance(instance, dict) for instance in instances):
        raise BadRequestError("instances must be a list of objects")
    if len(instances) > MOST_ASKED:
        raise TooManyError(f"more than {MOST_ASKED} instances")
    wait: Any = body.get("wait")
    if not is_whole(wait) or not 0 <= wait <= LONGEST_WAIT:
        raise BadRequestError(f"wait must be a whole number of seconds from 0 to {LONGEST_WAIT}")
    peers: Any = body.get("peers", False)
    if not isinstance(peers, bool):
        raise BadRequestError("peers must be true or false")
    states = {text(instance, "id"): text(instance, "state") for instance in instances}
    if "shard" not in body:
        return Asked(states, wait, peers=peers)
    found = _SHARD.fullmatch(text(body, "shard"))
    if found is None:
        raise BadRequestError("shard must be two whole numbers from 1 to 1000, as in 1/3")
    shard = Shard(*map(int, found.groups()))
    return Asked({id_: state for id_, state in states.items() if shard.has(id_)}, wait, shard, peers)


class Polling:
    """Answers POST /poll.

    contract: 1 makes the proxy one that has neither /poll nor /events.
    want: the kinds of messages that it wants to hear of besides those that are always told; None: it says nothing.
    longest_hold: seconds for which it holds an answer at most, whatever it is asked; 0 makes it one that holds none.
    knows_shards: False makes it one that takes no notice of `shard` and `peers`, as one of before them.
    """

    def __init__(self, store: Store, changed: Changes) -> None:
        self.longest_hold: float = LONGEST_WAIT
        self.knows_shards = True
        self._contract: Contract = 2
        self._want: tuple[str, ...] | None = None
        self._store = store
        self._changed = changed

    @property
    def contract(self) -> Contract:
        return self._contract

    @contract.setter
    def contract(self, contract: Contract) -> None:
        if contract not in CONTRACTS:
            raise ValueError(f"there is no contract {contract!r}")
        self._contract = contract
        self._changed.ring()

    @property
    def want(self) -> tuple[str, ...] | None:
        return self._want

    @want.setter
    def want(self, want: tuple[str, ...] | None) -> None:
        """Ends the answers that are held, which have it then."""
        self._want = want
        self._changed.ring()

    async def answer(self, body: dict[str, Any]) -> str | None:
        """Returns the JSON of the answer; None if the proxy has become one of version 1 meanwhile.

        Raises BadRequestError and TooManyError. Cancelled: nothing has changed.
        """
        words = body.items() if self.knows_shards else [(k, v) for k, v in body.items() if k not in ("shard", "peers")]
        asked = asked_from(dict(words))
        before = self._said(asked)
        with trio.move_on_after(min(asked.wait, self.longest_hold)):
            await self._changed.wait(
                lambda store: self._contract == 1 or self._said(asked) != before or there_is_something(store, asked)
            )
        return None if self._contract == 1 else page(self._store, asked, self._want)

    def _said(self, asked: Asked) -> object:
        """What is in an answer besides messages: a worker that asks may not know of a change of it."""
        return self._want, [row for row in _listed(self._store, asked) if len(row) > 1]


def _listed(store: Store, asked: Asked) -> list[dict[str, Any]]:
    return [row for row in store.listed() if asked.is_for(row["id"], store.called_back)]


def there_is_something(store: Store, asked: Asked) -> bool:
    """Says whether the worker is to hear something now: a message, or an instance that the two see differently."""
    listed = [id_ for id_ in store.unconnected() if asked.is_for(id_, store.called_back)]
    if any(asked.states.get(id_, _READY) in _NOT_LISTED for id_ in listed):
        return True  # a new one, or one whose status was lost
    thought_listed = {id_ for id_, state in asked.states.items() if state in _LISTED}
    if not thought_listed.issubset(listed):
        return True  # deleted, switched off, or its status was lost
    return next(store.queued_fairly(asked.ready), None) is not None


def page(store: Store, asked: Asked, want: tuple[str, ...] | None = None) -> str:
    instances = json.dumps(_listed(store, asked), separators=(",", ":"))
    wanted = "" if want is None else f'"want":{json.dumps(want, separators=(",", ":"))},'
    head = f'{{"instances":{instances},{wanted}"messages":['
    return head + ",".join(_rows_that_fit(store.queued_fairly(asked.ready), _most_rows(store), len(head))) + "]}"


def _most_rows(store: Outbound) -> int:
    return PAGE_ROWS if store.page_size is None else min(PAGE_ROWS, store.page_size)


def _rows_that_fit(messages: Iterable[dict[str, Any]], most: int, begun: int) -> list[str]:
    """Returns the JSON of the first ones, one at least if there is one. `begun`: bytes that the answer has already."""
    rows: list[str] = []
    size = begun + len("]}")
    for message in messages:
        row = json.dumps(message, separators=(",", ":"))
        size += len(row) + 1
        if rows and size > PAGE_BYTES:
            break
        rows.append(row)
        if len(rows) >= most:
            break
    return rows
