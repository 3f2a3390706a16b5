"""Mutations of a fleet whose instances several workers share."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

TEST = "instances/test_shared_fleet.py::"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "shared-starts-what-is-not-ours",
        "instances/fleet.py",
        "        return self._ownership is None or self._ownership.owns(instance)\n",
        "        return True\n",
        "only the owner of an instance runs it",
        f"{TEST}test_one_that_is_not_ours_is_asked_for_and_not_started",
    ),
    Mutation(
        "shared-starts-before-it-is-prepared",
        "instances/fleet.py",
        "instance in self._members or instance in self._newcomers or not",
        "instance in self._members or not",
        "what the last owner left is taken up first",
        f"{TEST}test_one_that_becomes_ours_starts_once_what_its_last_owner_left_is_taken_up",
    ),
    Mutation(
        "shared-starts-what-was-lost-meanwhile",
        "instances/fleet.py",
        "            if self._ownership is None or not self._ownership.owns(instance):\n                return\n",
        "",
        "only the owner of an instance runs it",
        f"{TEST}test_one_that_is_lost_before_it_is_prepared_does_not_start",
    ),
    Mutation(
        "shared-hand-over-is-not-wanted",
        "instances/fleet.py",
        "        if member.handed_over or self._stopping():\n            return\n        ours",
        "        if self._stopping():\n            return\n        ours",
        "a peer goes on with what is handed over",
        f"{TEST}test_one_that_is_handed_over_ends_without_a_word_to_the_proxy",
    ),
    Mutation(
        "shared-release-stays-wanted",
        "instances/fleet.py",
        "            self._ownership.unwanted(instance)\n\n    def _is_last",
        "            pass\n\n    def _is_last",
        "no peer takes what the proxy has let go of",
        f"{TEST}test_one_that_the_proxy_or_a_person_lets_go_of_is_wanted_by_no_peer",
    ),
    Mutation(
        "shared-let-go-elsewhere-stays-wanted",
        "instances/fleet.py",
        "            if self._ownership is not None:\n                self._ownership.unwanted(instance)\n",
        "",
        "no peer takes what a person has let go of",
        f"{TEST}test_one_that_the_proxy_or_a_person_lets_go_of_is_wanted_by_no_peer",
    ),
    Mutation(
        "shared-farewell-though-a-peer-goes-on",
        "instances/fleet.py",
        "        return self._ownership is None or not self._ownership.peers_go_on()\n",
        "        return True\n",
        "the proxy hears no DISCONNECTED of what goes on",
        f"{TEST}test_a_stop_takes_leave_only_where_no_peer_goes_on",
    ),
)
