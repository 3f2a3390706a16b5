"""Mutations of what is believed, and of the pauses in an outage: edge/, delivery/ and instances/."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

F1 = "P4: a 404 of a router lets no instance go"
F2 = "P3: what refuses everything sets nothing aside"
F3 = "a chat goes on within two seconds of an outage's end"
PORTAL = "P3: what a portal takes is not lost"
P4 = "P4: one bad row never stops the others"
P5 = "P5: the status becomes true within seconds"
RATE = "the proxy's Retry-After is kept"
COST = "an outage costs few calls"

_ANSWERS = "edge/answers.py"
_EVIDENCE = "edge/evidence.py"
_CALL = "edge/call.py"
_QUEUE = "delivery/keyed_queue.py"
_REFUSALS = "delivery/refusals.py"
_UNPROVEN = "delivery/unproven.py"
_MARKS = "delivery/marks.py"
_STATUS = "instances/status.py"
_DISCOVERY = "instances/discovery.py"
_FLEET = "instances/fleet.py"

_TEST_ANSWERS = "edge/test_answers.py::"
_TEST_EVIDENCE = "edge/test_evidence.py::"
_TEST_EARLY = "edge/test_early_answers.py::"
_TEST_QUEUE = "delivery/test_keyed_queue.py::"
_TEST_INBOUND = "delivery/test_inbound.py::"
_TEST_REFUSALS = "delivery/test_refusals.py::"
_TEST_MARKS = "delivery/test_marks.py::"
_TEST_STATUS = "instances/test_status.py::"
_TEST_DISCOVERY = "instances/test_discovery.py::"
_TEST_FLEET = "instances/test_fleet.py::"

MUTATIONS = (
    # what an answer means
    Mutation(
        "answers-all-4xx-pass",
        _ANSWERS,
        "and status not in NEVER_OF_A_ROW",
        "and status in ()",
        P4,
        _TEST_ANSWERS + "test_what_may_be_of_a_row",
    ),
    Mutation(
        "answers-html",
        _ANSWERS,
        'startswith(b"<")',
        'startswith(b"<html")',
        PORTAL,
        _TEST_ANSWERS + "test_what_no_proxy_answers",
    ),
    Mutation(
        "answers-html-after-a-mark",
        _ANSWERS,
        'body[:64].lstrip(b"\\xef\\xbb\\xbf \\t\\r\\n")',
        "body",
        PORTAL,
        _TEST_ANSWERS + "test_what_no_proxy_answers",
    ),
    Mutation(
        "answers-retry-after-in-step",
        _ANSWERS,
        " * random.uniform(1, 1 + RETRY_AFTER_SPREAD)",
        " * random.uniform(1, 1)",
        "not all come back in one instant",
        _TEST_ANSWERS + "test_not_all_come_back_in_the_instant_that_a_date_names",
    ),
    # witnesses
    Mutation(
        "evidence-old-witness", _EVIDENCE, "and accepted.at > moment", "", F2, _TEST_EVIDENCE + "test_of_others_since"
    ),
    Mutation(
        "evidence-recovery-of-any",
        _EVIDENCE,
        "if endpoint == LIST:",
        "if endpoint:",
        COST,
        _TEST_EVIDENCE + "test_recovery_is_a_good_list_after_one_that_failed",
    ),
    Mutation(
        "evidence-recovery-each-time",
        _EVIDENCE,
        "            self._failing.discard(endpoint)\n",
        "",
        COST,
        _TEST_EVIDENCE + "test_recovery_is_a_good_list_after_one_that_failed",
    ),
    Mutation(
        "client-page-believed",
        _CALL,
        "if kind := foreign(response, body):",
        'if kind := "":',
        PORTAL,
        _TEST_STATUS + "test_nor_if_a_page_says_so",
    ),
    Mutation(
        "client-large-body-held",
        _CALL,
        "WRITE_DEADLINE = 3.0",
        "WRITE_DEADLINE = 30.0",
        F3,
        _TEST_EARLY + "test_a_large_call_is_not_held_for_long",
    ),
    # the queue
    Mutation(
        "queue-lonely-failure-rests-on",
        "delivery/keyed_queue.py",
        "            self._free(set(self._resting))",
        "            self._free(self._unwitnessed)",
        "a chat goes on within two seconds of an outage's end",
        "delivery/test_keyed_queue.py::test_also_one_that_has_failed_alone",
    ),
    Mutation(
        "queue-nobody-freed",
        _QUEUE,
        "            rest = self._resting[key]\n            self._resting[key] = attrs.evolve(rest, until=rest.bidden)",
        "            rest = self._resting[key]\n            self._resting[key] = attrs.evolve(rest)",
        F3,
        _TEST_QUEUE + "test_the_first_success_frees_those_that_rest",
    ),
    Mutation(
        "queue-no-recovery",
        _QUEUE,
        "            await self._recovery()\n            self._free(set(self._resting))",
        "            await self._recovery()",
        F3,
        _TEST_QUEUE + "test_all_go_on_when_somebody_else_has_seen_the_proxy_come_back",
    ),
    Mutation(
        "queue-rate-limit-ignored",
        _QUEUE,
        "bidden if limited else 0.0",
        "0.0",
        RATE,
        _TEST_QUEUE + "test_a_wait_that_is_asked_for",
    ),
    Mutation(
        "queue-retry-after-ignored",
        _QUEUE,
        "max(now + pause, bidden)",
        "now + pause",
        RATE,
        _TEST_QUEUE + "test_a_wait_that_is_asked_for",
    ),
    Mutation(
        "queue-newcomers-wait",
        _QUEUE,
        "if rest is None and self.breaker.is_open:",
        "if rest is None:",
        P4,
        _TEST_QUEUE + "test_a_key_that_has_not_failed_waits_for_none_that_has",
    ),
    Mutation(
        "queue-newcomers-barred",
        _QUEUE,
        "return rest is None and not self._newcomers.waits(now)",
        "return False and not self._newcomers.waits(now)",
        P4,
        _TEST_QUEUE + "test_a_key_that_has_not_failed_waits_for_none_that_has",
    ),
    Mutation(
        "queue-not-stubborn",
        _QUEUE,
        "self._stubborn(error).delay(alone - 1)",
        "0.5",
        COST,
        _TEST_QUEUE + "test_a_key_that_fails_alone_rests_longer_each_time",
    ),
    Mutation(
        "queue-all-try-in-an-outage",
        _QUEUE,
        "            self.breaker.record_failure(key, error.retry_after)\n",
        "",
        COST,
        _TEST_QUEUE + "test_after_an_outage_all_keys_go_on_at_the_first_success",
    ),
    Mutation(
        "outage-pauses-too-long",
        "backoff.py",
        "share=0.02, shortest=0.5",
        "share=0.2, shortest=0.5",
        F3,
        "test_backoff.py::test_the_end_of_an_outage_is_noticed_soon",
    ),
    # refusals of received messages
    Mutation(
        "refusals-no-witness",
        _REFUSALS,
        "if now - known.last < self.pause / 2 or not self._others_accepted_since(row, known.last):",
        "if now - known.last < self.pause / 2:",
        F2,
        _TEST_REFUSALS + "test_without_a_witness_none_counts",
    ),
    Mutation(
        "refusals-in-a-second",
        _REFUSALS,
        "now - known.last < self.pause / 2 or ",
        "",
        F2,
        _TEST_REFUSALS + "test_refusals_in_quick_succession_count_once",
    ),
    Mutation(
        "refusals-first-is-final",
        _REFUSALS,
        "self._refusals[row.seq] = _Refusal(now, now)\n            return False",
        "self._refusals[row.seq] = _Refusal(now, now)\n            return True",
        F2,
        _TEST_INBOUND + "test_what_refuses_everything_speaks_of_no_message",
    ),
    Mutation(
        "refusals-never-final",
        _REFUSALS,
        "return known.count + 1 >= REJECTIONS",
        "return False",
        P4,
        _TEST_INBOUND + "test_a_message_that_is_refused_is_set_aside_after_a_few_tries",
    ),
    Mutation(
        "refusals-409-at-once",
        _REFUSALS,
        "plausible = row.seq in self._unanswered or row.seq < self.oldest_new",
        "plausible = True",
        "P3: a message that cannot be there is not believed to be",
        _TEST_INBOUND + "test_one_that_cannot_be_there_is_not_believed_to_be",
    ),
    Mutation(
        "refusals-409-without-a-list",
        _REFUSALS,
        "(plausible or old_enough) and self._evidence.listed_since(known.first)",
        "(plausible or old_enough)",
        F2,
        _TEST_REFUSALS + "test_without_a_list_that_was_answered_well_it_may_be_anybodys_word",
    ),
    Mutation(
        "refusals-409-never",
        _REFUSALS,
        "if error.status is None or error.status >= 500 or error.status < 300:",
        "if error.status == 1:",
        "a message that is there is not posted for ever",
        _TEST_REFUSALS + "test_it_may_be_there_if_a_try_was_not_answered",
    ),
    # what a portal took
    Mutation(
        "unproven-not-taken-back",
        _UNPROVEN,
        "each.answer == strange",
        "False",
        PORTAL,
        _TEST_INBOUND + "test_what_a_portal_took_before_a_poll_showed_it_is_posted_again",
    ),
    Mutation(
        "unproven-for-ever",
        _UNPROVEN,
        "self._waiting.popleft()\n            return",
        "break\n            return",
        "once /inbound has answered 2xx it is not posted again",
        _TEST_INBOUND + "test_what_was_accepted_before_a_good_poll_began_is_proven",
    ),
    # marks
    Mutation(
        "marks-told-each-time",
        _MARKS,
        "if trio.current_time() < self._silent_until.get(key, 0.0):",
        "if False:",
        COST,
        _TEST_MARKS + "test_one_that_goes_on_being_listed_is_not_told_each_time",
    ),
    Mutation(
        "marks-all-silenced",
        _MARKS,
        "self._silent_until.get(key, 0.0):",
        "max(self._silent_until.values(), default=0.0):",
        "one message's word silences no other",
        _TEST_MARKS + "test_one_failure_that_the_proxy_does_not_know_silences_no_other",
    ),
    # statuses
    Mutation(
        "status-retry-after-ignored",
        _STATUS,
        "                await trio.sleep(error.retry_after or 0)\n",
        "",
        RATE,
        _TEST_STATUS + "test_it_waits_as_long_as_it_is_asked_to",
    ),
    Mutation(
        "status-portal-believed",
        _STATUS,
        "self._posted_at > doubt_since:",
        "self._posted_at < 0:",
        P5,
        _TEST_STATUS + "test_what_was_taken_in_the_proxys_place_is_posted_again",
    ),
    Mutation(
        "status-heard-forgotten",
        _STATUS,
        "            self.may_have_heard.add(status.status)\n",
        "            self.may_have_heard = {status.status}\n",
        "what the proxy last heard is made true",
        _TEST_STATUS + "test_what_it_may_have_heard",
    ),
    # instances
    Mutation(
        "discovery-looks-once",
        _DISCOVERY,
        "Running(self.connected or later.connected, steady, later.changes, later.status)",
        "Running(self.connected, self.announced, later.changes, later.status)",
        F1,
        "instances/test_polling.py::test_a_line_that_breaks_for_a_moment_at_each_poll_lets_nothing_go",
    ),
    Mutation(
        "discovery-released-at-once",
        _DISCOVERY,
        "UNLISTED_POLLS = 2",
        "UNLISTED_POLLS = 1",
        F1,
        _TEST_DISCOVERY + "test_a_plan",
    ),
    Mutation(
        "discovery-retry-after-ignored",
        "instances/polling.py",
        "max(error.retry_after or 0.0, min(PROXY_OUTAGE.pause(self._outage()), self._interval))",
        "min(PROXY_OUTAGE.pause(self._outage()), self._interval)",
        RATE,
        "instances/test_polling.py::test_a_list_waits_as_long_as_it_is_asked_to",
    ),
    Mutation(
        "fleet-let-go-for-ever",
        _FLEET,
        "if ProxyStatus.CONNECTED in publisher.may_have_heard or member.released_by is By.PERSON:",
        "if False:",
        "let go is never for ever",
        _TEST_FLEET + "test_one_that_the_proxy_takes_for_connected_is_reported_when_let_go",
    ),
    Mutation(
        "fleet-told-though-started",
        _FLEET,
        "            scope.cancel()\n        if instance",
        "            pass\n        if instance",
        P5,
        _TEST_FLEET + "test_what_is_told_of_one_that_was_let_go_of_ends_when_it_starts_again",
    ),
)
