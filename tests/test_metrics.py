"""The metrics: what is counted where, what a scrape says, and that it names nobody."""

from __future__ import annotations

import re
import time
from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

from wa_worker.journal import SendState, Settled
from wa_worker.journal.backlog import Backlog, Queue
from wa_worker.messages.pacing import HeldReason
from wa_worker.metrics import Delivered, Metrics, Received, Snapshot
from wa_worker.ownership.lease import Came
from wa_worker.ownership.lease_metrics import LeaseMetrics
from wa_worker.states import TABLE, Event, State

NOTHING = Snapshot({}, None, journal_works=False, ready=False, poll_ages={}, threads=1)
LABELS = {"step", "to", "because", "reason", "outcome", "endpoint", "result", "state", "queue", "kind", "le", "version"}
"""None of them is the name of an instance, or anybody's."""


def scrape(metrics: Metrics, now: Snapshot = NOTHING) -> dict[str, float]:
    """Samples as `name{label=value,...}`."""
    found = {}
    for family in text_string_to_metric_families(metrics.exposition(now).decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_a_new_worker_has_zeros_not_gaps() -> None:
    said = scrape(Metrics())
    assert said["wa_worker_messages_out_total{outcome=sent}"] == 0
    assert said["wa_worker_session_endings_total{because=deaf}"] == 0
    assert said["wa_worker_state_changes_total{because=outdated,to=held}"] == 0
    assert said["wa_worker_instances{state=logged_out}"] == 0
    assert said["process_resident_memory_bytes"] > 1e6
    assert not any(name.startswith("wa_worker_backlog") for name in said), "not known is not zero"
    assert not any(name.endswith("_created") for name in said)


def test_every_label_is_one_of_a_few() -> None:
    metrics = Metrics()
    metrics.edge_request("inbound", "2xx", 0.1)
    names = {
        label
        for family in text_string_to_metric_families(metrics.exposition(NOTHING).decode())
        for sample in family.samples
        for label in sample.labels
    }
    assert names <= LABELS


def test_what_happens_is_counted() -> None:
    metrics = Metrics()
    steps = [
        (State.RETRYING, Event.UNPAIRED),
        (State.PAIRING, Event.QR),
        (State.PAIRING, Event.QR),
        (State.PAIRING, Event.DEADLINE),
        (State.PAIRING, Event.OUTDATED),  # no session was open
        (State.RETRYING, Event.PAIRED),
        (State.OPENING, Event.CONNECTED),
        (State.CONNECTED, Event.DEAF),
        (State.RECONNECTING, Event.DEAF),  # it stays: nothing ended
    ]
    for state, event in steps:
        metrics.moved(state, event, TABLE[state, event])
    metrics.session_opened()
    metrics.crashed()
    for settled in (
        Settled(1, SendState.SENT),
        Settled(2, SendState.FAILED),
        Settled(3, SendState.WAITING),
        Settled(4, SendState.WAITING, doubt=True),
        Settled(5, SendState.UNCERTAIN, doubt=True),
    ):
        metrics.sent(settled)
    metrics.received(Received.UNDECRYPTABLE)
    metrics.delivered(Delivered.SET_ASIDE)
    metrics.edge_request("inbound", "5xx", 0.3)
    metrics.lagged(0.2)
    said = scrape(metrics)
    happened = {
        name: value
        for name, value in said.items()
        if value and name.partition("{")[0].endswith(("_total", "_count")) and name.startswith("wa_")
    }
    assert happened == {
        "wa_worker_state_changes_total{because=unpaired,to=pairing}": 1,
        "wa_worker_state_changes_total{because=outdated,to=held}": 1,
        "wa_worker_state_changes_total{because=paired,to=opening}": 1,
        "wa_worker_state_changes_total{because=connected,to=connected}": 1,
        "wa_worker_state_changes_total{because=deaf,to=retrying}": 1,
        "wa_worker_session_endings_total{because=deaf}": 1,
        "wa_worker_session_opens_total": 1,
        "wa_worker_qr_codes_total": 2,
        "wa_worker_instance_crashes_total": 1,
        "wa_worker_messages_out_total{outcome=sent}": 1,
        "wa_worker_messages_out_total{outcome=failed}": 1,
        "wa_worker_messages_out_total{outcome=delayed}": 1,
        "wa_worker_messages_out_total{outcome=uncertain}": 2,
        "wa_worker_messages_received_total{outcome=undecryptable}": 1,
        "wa_worker_messages_delivered_total{outcome=set_aside}": 1,
        "wa_worker_edge_request_seconds_count{endpoint=inbound,result=5xx}": 1,
        "wa_worker_event_loop_lag_seconds_count": 1,
    }


@pytest.mark.parametrize(("state", "event"), TABLE)
def test_every_step_of_the_table_can_be_counted(state: State, event: Event) -> None:
    """And makes no series that was not there before, so that its first time is an increase."""
    metrics = Metrics()
    before = scrape(metrics).keys()
    metrics.moved(state, event, TABLE[state, event])
    assert scrape(metrics).keys() == before


def test_the_state_of_a_moment() -> None:
    backlog = Backlog(Queue(3, 7.5), Queue(2, 1.0), Queue(0, 0.0), dead=4, uncertain=5)
    polls = {"queued-messages": 1.5, "disconnected-instances": 2.5}
    attention = {Event.BANNED: 2}
    now = Snapshot(
        Counter({State.CONNECTED: 6}),
        backlog,
        True,
        True,
        polls,
        threads=11,
        attention=attention,
        other_shards=3,
        paced={HeldReason.RATE: 7},
    )
    metrics = Metrics()
    for _ in range(2):
        said = scrape(metrics, now)
        assert said["wa_worker_instances{state=connected}"] == 6
        assert said["wa_worker_instances_attention{because=banned}"] == 2
        assert said["wa_worker_instances_attention{because=logged_out}"] == 0
        assert said["wa_worker_paced_messages{reason=rate}"] == 7
        assert said["wa_worker_paced_messages{reason=restricted}"] == 0
        assert said["wa_worker_backlog_messages{queue=to_deliver}"] == 3
        assert said["wa_worker_backlog_oldest_seconds{queue=to_deliver}"] == 7.5
        assert said["wa_worker_held_messages{kind=dead}"] == 4
        assert said["wa_worker_poll_age_seconds{endpoint=queued-messages}"] == 1.5
        assert said["wa_worker_other_shard_sessions"] == 3
        assert (said["wa_worker_ready"], said["wa_worker_journal_works"], said["wa_worker_threads"]) == (1, 1, 11)
    metrics.uploads_hang(2)
    assert scrape(metrics)["wa_worker_uploads_hanging"] == 2
    assert scrape(metrics)["wa_worker_instances{state=connected}"] == 0
    assert scrape(metrics)["wa_worker_paced_messages{reason=rate}"] == 0
    assert scrape(metrics)["wa_worker_instances_attention{because=banned}"] == 0


def test_a_worker_that_shares_its_instances_has_metrics_of_that_and_another_has_not() -> None:
    assert not [name for name in scrape(Metrics()) if re.search("owned|takeovers|lease|fenced", name)]

    metrics = Metrics()
    left = iter((9.5, -3.0))
    counts = LeaseMetrics(metrics.registry)
    counts.watch(lambda: 7, lambda: next(left), lambda: 2, lambda: 5)
    counts.took_over(Came.DEAD)
    counts.fenced()
    said = scrape(metrics)
    assert said["wa_worker_owned_instances"] == 7
    assert said["wa_worker_unowned_instances"] == 2
    assert said["wa_worker_spooled_events"] == 5
    assert said["wa_worker_lease_seconds_left"] == 9.5
    assert said["wa_worker_takeovers_total{because=dead}"] == said["wa_worker_fenced_total"] == 1
    assert said["wa_worker_takeovers_total{because=free}"] == said["wa_worker_takeovers_total{because=new}"] == 0
    assert scrape(metrics)["wa_worker_lease_seconds_left"] == -3.0


def test_counting_costs_microseconds() -> None:
    metrics, settled = Metrics(), Settled(1, SendState.SENT)
    started = time.perf_counter()
    for _ in range(10_000):
        metrics.sent(settled)
        metrics.edge_request("inbound", "2xx", 0.1)
    assert (time.perf_counter() - started) / 20_000 < 50e-6  # measured: 1-2; room for a busy machine
