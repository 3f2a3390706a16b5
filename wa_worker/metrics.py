"""What `GET /metrics` shows, for Prometheus: every metric is defined here, in a registry of its own, but for those of a
worker that shares its instances (ownership/lease_metrics.py).

Counters are incremented where something happens, from any thread (about a microsecond); what can be read off the
worker's state is read at a scrape (`Snapshot`). No metric is labelled with an instance or a number: a scrape has as
many lines with one instance as with hundreds, and tells nobody who they are.

docs/grafana-dashboard.json and docs/alerts.yaml use these names; tests/docs/test_dashboards.py compares.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from wa_worker import __version__
from wa_worker.journal import SendState, Settled
from wa_worker.journal.backlog import Backlog
from wa_worker.messages.pacing import HeldReason
from wa_worker.states import TABLE, TROUBLE, Action, Event, Move, State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

EDGE_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""From a proxy beside us to the deadline of a call."""

LAG_SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5)


class Received(enum.Enum):
    """Says what became of a message that WhatsApp delivered, when it came."""

    NEW = "new"
    REPEATED = "repeated"
    """Known already: WhatsApp redelivers what it is not sure of."""
    UNDECRYPTABLE = "undecryptable"
    """WhatsApp is asked for it again."""
    NOT_UNDERSTOOD = "not_understood"
    """Lost: the log has the error."""


class Delivered(enum.Enum):
    """Says what became of a received message at `/inbound`."""

    ACCEPTED = "accepted"
    SET_ASIDE = "set_aside"
    NOT_WANTED = "not_wanted"


class MediaResult(enum.Enum):
    """Says what became of the file of a received message. All but the first are words of MediaError."""

    UPLOADED = "uploaded"
    EXPIRED = "expired"
    TOO_LARGE = "too_large"
    DAMAGED = "damaged"
    NO_UPLOAD = "no_upload"


ATTENTION = (*TROUBLE, Event.STILL_HELD, Event.UNPAIRED)
"""Why an instance may need a person: all there is."""

_SENT = {SendState.SENT: "sent", SendState.FAILED: "failed", SendState.WAITING: "delayed"}
_UNCERTAIN = "uncertain"


@attrs.frozen
class Snapshot:
    """Says what is read at a scrape. Ages in seconds."""

    states: Mapping[State, int]
    backlog: Backlog | None
    """None while the journal is not open, or cannot be read."""
    journal_works: bool
    ready: bool
    poll_ages: Mapping[str, float]
    """By endpoint, since its last answer as the contract says."""
    threads: int
    attention: Mapping[Event, int] = attrs.Factory(dict)
    """Instances that a person may have to help, by why: those of ATTENTION."""
    paced: Mapping[HeldReason, int] = attrs.Factory(dict)
    """Messages that PACE holds back now, by why."""
    other_shards: int = 0
    """Sessions on the volume that are not started, since WORKER_SHARD says that they are another worker's."""


