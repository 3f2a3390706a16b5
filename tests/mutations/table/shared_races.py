"""Mutations of what happens when an instance changes hands."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

FLEET = "instances/test_shared_fleet.py::"
JOURNAL = "journal/test_postgres_database.py::"
CLAIMS = "ownership/test_claims.py::"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "shared-late-outcome-counts",
        "journal/ledger.py",
        "WHERE instance = :instance AND message_id = :message_id /* owned: instance */",
        "WHERE instance = :instance AND message_id = :message_id",
        "P1: a former owner's late outcome is not sent again",
        f"{JOURNAL}test_the_late_outcome_of_a_former_owner_changes_nothing",
    ),
    Mutation(
        "shared-late-intent-counts",
        "journal/ledger.py",
        "WHERE instance = ? AND message_id = ? /* owned: instance */",
        "WHERE instance = ? AND message_id = ?",
        "P1: only the owner begins a send",
        f"{JOURNAL}test_the_late_outcome_of_a_former_owner_changes_nothing",
    ),
    Mutation(
        "shared-unwanted-is-untold",
        "postgres/dialect.py",
        "CASE WHEN i.wanted OR EXISTS",
        "CASE WHEN true OR EXISTS",
        "P3: what was received is told, though its instance was let go of",
        f"{JOURNAL}test_what_nobody_has_and_nobody_wants_is_told_by_the_eldest_worker",
    ),
    Mutation(
        "shared-ends-other-databases",
        "ownership/statements.py",
        "    WHERE datname = current_database() AND application_name LIKE 'wa/%%'\n",
        "    WHERE application_name LIKE 'wa/%%'\n",
        "a fleet leaves others on its server alone",
        f"{CLAIMS}test_sessions_of_another_database_are_left_alone",
    ),
    Mutation(
        "shared-started-is-not-wanted",
        "instances/fleet.py",
        "            self._ownership.want(instance)\n        if instance not in",
        "            pass\n        if instance not in",
        "what is started again is wanted again",
        f"{FLEET}test_one_that_is_started_while_it_is_unwanted_is_wanted_again",
    ),
    Mutation(
        "shared-unwanted-is-silent",
        "instances/fleet.py",
        "            member.handed_over = goes_on and",
        "            member.handed_over = True or",
        "P5: the proxy hears of what nobody goes on with",
        f"{FLEET}test_one_whose_owner_finds_that_nobody_wants_it_is_told_of_as_any_other",
    ),
    Mutation(
        "shared-kept-off-starts",
        "instances/fleet.py",
        "            if kept_off or not",
        "            if not",
        "what a person has let go of stays away, at every worker",
        f"{FLEET}test_one_that_a_person_let_go_of_at_another_worker_does_not_start",
    ),
    Mutation(
        "shared-prepares-what-is-gone",
        "instances/newcomers.py",
        "            newcomer.scope.cancel()\n            await newcomer.ended.wait()\n",
        "            pass\n",
        "nothing is done for an instance that was given up",
        f"{FLEET}test_to_be_given_up_ends_the_preparation_first",
    ),
    Mutation(
        "shared-one-preparation-ends-all",
        "instances/newcomers.py",
        "            except Exception:\n                self._crashed()\n",
        "            except ZeroDivisionError:\n                self._crashed()\n",
        "P4: one instance's trouble is its own",
        f"{FLEET}test_what_nobody_expected_of_one_preparation_is_tried_again_and_ends_no_other",
    ),
    Mutation(
        "owned-hands-over-who-is-scanned",
        "app/shared.py",
        "            return math.inf  # somebody may be scanning its code\n",
        "            return 0.0\n",
        "a code that is being scanned is not taken away",
        "app/test_owned_instances.py::test_the_idlest_goes_first",
    ),
)
