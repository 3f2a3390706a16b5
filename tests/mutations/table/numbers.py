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
    Mutation(
        "number-invisible-marks-count",
        "jid/destination.py",
        'if unicodedata.category(char) != "Cf" and',
        'if char != "\u200b" and',
        "what cannot be seen does not count",
        "jid/test_destination.py::test_what_cannot_be_seen_does_not_count",
    ),
    Mutation(
        "number-region-first",
        "jid/destination.py",
        "found = numbering.international(digits) or numbering.national(digits, region)\n    return",
        "found = numbering.national(digits, region) or numbering.international(digits)\n    return",
        "version 1: a full number goes as it is",
        "jid/test_destination.py::test_a_full_number_of_any_country_is_itself_in_any_region",
    ),
    Mutation(
        "number-trunk-zero-stays",
        "jid/destination.py",
        "        return numbering.international(digits) or _as_before(digits)",
        "        return _as_before(digits)",
        "a trunk zero is no part of a number",
        "jid/test_destination.py::test_a_destination",
    ),
    Mutation(
        "number-area-code-last",
        "jid/destination.py",
        'area_first = text.startswith("(")',
        "area_first = False",
        "what begins with a parenthesis begins with its area code",
        "jid/test_destination.py::test_a_destination",
    ),
    Mutation(
        "number-extension-stays",
        "jid/destination.py",
        '_EXTENSION.sub("", _SCHEME.sub("", text, count=1))',
        '_SCHEME.sub("", text, count=1)',
        "an extension is no part of a number",
        "jid/test_destination.py::test_a_destination",
    ),
    Mutation(
        "number-any-length-is-read",
        "jid/destination.py",
        "if not _MIN_PHONE <= len(digits) <= _MAX_PHONE or",
        "if not _MIN_PHONE <= len(digits) or",
        "what cannot be a number is refused",
        "jid/test_destination.py::test_no_destination",
    ),
    Mutation(
        "number-region-not-the-settings",
        "delivery/batch.py",
        "jid.destination(message.to, self.record.region)",
        "jid.destination(message.to)",
        "DEFAULT_REGION is where a number is dialled",
        "delivery/test_sending.py::test_a_number_without_country_code_is_dialled_in_the_workers_region",
    ),
    Mutation(
        "number-any-region",
        "jid/numbering.py",
        "return code in phonenumbers.SUPPORTED_REGIONS",
        "return len(code) == 2",
        "a DEFAULT_REGION that is none is refused at the start",
        "test_config.py::test_a_fault",
    ),
)
