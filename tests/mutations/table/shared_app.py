"""Mutations of the parts of a worker that shares its instances: how they are put together, and how it stops."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

OWNED = "app/test_owned_instances.py::"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "owned-early-is-forgotten",
        "app/shared.py",
        "            self._early.add(instance)\n",
        "            pass\n",
        "what became ours before there was a fleet runs",
        f"{OWNED}test_what_was_ours_before_there_was_a_fleet_starts_with_it_once_it_is_prepared",
    ),
    Mutation(
        "owned-starts-what-was-given-up",
        "app/shared.py",
        "        self._early.discard(instance)\n",
        "",
        "only the owner of an instance runs it",
        f"{OWNED}test_what_is_given_up_before_there_was_a_fleet_does_not_start",
    ),
    Mutation(
        "owned-store-stays",
        "app/shared.py",
        "        self._stores.lost(instance)\n",
        "",
        "a store is the owner's alone",
        f"{OWNED}test_a_session_is_closed_before_its_store_is_let_go",
    ),
    Mutation(
        "owned-unpaired-count-as-cut-off",
        "app/shared.py",
        "sum(state in _TRIED for state in states)",
        "len(states)",
        "who waits for a scan says nothing of the line",
        f"{OWNED}test_how_many_should_get_through_and_how_many_do",
    ),
    Mutation(
        "owned-busiest-first",
        "app/shared.py",
        "        return max(activity.last_in or 0.0, activity.last_out or 0.0)\n",
        "        return 0.0\n",
        "the idlest is handed over first",
        f"{OWNED}test_the_idlest_goes_first",
    ),
    Mutation(
        "shared-gives-up-the-start",
        "app/shared.py",
        "            await trio.sleep(TRIES)\n",
        "            raise\n",
        "a worker that starts while PostgreSQL is away is there when it is back",
        "cluster/test_start.py::test_it_waits_for_postgresql_and_says_so",
    ),
    Mutation(
        "shared-waits-unsaid",
        "app/state.py",
        "    readiness.joining()\n",
        "    readiness.loading()\n",
        "/ready says what a start waits for",
        "cluster/test_start.py::test_it_waits_for_postgresql_and_says_so",
    ),
)
