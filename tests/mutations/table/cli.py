"""Mutations of the command line."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "cli-numbers-are-shown",
        "cli/journal_text.py",
        "return address if numbers else jid.masked_address(address)",
        "return address",
        "P8: numbers are hidden unless asked for",
        "cli/test_showing.py::test_numbers_names_and_bodies_are_hidden_unless_asked_for",
    ),
    Mutation(
        "cli-errors-show-numbers",
        "cli/journal_text.py",
        "return words if numbers else jid.masked(words)",
        "return words",
        "P8: numbers are hidden unless asked for",
        "cli/test_showing.py::test_numbers_names_and_bodies_are_hidden_unless_asked_for",
    ),
    Mutation(
        "cli-body-is-shown",
        "cli/journal_text.py",
        '        if body:\n            row["body"]',
        '        if True:\n            row["body"]',
        "P8: bodies are hidden unless asked for",
        "cli/test_showing.py::test_numbers_names_and_bodies_are_hidden_unless_asked_for",
    ),
    Mutation(
        "cli-control-characters",
        "cli/table.py",
        'c if c.isprintable() else "\\N{REPLACEMENT CHARACTER}"',
        "c",
        "a body cannot steer the terminal",
        "cli/test_showing.py::test_a_body_cannot_steer_the_terminal",
    ),
    Mutation(
        "cli-long-words",
        "cli/table.py",
        'words if len(words) <= width else words[: width - 1] + "\\N{HORIZONTAL ELLIPSIS}"',
        "words",
        "a table fits the terminal",
        "cli/test_showing.py::test_long_words_are_cut_to_the_table",
    ),
    Mutation(
        "cli-bulk-does-not-ask",
        "cli/journal.py",
        "    elif not yes:",
        "    elif False:",
        "a decision about many asks first",
        "cli/test_deciding.py::test_bulk_asks_first",
    ),
    Mutation(
        "cli-ids-and-states",
        "cli/journal.py",
        "    if bool(ids) == bool(states):",
        "    if False:",
        "wrong calls change nothing",
        "cli/test_calling.py::test_wrong_calls_exit_2_and_change_nothing",
    ),
    Mutation(
        "cli-refused-is-success",
        "cli/journal.py",
        "sys.exit(1 if outcomes.refused else 0)",
        "sys.exit(0)",
        "exit code 1: not all of it was done",
        "cli/test_deciding.py::test_several_ids_do_what_can_be_done",
    ),
    Mutation(
        "cli-reported-unsaid",
        "cli/journal.py",
        "            self.reported += outcome.reported\n",
        "",
        "retry says when the proxy must list it anew",
        "cli/test_deciding.py::test_retry_says_when_the_proxy_took_a_failed_one_out_of_its_queue",
    ),
    Mutation(
        "cli-limit-is-ignored",
        "cli/journal.py",
        "shown, now = items[:limit], time.time()",
        "shown, now = items, time.time()",
        "list shows as many as asked for",
        "cli/test_showing.py::test_list_filters_by_state_and_instance_and_limit",
    ),
)