class Metrics:
    """Counts what happens. One per process, handed to whoever counts."""

    def __init__(self) -> None:
        # a second series for each counter, which nobody asks for
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("wa_worker", "The program", registry=registry).info({"version": __version__})

        self._changes = Counter(
            "wa_worker_state_changes", "State changes of instances", ["to", "because"], registry=registry
        )
        self._endings = Counter("wa_worker_session_endings", "Sessions that ended", ["because"], registry=registry)
        self._opens = Counter("wa_worker_session_opens", "Sessions that were opened", registry=registry)
        self._crashes = Counter(
            "wa_worker_instance_crashes", "Errors nobody expected, each ended by an instance's start", registry=registry
        )
        self._qr_codes = Counter("wa_worker_qr_codes", "QR codes that were shown", registry=registry)
        self._out = Counter(
            "wa_worker_messages_out", "Tries to send a message, by outcome", ["outcome"], registry=registry
        )
        self._paced = Counter(
            "wa_worker_messages_held_back", "Messages that PACE held back, by why", ["reason"], registry=registry
        )
        self._received = Counter(
            "wa_worker_messages_received", "Messages that WhatsApp delivered", ["outcome"], registry=registry
        )
        self._delivered = Counter(
            "wa_worker_messages_delivered", "Received messages that /inbound decided on", ["outcome"], registry=registry
        )
        self._edge = Histogram(
            "wa_worker_edge_request_seconds",
            "Requests to the worker-proxy",
            ["endpoint", "result"],
            buckets=EDGE_SECONDS,
            registry=registry,
        )
        self._media_bytes = Counter("wa_worker_media_bytes", "Bytes of received files", ["step"], registry=registry)
        self._media_files = Counter(
            "wa_worker_media_files", "Received files, by what became of them", ["result"], registry=registry
        )
        self._lag = Histogram(
            "wa_worker_event_loop_lag_seconds",
            "How late the event loop wakes a task",
            buckets=LAG_SECONDS,
            registry=registry,
        )
        self._uploads = Gauge(
            "wa_worker_uploads_hanging", "Uploads to the media host that were given up and hang on", registry=registry
        )
        self._instances = Gauge("wa_worker_instances", "Instances by state", ["state"], registry=registry)
        self._attention = Gauge(
            "wa_worker_instances_attention",
            "Instances that a person may have to help, by what happened since they were last connected",
            ["because"],
            registry=registry,
        )
        self._waiting = Gauge("wa_worker_backlog_messages", "Messages that wait", ["queue"], registry=registry)
        self._oldest = Gauge(
            "wa_worker_backlog_oldest_seconds", "Age of the oldest message that waits", ["queue"], registry=registry
        )
        self._held = Gauge(
            "wa_worker_held_messages", "Messages that wait for a person's decision", ["kind"], registry=registry
        )
        self._paced_now = Gauge(
            "wa_worker_paced_messages", "Messages that PACE holds back now, by why", ["reason"], registry=registry
        )
        self._journal_works = Gauge(
            "wa_worker_journal_works", "Whether the journal can be read and written", registry=registry
        )
        self._ready = Gauge("wa_worker_ready", "Whether GET /ready says 200", registry=registry)
        self._polls = Gauge(
            "wa_worker_poll_age_seconds", "Since the last successful poll", ["endpoint"], registry=registry
        )
        self._threads = Gauge("wa_worker_threads", "Threads, native ones included", registry=registry)
        self._other_shards = Gauge(
            "wa_worker_other_shard_sessions",
            "Sessions on the volume that belong to another WORKER_SHARD, and are not started",
            registry=registry,
        )
        # what never happened is 0, not absent: else its first time is no increase
        for (before, event), move in TABLE.items():
            if move.to is not before:
                self._changes.labels(_label(move.to), _label(event))
        for event in Event:
            self._endings.labels(_label(event))
        for outcome in (*_SENT.values(), _UNCERTAIN):
            self._out.labels(outcome)
        for reason in HeldReason:
            self._paced.labels(reason.value)
        self._media_as = {result: self._media_files.labels(result.value) for result in MediaResult}
        self._downloaded = self._media_bytes.labels("downloaded")
        self._uploaded = self._media_bytes.labels("uploaded")
        self._received_as = {received: self._received.labels(received.value) for received in Received}
        self._delivered_as = {delivered: self._delivered.labels(delivered.value) for delivered in Delivered}

    # --- what happens, from any thread

    def moved(self, before: State, event: Event, move: Move) -> None:
        """A step of the state table."""
        if move.to is not before:
            self._changes.labels(_label(move.to), _label(event)).inc()
        if before is not State.PAIRING and move.action in _ENDS:
            self._endings.labels(_label(event)).inc()
        if event is Event.QR:
            self._qr_codes.inc()

    def session_opened(self) -> None:
        self._opens.inc()

    def crashed(self) -> None:
        self._crashes.inc()

    def sent(self, settled: Settled) -> None:
        """The outcome of a try is on disk."""
        outcome = _UNCERTAIN if settled.doubt else _SENT.get(settled.state, _UNCERTAIN)
        self._out.labels(outcome).inc()

    def held_back(self, reason: HeldReason) -> None:
        """A message is held back, and was not until now, or for another reason."""
        self._paced.labels(reason.value).inc()

    def received(self, what: Received) -> None:
        self._received_as[what].inc()

    def delivered(self, what: Delivered, count: int = 1) -> None:
        self._delivered_as[what].inc(count)

    def media_downloaded(self, size: int) -> None:
        """So many bytes have come from WhatsApp's media host, whatever becomes of them."""
        self._downloaded.inc(size)

    def media_uploaded(self, size: int) -> None:
        """A file of so many bytes is at the proxy's storage."""
        self._uploaded.inc(size)

    def media_settled(self, result: MediaResult) -> None:
        self._media_as[result].inc()

    def uploads_hang(self, count: int) -> None:
        """So many uploads to WhatsApp's media host were given up and have not ended."""
        self._uploads.set(count)

    def edge_request(self, endpoint: str, result: str, seconds: float) -> None:
        """`result`: the class of the status ('2xx'), 'timeout', or 'error' when there was no answer."""
        self._edge.labels(endpoint, result).observe(seconds)

    def lagged(self, seconds: float) -> None:
        self._lag.observe(seconds)

    # --- a scrape

    def exposition(self, now: Snapshot) -> bytes:
        """Returns the text of a scrape. Takes milliseconds: for a thread."""
        for state in State:
            self._instances.labels(_label(state)).set(now.states.get(state, 0))
        for event in ATTENTION:
            self._attention.labels(_label(event)).set(now.attention.get(event, 0))
        for reason in HeldReason:
            self._paced_now.labels(reason.value).set(now.paced.get(reason, 0))
        if now.backlog is not None:
            for name in ("to_deliver", "to_send", "to_tell"):
                queue = getattr(now.backlog, name)
                self._waiting.labels(name).set(queue.size)
                self._oldest.labels(name).set(queue.age)
            self._held.labels("dead").set(now.backlog.dead)
            self._held.labels("uncertain").set(now.backlog.uncertain)
        for endpoint, age in now.poll_ages.items():
            self._polls.labels(endpoint).set(age)
        self._journal_works.set(now.journal_works)
        self._ready.set(now.ready)
        self._threads.set(now.threads)
        self._other_shards.set(now.other_shards)
        return generate_latest(self.registry)


_ENDS = frozenset({Action.REOPEN, Action.REPAIR, Action.HOLD})


def _label(member: State | Event) -> str:
    return member.name.lower()
