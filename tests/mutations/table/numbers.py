"""Mutations of addresses, what the proxy hears of failures, and masking."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS = (
    Mutation(
        "failure-text-of-the-library",
        "delivery/batch.py",
        "return Settled(message.id, SendState.FAILED, error=error.failure.value)",
        "return Settled(message.id, SendState.FAILED, error=str(error))",
        "no words of a library reach the proxy",
        "delivery/test_batch.py::test_what_the_proxy_hears_is_of_the_list_whatever_the_library_says",
    ),
    Mutation(
        "failure-given-up-in-its-words",
        "delivery/batch.py",
        "return Settled(message_id, SendState.FAILED, error=error.failure.value)",
        "return Settled(message_id, SendState.FAILED, error=str(error))",
        "no words of a library reach the proxy",
        "delivery/test_batch.py::test_what_the_proxy_hears_is_of_the_list_whatever_the_library_says",
    ),
    Mutation(
        "failure-row-in-its-words",
        "delivery/batch.py",
        "error=bad.failure.value",
        "error=bad.reason",
        "nothing of a row reaches the proxy in an error",
        "delivery/test_batch.py::test_what_the_proxy_hears_is_of_the_list_whatever_the_library_says",
    ),
    Mutation(
        "failure-old-text-as-it-is",
        "errors.py",
        "return next((failure for failure in cls if failure.value == text), cls.OTHER)",
        "return next((failure for failure in cls if failure.value == text), cls.BAD_ROW)",
        "a failure that an older version recorded is told in our words",
        "delivery/test_marks.py::test_a_failure_that_an_older_version_wrote_in_the_librarys_words_is_told_in_ours",
    ),
)
