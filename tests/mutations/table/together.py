"""Mutations of what several workers do together: a quick hand-over, another login, one view of all instances."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

_WOKEN = "what is free or wanted is heard of at once"
_ONCE = "nothing is moved twice"
_LOGIN = "what another login means is the lease's word"
_VIEW = "each worker shows the instances of all"
_LET_GO = "what a person lets go of at any worker stays so until it is taken up"

_KEEPER = "ownership/test_keeper.py::"
_OWNER = "ownership/test_owner.py::"
_HEARD = _KEEPER + "test_what_is_free_or_wanted_or_not_is_heard_of_at_once"
_PEER = "instances/test_shared_fleet.py::test_one_that_a_person_let_go_of_at_a_peer_takes_leave_of_the_proxy"
_ANYWHERE = "instances/test_shared_fleet.py::test_one_of_a_peer_is_let_go_of_there_and_taken_up_from_anywhere"
_ROWS = "admin/test_rows.py::test_those_of_other_workers_are_among_them_and_found_by_their_worker"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "together-deaf",
        "ownership/line.py",
        "            await trio.lowlevel.wait_readable(descriptor)",
        "            await trio.sleep_forever()",
        _WOKEN,
        _HEARD,
    ),
    Mutation(
        "together-all-at-one-moment",
        "ownership/owner.py",
        "now + self._rng.uniform(0.0, WOKEN)",
        "now + WOKEN",
        "workers that are told do not all look at the same moment",
        _OWNER + "test_one_that_is_told_looks_soon_and_not_all_at_the_same_moment",
    ),
    Mutation(
        "together-moves-while-a-peer-stops",
        "ownership/owner.py",
        "any(peer.draining and peer.owned for peer in view.peers)",
        "False",
        _ONCE,
        _OWNER + "test_nothing_moves_twice_while_a_peer_stops",
    ),
    Mutation(
        "together-hands-over-what-it-has-just-taken",
        "ownership/owner.py",
        "        if gained:  # they log in",
        "        if False:  # they log in",
        _ONCE,
        _OWNER + "test_what_was_just_taken_is_not_handed_over_before_it_has_logged_in",
    ),
    Mutation(
        "together-fights",
        "instances/ownership.py",
        "        state.overtaken_at = now\n",
        "",
        "a session that a stranger takes is not fought for",
        "instances/test_ownership.py::test_what_is_ours_is_opened_at_once_but_once_in_ten_minutes",
    ),
    Mutation(
        "together-speaks-of-what-is-anothers",
        "instances/ownership.py",
        "    if ours is False:",
        "    if False:",
        _LOGIN,
        "instances/test_ownership.py::test_the_lease_says_who_has_logged_in",
    ),
    Mutation(
        "together-no-answer-is-a-yes",
        "instances/ownership.py",
        "    if ours and now",
        "    if ours is not False and now",
        _LOGIN,
        "instances/test_ownership.py::test_the_lease_says_who_has_logged_in",
    ),
    Mutation(
        "together-believes-what-it-knew",
        "ownership/keeper.py",
        "            await answered.wait()\n",
        "",
        _LOGIN,
        _KEEPER + "test_who_doubts_what_is_ours_hears_it_at_once",
    ),
    Mutation(
        "together-the-dead-own",
        "journal/elsewhere.py",
        " AND w.expires_at >= clock_timestamp()",
        "",
        _VIEW,
        "journal/test_elsewhere.py::test_it_sees_whose_they_are_what_they_became_last_and_what_waits",
    ),
    Mutation(
        "together-sees-its-own-rows-only",
        "journal/postgres_database.py",
        "self._looking(_of_all)",
        "self._looking(self._translated)",
        _VIEW,
        "journal/test_elsewhere.py::test_it_sees_whose_they_are_what_they_became_last_and_what_waits",
    ),
    Mutation(
        "together-nobodys-is-well",
        "admin/rows.py",
        "there.state in (UNOWNED, ",
        "there.state in (",
        "what no worker has is trouble",
        _ROWS,
    ),
    Mutation(
        "together-a-number-in-a-detail",
        "monitoring/instances.py",
        '"detail": masked(now.detail),\n        "reason": now.reason or None',
        '"detail": now.detail,\n        "reason": now.reason or None',
        "no whole number leaves the worker",
        "monitoring/test_instances.py::test_those_of_other_workers_are_told_with_whose_they_are",
    ),
    Mutation(
        "together-the-proxys-list-undoes-a-person",
        "ownership/statements.py",
        "AND NOT wanted AND NOT EXISTS (SELECT FROM let_go l WHERE l.instance = instances.id)",
        "AND NOT wanted",
        _LET_GO,
        "ownership/test_claims.py::test_what_a_person_has_let_go_of_is_wanted_by_nobody_until_it_is_taken_up",
    ),
    Mutation(
        "together-kept-off-for-ever",
        "instances/fleet.py",
        "                self._kept_off.discard(instance)\n            self.start(instance)",
        "                pass\n            self.start(instance)",
        _LET_GO,
        _ANYWHERE,
    ),
    Mutation(
        "together-the-proxy-is-not-told",
        "instances/fleet.py",
        " and not member.is_unwanted and member.released_by is not By.PERSON:\n",
        ":\n",
        _LET_GO,
        _PEER,
    ),
    Mutation(
        "together-unwanted-after-the-end",
        "instances/fleet.py",
        "        elif self._ownership is not None and ours and not member.is_unwanted:",
        "        elif self._ownership is not None:",
        "nothing is final on one unproven word",
        _PEER,
    ),
)
