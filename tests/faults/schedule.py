"""A seeded schedule of faults: what goes wrong, when, for how long. Pure, so that a seed reproduces a run."""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator, Sequence
from typing import Literal

import attrs

Contract = Literal["1", "2", "flips"]
"""What the proxy of a run speaks: a version, or the one and the other in turn."""

CONTRACTS: tuple[Contract, ...] = ("1", "2", "flips")


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
    EVENTS_SHORT = "/events applies and answers a result too few"
    EVENTS_LONG = "/events applies and answers a result too many"
    EVENTS_REFUSED = "/events refuses half of the events with 503 and applies the others"
    EVENTS_MIXED = "/events applies all and says of half of them that it did not"
    EVENTS_4XX = "/events refuses a third of the events with some 4xx"
    EVENTS_APPLIED_500 = "/events applies and answers 500"
    EVENTS_CUT = "/events applies and half of its answers are cut off"
    EVENTS_NO_RESULTS = "/events answers 200 without results, with or without having applied them"
    EVENTS_404 = "the proxy has no /events for a moment"
    POLL_HELD = "/poll is held whatever there is"
    POLL_LATE = "/poll answers a byte at a time what was so when it was asked"
    POLL_CUT = "/poll is cut off in the middle of its answer"
    POLL_404 = "the proxy has no /poll for a moment"
    POLL_SHAPES = "/poll answers 200 and what is not its shape"
    MEDIA_HOST_500 = "WhatsApp's media host answers 500"
    MEDIA_HOST_SLOW = "it gives 100 KB a second"
    MEDIA_HOST_STALLS = "it stops in the middle of each file"
    MEDIA_HOST_CUTS = "it cuts each file off"
    MEDIA_HOST_GONE = "it says that there is no such file"
    MEDIA_HOST_FLIPS = "it gives files with a wrong byte"
    MEDIA_HOST_TAKES_NONE = "it takes no upload"
    UPLOAD_503 = "the proxy signs no URL for a file"
    STORAGE_503 = "the storage behind such a URL answers 503"
    STORAGE_4XX = "something in front of the storage answers with some 4xx"
    STORAGE_CUTS = "it cuts half of the uploads off, taken or not"
    STORAGE_SLOW = "it takes a second for an upload"
    LINKS_503 = "the host of the files to send answers 503"
    LINKS_CUT = "it cuts off what it gives"


FIELD = (
    Trouble.UNKNOWN_BAN,
    Trouble.PROXY_4XX,
    Trouble.PORTAL,
    Trouble.LINE_FLAPS,
    Trouble.INVALID_BYTES,
)
"""What the field has reported."""

VERSION_2 = (
    Trouble.EVENTS_SHORT,
    Trouble.EVENTS_LONG,
    Trouble.EVENTS_REFUSED,
    Trouble.EVENTS_MIXED,
    Trouble.EVENTS_4XX,
    Trouble.EVENTS_APPLIED_500,
    Trouble.EVENTS_CUT,
    Trouble.EVENTS_NO_RESULTS,
    Trouble.EVENTS_404,
    Trouble.POLL_HELD,
    Trouble.POLL_LATE,
    Trouble.POLL_CUT,
    Trouble.POLL_404,
    Trouble.POLL_SHAPES,
)
"""What can only go wrong where the proxy speaks version 2 of the contract."""

FILES = (
    Trouble.MEDIA_HOST_500,
    Trouble.MEDIA_HOST_SLOW,
    Trouble.MEDIA_HOST_STALLS,
    Trouble.MEDIA_HOST_CUTS,
    Trouble.MEDIA_HOST_GONE,
    Trouble.MEDIA_HOST_FLIPS,
    Trouble.MEDIA_HOST_TAKES_NONE,
    Trouble.UPLOAD_503,
    Trouble.STORAGE_503,
    Trouble.STORAGE_4XX,
    Trouble.STORAGE_CUTS,
    Trouble.STORAGE_SLOW,
    Trouble.LINKS_503,
    Trouble.LINKS_CUT,
)
"""What can only go wrong with files."""

BELIEVED = (Trouble.MEDIA_HOST_GONE, Trouble.MEDIA_HOST_FLIPS)
"""What is believed after some tries: it happens once in a run, for a moment."""

LATER = (Trouble.UNKNOWN_RECEIPT, *FIELD, *VERSION_2, *FILES)
"""Kinds that were added later. They are drawn apart, so that the rest of a seed's incidents stays what it was."""


@attrs.frozen
class Incident:
    """At `at` seconds `trouble` begins, for `lasts` seconds; `pick` chooses an instance where one is meant."""

    at: float
    trouble: Trouble
    lasts: float
    pick: int


def contract_of(seed: int) -> Contract:
    """Says what the proxy of a seed speaks, unless one is asked for."""
    return CONTRACTS[seed % len(CONTRACTS)]


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
    return _some_of(FIELD, random.Random(f"field {seed}"), length)


def of_version_2(seed: int, length: float) -> list[Incident]:
    """Some of VERSION_2 over `length` seconds, as from_the_field()."""
    return _some_of(VERSION_2, random.Random(f"version 2 {seed}"), length)


def of_files(seed: int, length: float) -> list[Incident]:
    """Some of FILES over `length` seconds, as from_the_field(), and one of BELIEVED at the most."""
    incidents = _some_of(FILES, random.Random(f"files {seed}"), length)
    believed = [incident for incident in incidents if incident.trouble in BELIEVED]
    return [incident for incident in incidents if incident not in believed[1:]]


def _some_of(kinds: Sequence[Trouble], rng: random.Random, length: float) -> list[Incident]:
    incidents: list[Incident] = []
    now = rng.uniform(0.2, 4.0)
    while now < length:
        lasts = rng.uniform(0.3, 2.5)
        incidents.append(Incident(now, rng.choice(kinds), lasts, rng.randrange(1000)))
        now += lasts + rng.uniform(0.5, 4.0)
    return incidents


def flips(seed: int) -> Iterator[float]:
    """Yields seconds from one flip of the version to the next: two, more or less."""
    rng = random.Random(f"flips {seed}")
    while True:
        yield rng.uniform(1.5, 2.5)
