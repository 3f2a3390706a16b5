"""What a worker does next, step by step: what the simulated fleet meets only now and then."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from wa_worker.errors import LeaseLost
from wa_worker.models import InstanceId
from wa_worker.ownership.lease import (
    BATCH,
    CUT_OFF,
    DRAIN_BATCH,
    HAND_OVER,
    PATIENCE,
    RENEW,
    RETRY,
    SAFE,
    UNLIMITED,
    WOKEN,
    Because,
    Claimed,
    Peer,
    View,
)
from wa_worker.ownership.owner import Owner
from wa_worker.ownership.steps import Claim, GiveAway, ListMine, Look, Reap, Renew, Wait

IDS = [InstanceId(f"i{n:03}") for n in range(200)]


def an_owner(owning: int = 0, capacity: int = UNLIMITED, used: dict[InstanceId, float] | None = None) -> Owner:
    owner = Owner(capacity, random.Random(1), lambda each: (used or {}).get(each, 0.0))
    owner.registered(0.0)
    owner.claimed(-HAND_OVER, [Claimed(each, 1) for each in IDS[:owning]])
    return owner


def a_view(owner: Owner, wanted: int, claimable: int = 0, *peers: Peer, unwanted: tuple[InstanceId, ...] = ()) -> View:
    known = [*owner.owned.values(), *owner.leaving.values()]
    return View(wanted, claimable, 0, len(known), sum(known), unwanted, peers)


def peer(owned: int, capacity: int = UNLIMITED, *, through: bool = True, draining: bool = False) -> Peer:
    return Peer(capacity, owned, through, draining)


def test_it_renews_in_time_and_again_soon_when_that_failed() -> None:
    owner = an_owner()
    assert owner.step(0.1) == Look()
    owner.looked(0.1, a_view(owner, 0))
    assert isinstance(wait := owner.step(0.2), Wait)
    assert 1.5 <= wait.until <= 2.7
    renew = owner.step(RENEW)
    assert isinstance(renew, Renew)
    owner.failed(renew, RENEW + 2)
    assert isinstance(owner.step(RENEW + 2), Wait)
    assert isinstance(owner.step(RENEW + 2 + RETRY), Renew)
    owner.renewed(RENEW + 3, RENEW + 4, alive=True)
    assert owner.lease.deadline == RENEW + 3 + SAFE


def test_a_lease_that_ran_out_does_not_come_back() -> None:
    owner = an_owner()
    with pytest.raises(LeaseLost):
        owner.renewed(SAFE - 1, SAFE, alive=True)
    with pytest.raises(LeaseLost):
        owner.step(1.0)


@pytest.mark.parametrize(
    "late",
    [
        lambda owner: owner.step(SAFE),
        lambda owner: owner.claimed(SAFE, [Claimed(IDS[0], 1)]),
        lambda owner: owner.listed(SAFE, [Claimed(IDS[0], 1)]),
    ],
)
def test_nothing_begins_after_the_deadline(late: Callable[[Owner], object]) -> None:
    owner = an_owner()
    with pytest.raises(LeaseLost):
        late(owner)
    assert not owner.owned


def test_a_worker_whose_row_is_gone_ends() -> None:
    owner = an_owner()
    with pytest.raises(LeaseLost):
        owner.renewed(RENEW, RENEW, alive=False)


def test_rows_of_the_dead_are_deleted_before_anything_is_claimed() -> None:
    owner = an_owner()
    owner.looked(0.1, View(5, 1, 1, 0, 0, (), ()))
    assert owner.step(0.1) == Reap()
    owner.reaped(0.2)
    assert owner.step(0.2) == Claim(5)


def test_a_batch_at_a_time_up_to_its_share() -> None:
    owner = an_owner()
    owner.looked(0.1, a_view(owner, 40, 40, peer(0)))
    assert owner.step(0.1) == Claim(BATCH)
    owner = an_owner(17)
    owner.looked(0.1, a_view(owner, 40, 23, peer(0)))
    assert owner.step(0.1) == Claim(3)
    owner = an_owner(20)
    owner.looked(0.1, a_view(owner, 40, 20, peer(0)))
    assert isinstance(owner.step(0.1), Wait)


def test_it_takes_more_than_its_share_when_the_others_do_not() -> None:
    owner = an_owner(20, capacity=25)
    owner.looked(0.1, a_view(owner, 40, 20, peer(0)))
    owner.looked(0.1 + PATIENCE - 0.1, a_view(owner, 40, 20, peer(0)))
    owner.renewed(SAFE - 0.2, SAFE - 0.1, alive=True)
    owner.looked(0.2 + PATIENCE, a_view(owner, 40, 20, peer(0)))
    assert owner.step(0.2 + PATIENCE) == Claim(5), "but no more than it can"


def test_the_idlest_goes_to_a_peer_that_has_less_and_one_at_a_time() -> None:
    owner = an_owner(10, used=dict.fromkeys(IDS, 9.0) | {IDS[4]: 1.0})
    assert owner.looked(0.1, a_view(owner, 10, 0, peer(0))) == [(IDS[4], Because.HANDED_OVER)]
    assert owner.looked(2.0, a_view(owner, 10, 0, peer(0))) == [], "its session is still being ended"
    owner.closed(IDS[4])
    assert owner.step(2.0) == GiveAway((Claimed(IDS[4], 1),))
    owner.gave_away([Claimed(IDS[4], 1)])
    assert owner.looked(2.5, a_view(owner, 10, 0, peer(1))) == [], "too soon"
    assert len(owner.looked(0.1 + HAND_OVER, a_view(owner, 10, 0, peer(1)))) == 1


def test_nothing_is_handed_over_while_much_waits_for_an_owner() -> None:
    owner = an_owner(10)
    assert owner.looked(0.1, a_view(owner, 20, BATCH // 2, peer(0))) == []


def test_what_must_stay_is_not_handed_over() -> None:
    owner = an_owner(3, used=dict.fromkeys(IDS, float("inf")))
    assert owner.looked(0.1, a_view(owner, 3, 0, peer(0))) == []
    owner = an_owner(3, used=dict.fromkeys(IDS, float("inf")) | {IDS[2]: 7.0})
    assert owner.looked(0.1, a_view(owner, 3, 0, peer(0))) == [(IDS[2], Because.HANDED_OVER)]


def test_what_comes_back_is_handed_over_ever_more_rarely() -> None:
    owner = an_owner(10)
    now, pauses = 0.1, []
    for _ in range(4):
        began = now
        while not (left := owner.looked(now, a_view(owner, 10, 0, peer(0)))):
            owner.renewed(now, now, alive=True)
            now += 1.0
        pauses.append(now - began)
        owner.renewed(now, now, alive=True)
        owner.closed(left[0][0])
        owner.gave_away([Claimed(left[0][0], 1)])
        owner.claimed(now, [Claimed(left[0][0], 1)])
    assert pauses[1] < pauses[2] < pauses[3]


def test_what_is_not_wanted_any_more_is_let_go() -> None:
    owner = an_owner(2)
    assert owner.looked(0.1, a_view(owner, 1, unwanted=(IDS[0],))) == [(IDS[0], Because.UNWANTED)]


def test_a_claim_whose_answer_was_lost_is_found_by_the_next_look() -> None:
    owner = an_owner(1)
    owner.failed(Claim(10), 0.1)
    assert isinstance(owner.step(0.2), Wait), "not at once again"
    owner.looked(1.2, View(2, 0, 0, 2, 8, (), ()))
    assert owner.step(1.2) == ListMine()
    assert owner.listed(1.3, [Claimed(IDS[0], 1), Claimed(IDS[1], 7)]) == ([Claimed(IDS[1], 7)], [])


def test_what_the_database_says_is_not_ours_is_ended() -> None:
    owner = an_owner(2)
    assert owner.listed(0.1, [Claimed(IDS[0], 1)]) == ([], [(IDS[1], Because.TAKEN)])
    assert list(owner.owned) == [IDS[0]]


def test_what_is_being_given_away_is_not_taken_back_under_the_same_token() -> None:
    owner = an_owner(1)
    owner.looked(0.1, a_view(owner, 0, unwanted=(IDS[0],)))
    owner.closed(IDS[0])
    owner.failed(owner.step(0.1), 0.2)
    assert owner.listed(0.3, [Claimed(IDS[0], 1)]) == ([], [])
    assert owner.step(0.2 + RETRY) == GiveAway((Claimed(IDS[0], 1),))
    assert owner.claimed(1.5, [Claimed(IDS[0], 2)]) == [Claimed(IDS[0], 2)], "it was, and is ours anew"


def test_a_stopping_worker_gives_away_as_fast_as_its_peers_take() -> None:
    owner = an_owner(25)
    owner.drain()
    assert owner.step(0.1) == Renew(UNLIMITED, False, True)
    owner.renewed(0.1, 0.1, alive=True)
    left = owner.looked(0.2, a_view(owner, 25, 0, peer(0)))
    assert len(left) == DRAIN_BATCH
    assert owner.looked(0.3, a_view(owner, 25, 0, peer(0))) == [], "their sessions are being ended"
    for each, because in left:
        assert because is Because.DRAINING
        owner.closed(each)
    owner.gave_away([Claimed(each, 1) for each, _ in left])
    assert len(owner.looked(0.4, a_view(owner, 25, 4, peer(6)))) == 6
    assert isinstance(owner.step(0.5), Look | Wait), "it claims nothing"


def test_a_stopping_worker_gives_away_what_it_did_not_know_of() -> None:
    owner = an_owner(0)
    owner.drain()
    owner.renewed(0.1, 0.1, alive=True)
    assert owner.listed(0.2, [Claimed(IDS[0], 3)]) == ([], [])
    assert owner.step(0.2) == GiveAway((Claimed(IDS[0], 3),))


@pytest.mark.parametrize("peers", [(), (peer(0, draining=True),), (peer(5, capacity=5),)])
def test_a_stopping_worker_without_peers_waits_for_nobody(peers: tuple[Peer, ...]) -> None:
    owner = an_owner(25)
    owner.drain()
    assert len(owner.looked(0.2, a_view(owner, 25, 0, *peers))) == 25


def test_a_worker_that_is_cut_off_from_whatsapp_gives_away_what_peers_can_take() -> None:
    owner = an_owner(25)
    owner.health.observe(0.1, 25, 0)
    now = 0.1 + CUT_OFF
    assert owner.looked(now, a_view(owner, 50, 0, peer(25, capacity=25))) == [], "a peer that is full"
    left = owner.looked(now, a_view(owner, 50, 0, peer(25)))
    assert [because for _, because in left] == [Because.CUT_OFF] * DRAIN_BATCH


def test_nothing_moves_twice_while_a_peer_stops() -> None:
    owner = an_owner(owning=10)
    assert owner.looked(0.1, a_view(owner, 14, 0, peer(0), Peer(100, 4, True, True))) == [], "what it has is on its way"
    assert owner.looked(0.1, a_view(owner, 14, 0, peer(0), Peer(100, 0, True, True)))


def test_what_was_just_taken_is_not_handed_over_before_it_has_logged_in() -> None:
    owner = an_owner(owning=9)
    owner.claimed(0.1, [Claimed(IDS[9], 1)])
    assert owner.looked(HAND_OVER, a_view(owner, 10, 0, peer(0))) == []
    assert owner.looked(HAND_OVER + 0.1, a_view(owner, 10, 0, peer(0)))


def test_one_that_is_told_looks_soon_and_not_all_at_the_same_moment() -> None:
    moments = set()
    for seed in range(8):
        owner = Owner(100, random.Random(seed))
        owner.registered(0.0)
        owner.looked(0.1, a_view(owner, 0))
        owner.woken(0.2)
        wait = owner.step(0.2)
        assert isinstance(wait, Wait)
        assert 0.2 < wait.until <= 0.2 + WOKEN
        owner.woken(0.2 + WOKEN / 2)
        assert isinstance(owner.step(wait.until), Look), "it is not put off by the next"
        moments.add(wait.until)
    assert len(moments) == 8
