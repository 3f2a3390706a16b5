"""What goes wrong in a run is the same whenever it is run, and what a run of version 1 had, one of version 2 has."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.faults.misbehaviour import SHAPES, TWIN, faults_of, media_host_of
from tests.faults.run import INSTANCES, LENGTH
from tests.faults.schedule import (
    BELIEVED,
    CONTRACTS,
    FILES,
    VERSION_2,
    Contract,
    Incident,
    Trouble,
    contract_of,
    flips,
    from_the_field,
    of_files,
    of_version_2,
    schedule,
    unknown_receipts,
)
from wa_worker.dev.simulator.media_host import Behaviour
from wa_worker.edge import wire

SEEDS = range(200)


def lines(incidents: list[Incident]) -> str:
    return "".join(f"{i.at:.3f} {i.trouble.name} {i.lasts:.3f} {i.pick}\n" for i in incidents)


def test_a_seed_means_what_it_has_always_meant() -> None:
    """A failing run names its seed, perhaps months ago. New kinds are drawn apart: see schedule.LATER."""
    assert [f"{i.at:.2f} {i.trouble.name}" for i in schedule(1, LENGTH, INSTANCES)] == [
        "0.37 PROXY_SLOW",
        "2.68 TERMINATED",
        "5.60 PROXY_DOWN",
        "6.63 PROXY_DOWN",
        "8.92 PROXY_401",
        "11.02 PROXY_DOWN",
    ]
    said = hashlib.sha256()
    for seed in SEEDS:
        said.update(lines(schedule(seed, LENGTH, INSTANCES)).encode())
        said.update(lines(unknown_receipts(seed, LENGTH, INSTANCES)).encode())
        said.update(lines(from_the_field(seed, LENGTH)).encode())
    assert said.hexdigest()[:16] == "dd5708e545b369c6"


def test_what_only_version_2_has_is_drawn_apart_and_comes_often() -> None:
    drawn = [incident for seed in SEEDS for incident in of_version_2(seed, LENGTH)]
    assert {incident.trouble for incident in drawn} == set(VERSION_2)
    assert all(incident.at < LENGTH for incident in drawn)
    assert lines(of_version_2(7, LENGTH)) == lines(of_version_2(7, LENGTH))
    others = [i for seed in SEEDS for i in (*schedule(seed, LENGTH, INSTANCES), *from_the_field(seed, LENGTH))]
    assert not {incident.trouble for incident in others} & set(VERSION_2)


def test_what_only_files_have_is_drawn_apart_and_comes_often() -> None:
    drawn = [of_files(seed, LENGTH) for seed in SEEDS]
    assert {incident.trouble for incidents in drawn for incident in incidents} == set(FILES)
    assert max(sum(incident.trouble in BELIEVED for incident in incidents) for incidents in drawn) == 1
    assert lines(of_files(7, LENGTH)) == lines(of_files(7, LENGTH))


def test_seeds_in_a_row_take_all_contracts_in_turn() -> None:
    assert {contract_of(seed) for seed in range(1, 4)} == set(CONTRACTS)


def test_a_proxy_flips_every_two_seconds() -> None:
    pauses = [pause for pause, _ in zip(flips(3), range(100), strict=False)]
    assert all(1.5 <= pause <= 2.5 for pause in pauses)
    assert len(set(pauses)) > 90
    assert pauses == [pause for pause, _ in zip(flips(3), range(100), strict=False)]


@pytest.mark.parametrize("trouble", Trouble, ids=lambda trouble: trouble.name)
@pytest.mark.parametrize("contract", CONTRACTS[1:])
def test_a_fault_of_a_version_1_call_has_its_twin(trouble: Trouble, contract: Contract) -> None:
    for pick in range(12):
        incident = Incident(0.0, trouble, 1.0, pick)
        two = faults_of(incident, contract)
        if trouble in VERSION_2:
            assert len(two) == 1
            assert two.keys() <= {"events", "poll"}
            continue
        if trouble in FILES:
            assert two.keys() <= {"media-upload", "storage"}
            about_the_host = trouble.name.startswith("MEDIA_HOST") and trouble is not Trouble.MEDIA_HOST_TAKES_NONE
            assert (media_host_of(incident) != Behaviour()) == about_the_host
            continue
        one = faults_of(incident, "1")
        assert {endpoint: two[endpoint] for endpoint in one} == dict(one)
        assert {TWIN[endpoint] for endpoint in one if endpoint != "*"} <= two.keys()


def test_what_is_not_the_shape_of_an_answer_to_poll_is_not() -> None:
    for shape in SHAPES:
        with pytest.raises(wire.NotTheContract):
            wire.polled_from(json.loads(shape))
