"""Mutations of the bench, and of what was made to cost less."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

BENCH, WAKEUP = "dev/bench/", "wakeup.py"
BENCH_TEST = "dev/bench/test_scenarios.py::test_"
KEPT_OUT_TEST = "whatsapp/test_kept_out.py::test_"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "marks-each-alone",
        "delivery/keyed_queue.py",
        "await trio.sleep_until(looked + self._apart())",
        "await trio.lowlevel.checkpoint()",
        "Marks that follow each other are one call.",
        "delivery/test_marks.py::test_marks_that_follow_each_other_go_together",
    ),
    Mutation(
        "ring-lost",
        WAKEUP,
        "        self._ringing = False  # first: who rings from now on may have changed what is read after this\n",
        "",
        "No ring is lost.",
        "test_wakeup.py::test_every_ring_after_a_wait_wakes_again",
    ),
    Mutation(
        "unused-imported",
        "whatsapp/__init__.py",
        "with kept_out():",
        "if kept_out():",
        "What neonize imports and the worker does not use is not imported.",
        KEPT_OUT_TEST + "the_worker_and_the_pairing_host_do_without_them",
    ),
    Mutation(
        "stand-in-for-ever",
        "whatsapp/kept_out.py",
        "                del sys.modules[name]\n",
        "                pass\n",
        "What was kept out is imported when somebody wants it.",
        KEPT_OUT_TEST + "the_worker_and_the_pairing_host_do_without_them",
    ),
    Mutation(
        "stand-in-for-all",
        "whatsapp/kept_out.py",
        " if name not in sys.modules}",
        "}",
        "What is imported already is used.",
        KEPT_OUT_TEST + "what_is_imported_already_is_used",
    ),
    Mutation(
        "unused-unknown",
        "whatsapp/kept_out.py",
        '    "requests": "get",',
        '    "requests": "post",',
        "It is known what neonize calls of what is kept out.",
        KEPT_OUT_TEST + "neonize_uses_them_only_where_we_know_of",
    ),
    Mutation(
        "bench-one-contract",
        BENCH + "run.py",
        "            self.bed.contract = contract\n",
        "",
        "Each scenario is run with each version of the contract.",
        BENCH_TEST + "each_scenario_is_run_with_each_contract_one_right_after_the_other",
    ),
    Mutation(
        "bench-calls-not-apart",
        BENCH + "scenarios.py",
        "60 * (bed.proxy.store.requests.total() - calls) / elapsed",
        "60 * bed.proxy.store.requests.total() / elapsed",
        "Calls while idle are those of the time in which nothing happened.",
        BENCH_TEST + "an_idle_worker_calls_less_in_version_2",
    ),
    Mutation(
        "bench-month",
        BENCH + "scenarios.py",
        "MONTH = 30 * 24 * 60",
        "MONTH = 30 * 24",
        "A month has thirty days.",
        BENCH_TEST + "calls_of_a_minute_are_those_of_a_day_and_of_a_month",
    ),
)
