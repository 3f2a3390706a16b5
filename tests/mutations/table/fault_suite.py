"""Mutations of what is told when a proxy goes back to version 1 of the contract."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

POSTER = "edge/poster.py"
FEW = "edge/test_poster.py::test_of_what_was_meant_for_batches_few_are_under_way_in_version_1"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "version-1-calls-unbounded",
        POSTER,
        "        async with self._single:\n            return await self._outcome(event)",
        "        return await self._outcome(event)",
        "A proxy that has gone back to version 1 gets a few calls at a time.",
        FEW,
    ),
    Mutation(
        "version-1-statuses-wait-for-messages",
        POSTER,
        "        if event.endpoint == STATUS:\n            return await self._outcome(event)\n",
        "",
        "A status does not wait for messages that the proxy is slow to take.",
        FEW,
    ),
    Mutation(
        "version-1-goes-on-after-a-failure",
        POSTER,
        "                if outcome.error is None:  # else the rest stays behind it\n"
        "                    outcome = await self._post_one(event)",
        "                outcome = await self._post_one(event)",
        "Order within a chat, also when a batch is told by calls of version 1.",
        "edge/test_poster.py::test_by_version_1_too_what_follows_a_failure_stays_behind_it",
    ),
    Mutation(
        "no-events-said-by-each-call",
        "edge/version.py",
        "        if trio.current_time() < self._no_events_until:\n            return\n        self._malformed = 0",
        "        self._malformed = 0",
        "A proxy that had no /events for a moment is asked again after half a minute.",
        "edge/test_version.py::test_calls_that_were_under_way_together_are_one_word",
    ),
    Mutation(
        "told-though-cancelled-at-once",
        POSTER,
        "        try:\n            await trio.lowlevel.checkpoint()  # others",
        "        await trio.lowlevel.checkpoint()\n        try:\n            pass  # others",
        "Of two statuses of an instance the last one wins.",
        "edge/test_poster.py::test_what_is_told_in_the_moment_of_a_cancel_is_not_left_for_others_to_tell",
    ),
)
