"""The reference proxy's tests of /poll and /events, against the Edge Function: those that need no faults of the proxy.

What is the Edge Function's own is in test_poll.py, test_held_poll.py, test_events.py and test_event_troubles.py.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.worker_proxy

_polling = pytest.importorskip("tests.dev.proxy.test_polling", reason="the reference proxy has no version 2 yet")
_events = pytest.importorskip("tests.dev.proxy.test_events", reason="the reference proxy has no version 2 yet")

test_it_lists_both_and_only_what_may_be_sent = _polling.test_it_lists_both_and_only_what_may_be_sent
test_a_page_is_fair = _polling.test_a_page_is_fair_and_each_instances_own_are_in_order
test_of_many_those_that_wait_longest = _polling.test_of_many_instances_those_whose_first_waits_longest_are_listed
test_a_message_is_listed_until_it_is_marked = _polling.test_a_message_is_listed_until_it_is_marked
test_it_holds_nothing_where_the_two_differ = _polling.test_it_holds_nothing_where_the_two_see_an_instance_differently
test_a_bad_call_is_refused_with_a_reason = _polling.test_a_bad_call_is_refused_with_a_reason
test_how_much_may_be_asked = _polling.test_how_much_may_be_asked

test_each_type_does_what_its_call_does = _events.test_each_type_does_what_its_call_does
test_the_last_status_wins = _events.test_the_last_status_wins
test_a_repeat_changes_nothing = _events.test_a_repeat_changes_nothing
test_a_bad_event_is_refused = _events.test_a_bad_event_is_refused_and_the_others_are_taken
test_after_a_refusal_no_other_of_the_chat_is_taken = _events.test_after_a_refusal_no_other_of_the_chat_is_taken
test_a_body_that_holds_no_events = _events.test_a_body_that_holds_no_events_is_refused_as_a_whole
test_how_much_may_be_posted = _events.test_how_much_may_be_posted
