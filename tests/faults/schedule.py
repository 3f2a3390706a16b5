"""A seeded schedule of faults: what goes wrong, when, for how long. Pure, so that a seed reproduces a run."""

from __future__ import annotations

import enum
import random

import attrs


class Trouble(enum.Enum):
    PROXY_DOWN = "the proxy refuses connections"
    PROXY_FLAPS = "the proxy comes and goes"
    PROXY_SLOW = "every call takes 0.3 s"
    PROXY_401 = "every call answers 401"
    PROXY_503 = "every call answers 503"
    PROXY_CUTS = "a third of the calls is cut off"
    PROXY_HANGS = "calls are accepted and never answered"
    MARK_APPLIED_500 = "mark-sent applies and answers 500"
    INBOUND_APPLIED_500 = "inbound applies and answers 500"
    INBOUND_429 = "inbound answers 429 with Retry-After"
    SOCKETS_DROPPED = "WhatsApp cuts all sockets"
    SOCKET_DROPPED = "WhatsApp cuts one socket"
    ACKS_SWALLOWED = "WhatsApp takes messages and cuts before its answer"
    WHATSAPP_REFUSES = "WhatsApp refuses connections and cuts those there are"
    KILLED = "kill -9, then a restart"
    TERMINATED = "SIGTERM, then a restart"
    UNKNOWN_RECEIPT = "a receipt of a type that the library has no name for"
    UNKNOWN_BAN = "a ban for a reason that the library has no name for, over in two seconds"
    PROXY_4XX = "something in front of the proxy answers every call with some 4xx"
    PORTAL = "something in front of the proxy answers every call with 200 and a page, or some JSON"
    LINE_FLAPS = "the line of one instance breaks at each poll for instances"
    INVALID_BYTES = "a message whose text is not UTF-8"


FIELD = (
    Trouble.UNKNOWN_BAN,
    Trouble.PROXY_4XX,
    Trouble.PORTAL,
    Trouble.LINE_FLAPS,
    Trouble.INVALID_BYTES,
)
"""What the field has reported."""

LATER = (Trouble.UNKNOWN_RECEIPT, *FIELD)
"""Kinds that were added later. They are drawn apart, so that the rest of a seed's incidents stays what it was."""


@attrs.frozen
class Incident:
    """At `at` seconds `trouble` begins, for `lasts` seconds; `pick` chooses an instance where one is meant."""

    at: float
    trouble: Trouble
    lasts: float
    pick: int


def schedule(seed: int, length: float, instances: int) -> list[Incident]:
    """Incidents over `length` seconds, one after another with gaps, in any mixture of all kinds but LATER."""
    rng = random.Random(seed)
    incidents: list[Incident] = []
    now = rng.uniform(0.2, 1.5)
    while now < length:
        lasts = rng.uniform(0.3, 2.5)
        first = [trouble for trouble in Trouble if trouble not in LATER]
        incidents.append(Incident(now, rng.choice(first), lasts, rng.randrange(instances)))
        now += lasts + rng.uniform(0.0, 1.2)
    return incidents


def unknown_receipts(seed: int, length: float, instances: int) -> list[Incident]:
    """Those over `length` seconds, in every third seed or so, whatever else goes wrong meanwhile."""
    rng = random.Random(f"receipts {seed}")
    count = rng.choice((0, 0, 1, 2))
    moments = sorted(rng.uniform(0.5, length) for _ in range(count))
    return [Incident(at, Trouble.UNKNOWN_RECEIPT, 0.0, rng.randrange(instances)) for at in moments]


def from_the_field(seed: int, length: float) -> list[Incident]:
    """Some of FIELD over `length` seconds, one after another, whatever else goes wrong meanwhile.

    Their `pick` is any number: it chooses an instance, or an answer.
    """
    rng = random.Random(f"field {seed}")
    incidents: list[Incident] = []
    now = rng.uniform(0.2, 4.0)
    while now < length:
        lasts = rng.uniform(0.3, 2.5)
        incidents.append(Incident(now, rng.choice(FIELD), lasts, rng.randrange(1000)))
        now += lasts + rng.uniform(0.5, 4.0)
    return incidents
