"""What an incident makes the proxy answer: a fault for each endpoint that it is about. Pure.

Where version 2 may be spoken, a fault of a call of version 1 is also one of the call that stands for it there.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.faults.field import PORTALS, STATUSES
from tests.faults.schedule import Contract, Incident, Trouble
from wa_worker.dev.proxy import Fault
from wa_worker.dev.simulator.media_host import Behaviour

SENT, INBOUND = '"type":"sent"', '"type":"inbound"'

TWIN = {
    "disconnected-instances": "poll",
    "queued-messages": "poll",
    "update-status": "events",
    "mark-sent": "events",
    "mark-failed": "events",
    "inbound": "events",
}
"""The call of version 2 that stands for each of version 1."""

SHAPES = (
    b'{"ok": true}',
    b"[]",
    b"null",
    b'{"instances": []}',
    b'{"instances": [], "messages": null}',
    b'{"instances": {"id": "i0"}, "messages": []}',
    b'{"instances": "i0", "messages": "none"}',
    b'{"error": "try later"}',
)
"""No answers to /poll. Not a list of nothing: that is the proxy's word, in either version."""

NO_RESULTS = (b'{"ok": true}', b"{}", b'{"results": null}', b"[]", b"")


def faults_of(incident: Incident, contract: Contract) -> Mapping[str, Fault]:
    """Returns the faults that are in force while the incident lasts, by endpoint; none for what is no proxy's."""
    every = _EVERY_CALL.get(incident.trouble)
    if every is not None:
        return {"*": every}
    match incident.trouble:
        case Trouble.PROXY_4XX:
            return {"*": Fault(status=STATUSES[incident.pick % len(STATUSES)])}
        case Trouble.PORTAL:
            return {"*": PORTALS[incident.pick % len(PORTALS)]}
        case trouble if trouble in _VERSION_1:
            first, second = _VERSION_1[trouble]
            return first if contract == "1" else {**first, **second[incident.pick % len(second)]}
    return _of_some_calls(incident)


_EVERY_CALL = {
    Trouble.PROXY_SLOW: Fault(delay=0.3),
    Trouble.PROXY_401: Fault(status=401),
    Trouble.PROXY_503: Fault(status=503),
    Trouble.PROXY_CUTS: Fault(cut=True, probability=0.33),
    Trouble.PROXY_HANGS: Fault(hang=True),
}

_VERSION_1: dict[Trouble, tuple[dict[str, Fault], tuple[dict[str, Fault], ...]]] = {
    Trouble.MARK_APPLIED_500: (
        {"mark-sent": Fault(status=500, after_apply=True)},
        (
            {"events": Fault(status=500, after_apply=True, only=SENT)},
            {"events": Fault(refuse=500, after_apply=True, only=SENT)},
        ),
    ),
    Trouble.INBOUND_APPLIED_500: (
        {"inbound": Fault(status=500, after_apply=True)},
        (
            {"events": Fault(status=500, after_apply=True, only=INBOUND)},
            {"events": Fault(refuse=500, after_apply=True, only=INBOUND)},
        ),
    ),
    Trouble.INBOUND_429: (
        {"inbound": Fault(status=429, headers={"Retry-After": "1"})},
        (
            {"events": Fault(status=429, headers={"Retry-After": "1"}, only=INBOUND)},
            {"events": Fault(refuse=429, only=INBOUND)},
        ),
    ),
    Trouble.LINE_FLAPS: ({"disconnected-instances": Fault(delay=0.5)}, ({"poll": Fault(delay=0.5)},)),
}
"""Of incidents that are about some calls of version 1: those, and what stands for them, one of it by the pick."""


def _of_some_calls(incident: Incident) -> Mapping[str, Fault]:
    pick = incident.pick
    match incident.trouble:
        case Trouble.EVENTS_SHORT:
            return {"events": Fault(results=-1)}
        case Trouble.EVENTS_LONG:
            return {"events": Fault(results=1)}
        case Trouble.EVENTS_REFUSED:
            return {"events": Fault(refuse=503, share=0.5)}
        case Trouble.EVENTS_MIXED:
            return {"events": Fault(refuse=500, share=0.5, after_apply=True)}
        case Trouble.EVENTS_4XX:
            return {"events": Fault(refuse=STATUSES[pick % len(STATUSES)], share=0.33)}
        case Trouble.EVENTS_APPLIED_500:
            return {"events": Fault(status=500, after_apply=True)}
        case Trouble.EVENTS_CUT:
            return {"events": Fault(cut=True, after_apply=True, probability=0.5)}
        case Trouble.EVENTS_NO_RESULTS:
            return {"events": Fault(body=NO_RESULTS[pick % len(NO_RESULTS)], after_apply=pick % 2 == 0)}
        case Trouble.EVENTS_404:
            return {"events": Fault(status=404)}
        case Trouble.POLL_HELD:
            return {"poll": Fault(delay=2 * incident.lasts)}
        case Trouble.POLL_LATE:
            return {"poll": Fault(trickle=0.01)}
        case Trouble.POLL_CUT:
            return {"poll": Fault(body=b'{"instances":[{"id":"i0"}],"messages":[]}', cut=True)}
        case Trouble.POLL_404:
            return {"poll": Fault(status=404)}
        case Trouble.UPLOAD_503:
            return {"media-upload": Fault(status=503)}
        case Trouble.STORAGE_503:
            return {"storage": Fault(status=503)}
        case Trouble.STORAGE_4XX:
            return {"storage": Fault(status=STATUSES[pick % len(STATUSES)])}
        case Trouble.STORAGE_CUTS:
            return {"storage": Fault(cut=True, probability=0.5, after_apply=pick % 2 == 0)}
        case Trouble.STORAGE_SLOW:
            return {"storage": Fault(delay=1.0)}
        case Trouble.POLL_SHAPES:
            return {"poll": Fault(body=SHAPES[pick % len(SHAPES)])}
    return {}


def media_host_of(incident: Incident) -> Behaviour:
    """Returns how WhatsApp's media host gives files while the incident lasts."""
    return _MEDIA_HOST.get(incident.trouble, Behaviour())


_MEDIA_HOST = {
    Trouble.MEDIA_HOST_500: Behaviour(status=500),
    Trouble.MEDIA_HOST_SLOW: Behaviour(rate=100_000),
    Trouble.MEDIA_HOST_STALLS: Behaviour(stall_at=700),
    Trouble.MEDIA_HOST_CUTS: Behaviour(cut_at=700),
    Trouble.MEDIA_HOST_GONE: Behaviour(status=404),
    Trouble.MEDIA_HOST_FLIPS: Behaviour(flip=500),
}
