"""What may go wrong between a worker and its proxy, on demand.

Owns the faults that are in force; fault_layer.py plays them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import attrs
from attrs import validators
from cattrs import BaseValidationError, Converter, transform_error

from .events import Refusals

ENDPOINTS = (
    "disconnected-instances",
    "update-status",
    "queued-messages",
    "mark-sent",
    "mark-failed",
    "inbound",
    "poll",
    "events",
    "media-upload",
    "message-status",
    "event",
    "storage",
)
EVERY = "*"

_NOT_NEGATIVE = validators.ge(0.0)


@attrs.frozen
class Fault:
    """Says how an endpoint misbehaves.

    The call is carried out with `after_apply`, or if neither status nor body nor the connection is tampered
    with.

    status: answer this status.
    delay: sleep first, in seconds: the latency of an Edge Function. On its own the answer is the true one.
    after_apply: carry the call out before the rest: the answer then lies about it.
    body, content_type, headers: replace or add to the answer; a body alone goes with status 200 (or the
        true one, with `after_apply`). Headers alone are added to the true answer.
    cut: close the connection without an answer; with a status or body, in the middle of that body.
    hang: take the request and never answer.
    trickle: send the body one byte per this many seconds; on its own it is the true body.
    times: only the next so many requests; None is for ever.
    probability: of each request to meet the fault; one that does not is not counted in `times`.
    only: meet requests alone whose path or body has this text; with `refuse`, events alone that have it.

    Of POST /events, whose answer is then true in all else:

    refuse: refuse events with this status, and do not carry them out; with `after_apply`, do.
    share: the part of the events that `refuse` meets, drawn for each.
    results: answer so many results more than there are events, or fewer if it is negative.

    Of PUT /storage, to which a file comes piece by piece (`only` is of the URL alone, there):

    cut_at: close the connection once so many bytes of the file have come.
    stall_at: take no more of it after so many bytes, and never answer, until the proxy goes down.
    """

    status: int | None = attrs.field(default=None, validator=validators.optional(validators.in_(range(200, 600))))
    delay: float = attrs.field(default=0.0, validator=_NOT_NEGATIVE)
    after_apply: bool = False
    body: bytes | None = None
    content_type: str | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    cut: bool = False
    hang: bool = False
    trickle: float | None = attrs.field(default=None, validator=validators.optional(_NOT_NEGATIVE))
    times: int | None = attrs.field(default=None, validator=validators.optional(validators.ge(1)))
    probability: float = attrs.field(default=1.0, validator=[_NOT_NEGATIVE, validators.le(1.0)])
    only: str = ""
    refuse: int | None = attrs.field(default=None, validator=validators.optional(validators.in_(range(300, 600))))
    share: float = attrs.field(default=1.0, validator=[_NOT_NEGATIVE, validators.le(1.0)])
    results: int = 0
    cut_at: int | None = attrs.field(default=None, validator=validators.optional(validators.ge(0)))
    stall_at: int | None = attrs.field(default=None, validator=validators.optional(validators.ge(0)))

    @property
    def applies(self) -> bool:
        """Says whether the request reaches the application."""
        replaced = self.status is not None or self.body is not None or self.cut or self.hang
        return self.after_apply or not replaced


class Faults:
    """Holds the faults in force: one per endpoint at most, and "*" for those that have none."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self.rng = rng or random.Random(0)
        self._faults: dict[str, Fault] = {}

    def set(self, endpoint: str, fault: Fault) -> None:
        """Replaces the endpoint's fault. Raises ValueError for an endpoint that does not exist."""
        self.replace({**self._faults, endpoint: fault})

    def replace(self, faults: Mapping[str, Fault]) -> None:
        """These instead of all there were; all or none. Raises ValueError for an unknown endpoint."""
        for endpoint in faults:
            if endpoint != EVERY and endpoint not in ENDPOINTS:
                raise ValueError(f"no endpoint {endpoint!r}; there are {', '.join(ENDPOINTS)} and {EVERY}")
        self._faults = dict(faults)

    def clear(self, endpoint: str | None = None) -> None:
        """End one endpoint's fault, or all of them. Requests that already met one are played to the end."""
        if endpoint is None:
            self._faults.clear()
        else:
            self._faults.pop(endpoint, None)

    def in_force(self) -> dict[str, Fault]:
        """Returns a copy, with what is left of each `times`."""
        return dict(self._faults)

    def refusals(self, fault: Fault) -> Refusals | None:
        """Returns what `fault` does to the events of a call; None: nothing."""
        if fault.refuse is None:
            return None

        def status_for(event: dict[str, Any]) -> int | None:
            meant = fault.only in json.dumps(event, ensure_ascii=False, separators=(",", ":"))
            return fault.refuse if meant and self.rng.random() < fault.share else None

        return Refusals(status_for, fault.after_apply)

    def take(self, endpoint: str, said: bytes = b"") -> Fault | None:
        """Returns the fault that this request meets, counted. `said`: its path and body."""
        for key in (endpoint, EVERY):
            fault = self._faults.get(key)
            if fault is None or fault.only.encode() not in said:
                continue
            if fault.probability < 1 and self.rng.random() >= fault.probability:
                return None
            if fault.times == 1:
                del self._faults[key]
            elif fault.times is not None:
                self._faults[key] = attrs.evolve(fault, times=fault.times - 1)
            return fault
        return None


_converter = Converter(forbid_extra_keys=True)
_converter.register_structure_hook(bytes, lambda value, _: str(value).encode())
_converter.register_unstructure_hook(bytes, lambda value: value.decode(errors="replace"))


def faults_from_json(data: object) -> dict[str, Fault]:
    """{endpoint: {field: value}}, the body as text. Raises ValueError with all that is wrong."""
    try:
        return _converter.structure(data, dict[str, Fault])
    except BaseValidationError as error:
        raise ValueError("; ".join(transform_error(error))) from error
    except (TypeError, AttributeError) as error:
        raise ValueError("faults must be an object of objects") from error


def faults_to_json(faults: Mapping[str, Fault]) -> dict[str, Any]:
    """Returns the inverse of `faults_from_json`."""
    return {endpoint: _converter.unstructure(fault) for endpoint, fault in faults.items()}
