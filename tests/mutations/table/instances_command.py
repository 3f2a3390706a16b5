"""Mutations of `wa-worker instances`."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "instances-trouble-last",
        "cli/instances_text.py",
        "key=lambda row: (not is_in_trouble(row),",
        "key=lambda row: (is_in_trouble(row),",
        "Those in trouble come first.",
        "cli/test_instances.py::test_list_shows_trouble_first_and_counts",
    ),
    Mutation(
        "instances-logged-out-is-well",
        "cli/instances_text.py",
        'or row["logged_out"] or row.get',
        "or row.get",
        "What a phone has logged out is trouble until it is scanned again.",
        "cli/test_instances.py::test_restricted_and_logged_out_are_trouble_and_the_first_scan_is_not",
    ),
    Mutation(
        "instances-restricted-is-well",
        "cli/instances_text.py",
        ' or row.get("reason") == Reason.RESTRICTED.value',
        "",
        "An account that may not write first is in trouble.",
        "cli/test_instances.py::test_restricted_and_logged_out_are_trouble_and_the_first_scan_is_not",
    ),
    Mutation(
        "instances-fail-says-well",
        "cli/instances.py",
        "sys.exit(TROUBLE if fail and",
        "sys.exit(0 if fail and",
        "`list --fail` exits with 1 when one is in trouble.",
        "cli/test_instances.py::test_filters_choose_and_fail_is_an_exit_code",
    ),
    Mutation(
        "instances-believes-a-portal",
        "cli/asking.py",
        "worker = answer.status_code == 200 or _is_a_worker(http, self.url)",
        "worker = True",
        "Something else that answers is told from a worker.",
        "cli/test_instances.py::test_something_else_that_answers_is_no_worker",
    ),
    Mutation(
        "instances-reads-any-page",
        "cli/asking.py",
        "        if not fits:\n",
        "        if False:\n",
        "An answer that is no list of instances is an error.",
        "cli/test_instances.py::test_something_else_that_answers_is_no_worker[200 OK]",
    ),
    Mutation(
        "instances-unasked-is-one",
        "cli/instances.py",
        "TROUBLE, UNASKED = 1, 3",
        "TROUBLE, UNASKED = 1, 1",
        "Exit code 3 says that the worker cannot be asked.",
        "cli/test_instances.py::test_nobody_there_is_told_with_what_to_do",
    ),
    Mutation(
        "instances-watch-tells-all",
        "cli/instances.py",
        'if _told(row) != _told(before.pop(row["id"], None))',
        'if before.pop(row["id"], None) or True',
        "`watch` prints a line a change.",
        "cli/test_instances.py::test_watch_prints_a_line_a_change_and_ends_by_ctrl_c",
    ),
    Mutation(
        "instances-watch-forgets-the-gone",
        "cli/instances.py",
        "*((id, None) for id in before)]",
        "]",
        "`watch` tells of an instance that the worker let go of.",
        "cli/test_instances.py::test_watch_prints_a_line_a_change_and_ends_by_ctrl_c",
    ),
)
